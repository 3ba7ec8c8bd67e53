//! Processes of the functions. As on Lambda, a process handles one event at a time, and a request that finds all of them busy
//! starts another.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{FunctionProgram, media_type::MediaTypes, refusal::Refusal, response};
use crate::Emulator;

/// Functions of an API by their logical ids.
#[derive(Debug)]
pub(crate) struct Functions {
    programs: BTreeMap<String, FunctionProgram>,
    binary: MediaTypes,
    idle: Arc<IdleProcesses>,
}

type IdleProcesses = Mutex<BTreeMap<String, Vec<Emulator>>>;

/// Head of a response, and its body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) chunks: mpsc::UnboundedReceiver<Result<Bytes, String>>,
}

impl Functions {
    pub(crate) fn new(programs: BTreeMap<String, FunctionProgram>, binary: MediaTypes) -> Self {
        Self { programs, binary, idle: Arc::default() }
    }

    /// Sends a function an event, and waits for the head of its response, or the whole of a buffered one.
    pub(crate) async fn invoke(
        &self,
        name: &str,
        event: Value,
        timeout_ms: u64,
        streamed: bool,
    ) -> Result<Response, Refusal> {
        let process = self.process(name).await?;
        let (head, answer) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        // A function runs on when its client has left, and after API Gateway's timeout.
        tokio::spawn(run(process, event, head, (name.to_owned(), Arc::clone(&self.idle))));
        let answer = match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => answer.map_err(Refusal::Integration)?,
            Ok(Err(_)) => return Err(Refusal::Integration("the emulator stops".to_owned())),
            Err(_) => return Err(Refusal::Timeout),
        };
        if streamed {
            return Ok(response::streamed(answer, deadline));
        }
        match timeout_at(deadline, response::buffered(answer)).await {
            Ok(response) => response,
            Err(_) => Err(Refusal::Timeout),
        }
    }

    /// Takes an idle process, or starts one.
    async fn process(&self, name: &str) -> Result<Emulator, Refusal> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name).and_then(Vec::pop);
        if let Some(process) = idle {
            return Ok(process);
        }
        let program =
            self.programs.get(name).ok_or_else(|| Refusal::Integration(format!("no program for {name}")))?;
        let env: Vec<(&str, &str)> =
            program.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let started = Emulator::start(&program.binary, &env).await;
        let process = started.map_err(|failure| Refusal::Integration(failure.to_string()))?;
        Ok(process.with_binary_media_types(self.binary.clone()))
    }
}

/// Carries out an invocation, and returns the process to the idle ones unless it failed.
async fn run(
    process: Emulator,
    event: Value,
    head: oneshot::Sender<Result<Answer, String>>,
    (name, idle): (String, Arc<IdleProcesses>),
) {
    let (sender, chunks) = mpsc::unbounded_channel();
    let failure = {
        let mut response = match process.begin(&event).await {
            Ok(response) => response,
            Err(failure) => {
                let _ = head.send(Err(failure.to_string()));
                return;
            }
        };
        let _ = head.send(Ok(Answer { status: response.status, headers: response.headers.clone(), chunks }));
        loop {
            match response.chunk().await {
                // The receiver is dropped when the client has left.
                Ok(Some(chunk)) => drop(sender.send(Ok(chunk))),
                Ok(None) => break None,
                Err(failure) => break Some(failure.to_string()),
            }
        }
    };
    match failure {
        Some(failure) => drop(sender.send(Err(failure))),
        None => idle.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().push(process),
    }
}
