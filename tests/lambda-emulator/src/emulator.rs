//! A function's process with its Runtime API.

use std::{path::Path, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
};
use bytes::BytesMut;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::{
    Cause, Failure, MediaTypes,
    integration::Part,
    process::Process,
    runtime_api::{Kind, Phase, RuntimeApi},
};

/// Longest time from a function's start to its request for an event. Lambda's limit is 10 s; a debug build on a busy machine
/// takes longer.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest time of an invocation, unless the test sets another.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(60);

/// A running function. It is killed when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    api: RuntimeApi,
    process: Process,
    cold_start: Duration,
    time_limit: Duration,
    binary: MediaTypes,
}

impl Emulator {
    /// Starts `binary` and waits until it requests its first event. Its environment is Lambda's variables and `env`, which
    /// overrides them.
    ///
    /// # Errors
    /// If it can't be started, ends, reports an error, or requests no event within a minute.
    pub async fn start(binary: &Path, env: &[(&str, &str)]) -> Result<Self, Failure> {
        let not_started = |error| Failure { cause: Cause::Start(error), output: String::new() };
        let api = RuntimeApi::serve().await.map_err(not_started)?;
        let spawned = std::time::Instant::now();
        let process = Process::start(binary, api.address, env).map_err(not_started)?;
        let mut emulator = Self {
            api,
            process,
            cold_start: Duration::ZERO,
            time_limit: INVOCATION_TIMEOUT,
            binary: MediaTypes::default(),
        };
        let ready = emulator.ready().await.map_err(|cause| emulator.failure(cause))?;
        emulator.cold_start = ready.saturating_duration_since(spawned);
        Ok(emulator)
    }

    /// Limits the time of each invocation, as the function's setting does on Lambda.
    #[must_use]
    pub fn with_time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// Sets the API's binary media types. Without them, all bodies are text.
    #[must_use]
    pub fn with_binary_media_types(self, binary: MediaTypes) -> Self {
        Self { binary, ..self }
    }

    /// Returns the kind of a request: a binary response is passed on as bytes by the first media type of its first `Accept`.
    fn request(&self, event: &Value) -> Kind {
        let headers = event["multiValueHeaders"].as_object();
        let accept =
            headers.and_then(|headers| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("accept")));
        let accept = accept.and_then(|(_, values)| values[0].as_str());
        Kind::Request { accepts_binary: accept.is_some_and(|accept| self.binary.contain(accept)) }
    }

    /// Returns the time from the start of the process to its first request for an event.
    #[must_use]
    pub fn cold_start(&self) -> Duration {
        self.cold_start
    }

    /// Returns the resident memory of the process in bytes, where `/proc` exists.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        self.process.resident_bytes()
    }

    /// Returns the last lines that the function has printed.
    #[must_use]
    pub fn last_lines(&self) -> String {
        self.process.output.tail()
    }

    /// Returns the number of bytes that the function has printed since the last call.
    #[must_use]
    pub fn take_printed_bytes(&self) -> usize {
        self.process.output.take_bytes()
    }

    /// Sends the function an event, and waits for its complete response, for at most a minute.
    ///
    /// # Errors
    /// If the function ends, reports an error, or responds too late or with a response that API Gateway refuses.
    pub async fn invoke(&self, event: &Value) -> Result<Invocation, Failure> {
        self.begin(event).await?.collect().await
    }

    /// Sends the function an event, and waits for the status and the headers of its response.
    ///
    /// # Errors
    /// As [`Self::invoke`].
    pub async fn begin(&self, event: &Value) -> Result<InFlight<'_>, Failure> {
        let (parts, cutter) = self.api.queue(event, self.request(event), self.time_limit);
        let mut answer = InFlight {
            emulator: self,
            parts,
            cutter,
            deadline: Instant::now() + self.time_limit,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
        };
        match answer.part().await.map_err(|cause| self.failure(cause))? {
            Part::Head(status, headers) => Ok(InFlight { status, headers, ..answer }),
            other => Err(self.failure(Cause::Malformed(format!("it began with {other:?}")))),
        }
    }

    /// Sends the function an event that isn't a request, such as one of a schedule, and waits until it has handled it.
    ///
    /// # Errors
    /// If the function ends, reports an error, or takes too long.
    pub async fn trigger(&self, event: &Value) -> Result<(), Failure> {
        let (parts, cutter) = self.api.queue(event, Kind::Trigger, self.time_limit);
        let deadline = Instant::now() + self.time_limit;
        let (status, headers) = (StatusCode::OK, HeaderMap::new());
        let mut handled = InFlight { emulator: self, parts, cutter, deadline, status, headers };
        handled.part().await.map(drop).map_err(|cause| self.failure(cause))
    }

    /// Sends the function an event that isn't a request, such as one of a queue, and waits for its response, which is JSON.
    ///
    /// # Errors
    /// If the function ends, reports an error, takes too long, or responds with another thing than JSON.
    pub async fn answer(&self, event: &Value) -> Result<Value, Failure> {
        let (parts, cutter) = self.api.queue(event, Kind::Answer, self.time_limit);
        let deadline = Instant::now() + self.time_limit;
        let (status, headers) = (StatusCode::OK, HeaderMap::new());
        let mut answer = InFlight { emulator: self, parts, cutter, deadline, status, headers };
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body)
            .map_err(|error| self.failure(Cause::Malformed(format!("its response isn't JSON: {error}"))))
    }

    async fn ready(&self) -> Result<std::time::Instant, Cause> {
        let (mut phase, mut exited) = (self.api.phase.clone(), self.process.exited.clone());
        let progress = async {
            tokio::select! {
                biased;
                phase = phase.wait_for(|phase| !matches!(phase, Phase::Starting)) => match phase.as_deref() {
                    Ok(Phase::Ready(at)) => Ok(*at),
                    Ok(Phase::Failed { kind, message }) => {
                        Err(Cause::Reported { kind: kind.clone(), message: message.clone() })
                    }
                    _ => Err(Cause::Malformed("the Runtime API is gone".to_owned())),
                },
                status = exited.wait_for(Option::is_some) => Err(ended(status.ok().and_then(|status| *status))),
            }
        };
        let late = Cause::Deadline { awaited: "request an event", within: START_TIMEOUT };
        timeout(START_TIMEOUT, progress).await.unwrap_or(Err(late))
    }

    fn failure(&self, cause: Cause) -> Failure {
        Failure { cause, output: self.process.output.tail() }
    }
}

/// Response whose body is still being received.
#[derive(Debug)]
pub struct InFlight<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    emulator: &'a Emulator,
    parts: mpsc::UnboundedReceiver<Part>,
    cutter: oneshot::Sender<()>,
    deadline: Instant,
}

impl InFlight<'_> {
    /// Returns the next chunk of the body as the function sent it; `None` at its end. A buffered body is one chunk.
    ///
    /// # Errors
    /// As [`Emulator::invoke`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.part().await.map_err(|cause| self.emulator.failure(cause))? {
            Part::Chunk(chunk) => Ok(Some(chunk)),
            Part::End => Ok(None),
            other => Err(self.emulator.failure(Cause::Malformed(format!("{other:?} came amid the body")))),
        }
    }

    /// Cuts the connection on which the function sends the rest. A client that leaves doesn't: the function sends the rest
    /// to nobody, as it does when this is dropped.
    pub fn cut(self) {
        let _ = self.cutter.send(());
    }

    /// Waits for the rest of the body.
    ///
    /// # Errors
    /// As [`Emulator::invoke`].
    pub async fn collect(mut self) -> Result<Invocation, Failure> {
        let mut chunks = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            chunks.push(chunk);
        }
        Ok(Invocation { status: self.status, headers: self.headers, chunks })
    }

    async fn part(&mut self) -> Result<Part, Cause> {
        let mut exited = self.emulator.process.exited.clone();
        let deadline = self.deadline;
        tokio::select! {
            biased;
            part = self.parts.recv() => match part {
                Some(Part::Failed(cause)) => Err(cause),
                Some(part) => Ok(part),
                None => Err(Cause::Malformed("its connection was cut".to_owned())),
            },
            status = exited.wait_for(Option::is_some) => Err(ended(status.ok().and_then(|status| *status))),
            () = tokio::time::sleep_until(deadline) => {
                Err(Cause::Deadline { awaited: "respond", within: self.emulator.time_limit })
            }
        }
    }
}

fn ended(status: Option<std::process::ExitStatus>) -> Cause {
    Cause::Ended(status.unwrap_or_default())
}

/// Complete response, as API Gateway would pass it on.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Chunks of its body; a buffered body is one.
    pub chunks: Vec<Bytes>,
}

impl Invocation {
    /// Joins the body's chunks.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.chunks
            .iter()
            .fold(BytesMut::new(), |mut body, chunk| {
                body.extend_from_slice(chunk);
                body
            })
            .freeze()
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    /// If it isn't valid JSON.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.body())
    }
}
