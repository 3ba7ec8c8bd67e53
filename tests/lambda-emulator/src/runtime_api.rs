//! Server of the Runtime API.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::{get, post},
    serve::ListenerExt as _,
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    Cause,
    integration::{self, Part},
};

/// Progress of the function's start.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    Starting,
    /// The function has requested its first event.
    Ready(Instant),
    /// The function has reported an error before its first request.
    Failed {
        kind: String,
        message: String,
    },
}

/// Handle of the server, which stops when it is dropped.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    pub(crate) phase: watch::Receiver<Phase>,
    events: mpsc::UnboundedSender<Queued>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Queued {
    event: Bytes,
    kind: Kind,
    deadline: Duration,
    receiver: ResponseReceiver,
}

/// Receiver of an invocation's response.
#[derive(Debug)]
struct ResponseReceiver {
    parts: mpsc::UnboundedSender<Part>,
    /// Cuts the connection on which the function sends its response.
    cut: oneshot::Receiver<()>,
}

/// Source of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// API Gateway, which reads the response. It decodes a base64 body if `accepts_binary` is true, and passes it on as text
    /// otherwise.
    Request { accepts_binary: bool },
    /// Another service, which doesn't.
    Trigger,
    /// Another service, which reads a response of JSON.
    Answer,
}

#[derive(Debug)]
struct Shared {
    events: AsyncMutex<mpsc::UnboundedReceiver<Queued>>,
    in_flight: Mutex<HashMap<String, (Kind, ResponseReceiver)>>,
    phase: watch::Sender<Phase>,
    count: AtomicU64,
}

impl RuntimeApi {
    /// Serves on a free port of this machine.
    pub(crate) async fn serve() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| {
            // Nagle's algorithm would delay a stream's chunks by 40 ms.
            let _ = stream.set_nodelay(true);
        });
        let (events, queue) = mpsc::unbounded_channel();
        let (phase, phase_receiver) = watch::channel(Phase::Starting);
        let shared = Arc::new(Shared {
            events: AsyncMutex::new(queue),
            in_flight: Mutex::default(),
            phase,
            count: AtomicU64::new(0),
        });
        let server = tokio::spawn(async move {
            // It runs until it is aborted.
            let _ = axum::serve(listener, router(shared)).await;
        });
        Ok(Self { address, phase: phase_receiver, events, server })
    }

    /// Queues an event, and returns a receiver of its response's parts, and the sender that cuts their connection.
    pub(crate) fn queue(
        &self,
        event: &Value,
        kind: Kind,
        deadline: Duration,
    ) -> (mpsc::UnboundedReceiver<Part>, oneshot::Sender<()>) {
        let (parts, receiver) = mpsc::unbounded_channel();
        let (cutter, cut) = oneshot::channel();
        // The receiver lives as long as the server does.
        let _ = self.events.send(Queued {
            event: event.to_string().into(),
            kind,
            deadline,
            receiver: ResponseReceiver { parts, cut },
        });
        (receiver, cutter)
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/invocation/next", get(next))
        .route("/invocation/{id}/response", post(response))
        .route("/invocation/{id}/error", post(error))
        .route("/init/error", post(init_error));
    Router::new().nest("/2018-06-01/runtime", api).with_state(shared)
}

/// Ids of the trace of each invocation, and of its span, as AWS X-Ray has them where a function is traced.
pub const XRAY_IDS: (&str, &str) = ("6718f3a0000000000000000000000001", "53995c3f42cd8ad8");

fn trace_header() -> String {
    let (trace, span) = XRAY_IDS;
    let (time, random) = trace.split_at(8);
    format!("Root=1-{time}-{random};Parent={span};Sampled=1")
}

/// Waits for the next event, without a limit.
async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.phase.send_if_modified(|phase| {
        let first = matches!(phase, Phase::Starting);
        if first {
            *phase = Phase::Ready(Instant::now());
        }
        first
    });
    let Some(queued) = shared.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let id = format!("00000000-0000-4000-8000-{:012}", shared.count.fetch_add(1, Ordering::Relaxed));
    shared
        .in_flight
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id.clone(), (queued.kind, queued.receiver));
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + queued.deadline;
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:emulated".to_owned(),
        ),
        ("lambda-runtime-trace-id", trace_header()),
        (CONTENT_TYPE.as_str(), "application/json".to_owned()),
    ];
    (headers, queued.event).into_response()
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let Some((kind, ResponseReceiver { parts, cut })) = shared.take(&id) else { return unknown() };
    let streams = streams(request.headers());
    let answer = request.into_body();
    let read = async {
        match kind {
            Kind::Trigger => integration::ignored(answer, &parts).await,
            Kind::Answer => integration::whole(answer, &parts).await,
            Kind::Request { .. } if streams => integration::streamed(answer, &parts).await,
            Kind::Request { accepts_binary } => integration::buffered(answer, accepts_binary, &parts).await,
        }
    };
    let read = tokio::select! {
        read = read => read,
        // The rest of the body isn't read, so the server closes the connection.
        Ok(()) = cut => return accepted(),
    };
    if let Err(cause) = read {
        let _ = parts.send(Part::Failed(cause));
    }
    accepted()
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    let Some((_, ResponseReceiver { parts, .. })) = shared.take(&id) else { return unknown() };
    let (kind, message) = error_in(&body);
    let _ = parts.send(Part::Failed(Cause::Reported { kind, message }));
    accepted()
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let (kind, message) = error_in(&body);
    shared.phase.send_replace(Phase::Failed { kind, message });
    accepted()
}

impl Shared {
    fn take(&self, id: &str) -> Option<(Kind, ResponseReceiver)> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

fn streams(headers: &HeaderMap) -> bool {
    headers.get("lambda-runtime-function-response-mode").is_some_and(|mode| mode == "streaming")
}

fn error_in(body: &[u8]) -> (String, String) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| body[name].as_str().unwrap_or("(missing)").to_owned();
    (field("errorType"), field("errorMessage"))
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, [(CONTENT_TYPE, "application/json")], Body::from(r#"{"status":"OK"}"#))
        .into_response()
}

fn unknown() -> Response {
    (StatusCode::BAD_REQUEST, r#"{"errorType":"InvalidRequestID","errorMessage":"no such invocation"}"#)
        .into_response()
}

#[cfg(test)]
mod tests;
