//! The link to a node: over the network, or in this process.
//!
//! Over the network each request has a JWT for this node, run, call and body. The node stores a run's events for a while:
//! a stream that breaks off is resumed after the last event.

mod local;

use std::time::Duration;

use futures::StreamExt as _;
use hearth_auth::LinkSigner;
use hearth_domain::{ClientDialect, Delivery, Extra, NodeId, OnDisconnect, ReasoningEffort, RunId, Task};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    node::{NodeCancelled, NodeModelCommand, NodeRemoved, NodeRun, NodeStatus},
};
use reqwest::{
    Method, Response, Url,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    config::LOCAL,
    framing::SseReader,
    provider::{Call, EventStream, Provider},
    rules::local_task,
    transport::{CONNECT_TIMEOUT, USER_AGENT, tls_config},
    transport_error,
};
pub use local::LocalNode;

/// Timeout for an answer that isn't streamed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for the first byte of a stream.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(15);
/// Timeout between two pieces of a stream. A node that has no event to send sends a comment every 10 s.
const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of resumptions of a stream without an event in between.
const RESUMES_MAX_COUNT: u32 = 3;
/// Delay before the first resumption after a failed one; it grows by as much each time.
const RESUME_DELAY: Duration = Duration::from_millis(200);

/// Builds the HTTP client for nodes.
///
/// # Errors
/// If it can't be built.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config())
        // A token is small: don't delay packets to fill them.
        .tcp_nodelay(true)
        .read_timeout(BETWEEN_BYTES_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(USER_AGENT)
        .build()
}

/// The link to one node.
#[derive(Clone)]
pub struct NodeLink {
    id: NodeId,
    transport: Transport,
}

#[derive(Clone)]
enum Transport {
    Network { url: String, http: reqwest::Client, signer: LinkSigner },
    Process(LocalNode),
}

impl std::fmt::Debug for NodeLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.transport {
            Transport::Network { url, .. } => write!(f, "NodeLink({} at {url})", self.id),
            Transport::Process(_) => write!(f, "NodeLink({} in this process)", self.id),
        }
    }
}

impl NodeLink {
    /// Creates a link to the node `id` at `url`.
    #[must_use]
    pub fn new(id: NodeId, url: &str, http: reqwest::Client, signer: LinkSigner) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { id, transport: Transport::Network { url, http, signer } }
    }

    /// Creates a link to a node in this process.
    #[must_use]
    pub fn local(node: LocalNode) -> Self {
        Self { id: node.id(), transport: Transport::Process(node) }
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Fetches the node's status: its models and their state.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn status(&self) -> Result<NodeStatus, ApiError> {
        self.request(Method::GET, "/v1/status", "status", None::<&()>).await
    }

    /// Starts to load a model.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn load(&self, model: &str) -> Result<(), ApiError> {
        self.command("/v1/models/load", model).await
    }

    /// Starts to unload a model.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn unload(&self, model: &str) -> Result<(), ApiError> {
        self.command("/v1/models/unload", model).await
    }

    /// Deletes a model's file.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn remove(&self, model: &str) -> Result<NodeRemoved, ApiError> {
        let body = NodeModelCommand { model: model.to_owned() };
        self.request(Method::POST, "/v1/models/remove", model, Some(&body)).await
    }

    async fn command(&self, path: &str, model: &str) -> Result<(), ApiError> {
        let body = NodeModelCommand { model: model.to_owned() };
        let trace = TraceContext::default();
        let sent = self.send(Method::POST, path, model, Some(&body), &trace);
        within(ANSWER_TIMEOUT, sent).await.map(drop)
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        about: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ApiError> {
        let answer = async {
            let response = self.send(method, path, about, body, &TraceContext::default()).await?;
            response.json().await.map_err(|error| offline(&error))
        };
        within(ANSWER_TIMEOUT, answer).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        about: &str,
        body: Option<&impl Serialize>,
        trace: &TraceContext,
    ) -> Result<Response, ApiError> {
        let internal = |error: &dyn std::error::Error| ApiError::new(ErrorCode::Internal, error.to_string());
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| internal(&error))?,
            None => Vec::new(),
        };
        let response = match &self.transport {
            Transport::Process(node) => {
                let request = http::Request::builder().method(method).uri(path);
                let request = request.header(CONTENT_TYPE, "application/json").body(body.into());
                let mut request = request.map_err(|error| internal(&error))?;
                trace.write_headers(request.headers_mut());
                node.handle(request).await
            }
            Transport::Network { url, http, signer } => {
                let call = format!("{method} {path}");
                let credential = signer.sign(&self.id.to_string(), about, &call, &body);
                let credential = credential.map_err(|error| internal(&error))?;
                let request = http.request(method, format!("{url}{path}")).bearer_auth(credential);
                let mut headers = HeaderMap::new();
                trace.write_headers(&mut headers);
                let request = request.headers(headers).header(CONTENT_TYPE, "application/json").body(body);
                request.send().await.map_err(|error| offline(&error))?
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        // A 401 of the node is about the gateway's credentials, not the client's.
        match response.json::<ApiError>().await {
            Ok(error) if error.code != ErrorCode::Unauthorized => Err(error),
            Ok(error) => Err(ApiError::new(ErrorCode::ProviderAuth, error.message)),
            Err(_) => Err(ApiError::new(ErrorCode::ProviderError, format!("the node answered {status}"))),
        }
    }

    /// Opens a stream of the run's events after the number `after`; `None` starts the run.
    async fn connect(
        &self,
        run: &NodeRun,
        after: Option<u64>,
        trace: &TraceContext,
    ) -> Result<Response, ApiError> {
        let about = run.run.to_string();
        match after {
            None => {
                let sent = self.send(Method::POST, "/v1/runs", &about, Some(run), trace);
                within(FIRST_BYTE_TIMEOUT, sent).await
            }
            Some(seq) => {
                let path = format!("/v1/runs/{about}/events?after={seq}");
                let sent = self.send(Method::GET, &path, &about, None::<&()>, trace);
                within(FIRST_BYTE_TIMEOUT, sent).await
            }
        }
    }

    fn follow(self, run: NodeRun, first: Response, trace: TraceContext) -> EventStream {
        Box::pin(async_stream::stream! {
            let (mut last_seq, mut resumes) = (0, 0);
            let mut connection = Some(first);
            loop {
                let response = match connection.take() {
                    Some(response) => response,
                    None => match self.connect(&run, Some(last_seq), &trace).await {
                        Ok(response) => response,
                        Err(_) if resumes < RESUMES_MAX_COUNT => {
                            resumes += 1;
                            tokio::time::sleep(RESUME_DELAY * resumes).await;
                            continue;
                        }
                        Err(error) => {
                            yield RunEventBody::Error { error: lost(&error.message) };
                            return;
                        }
                    },
                };
                let mut body = response.bytes_stream();
                let mut reader = SseReader::default();
                while let Some(Ok(bytes)) = body.next().await {
                    let mut frames = Vec::new();
                    let read = reader.push(&bytes, &mut frames);
                    for frame in frames {
                        let Ok(event) = serde_json::from_str::<RunEvent>(&frame.data) else { continue };
                        (last_seq, resumes) = (event.seq, 0);
                        let last = event.body.is_terminal();
                        yield event.body;
                        if last {
                            return;
                        }
                    }
                    if read.is_err() {
                        break;
                    }
                }
                resumes += 1;
                if resumes > RESUMES_MAX_COUNT {
                    yield RunEventBody::Error { error: lost("its stream broke off") };
                    return;
                }
                tracing::warn!(run = %run.run, last_seq, "a node's stream broke off; it is resumed");
            }
        })
    }
}

#[async_trait::async_trait]
impl Provider for NodeLink {
    fn name(&self) -> &str {
        LOCAL
    }

    fn kind(&self) -> &str {
        LOCAL
    }

    fn server_address(&self) -> Option<String> {
        let Transport::Network { url, .. } = &self.transport else { return None };
        Url::parse(url).ok()?.host_str().map(str::to_owned)
    }

    async fn generate(&self, call: Call) -> Result<EventStream, ApiError> {
        let run = NodeRun {
            run: call.run,
            model: call.model.to_string(),
            task: task(&call)?,
            priority: call.generation.priority,
            whole: call.delivery == Delivery::Whole,
            detached: call.generation.on_disconnect == OnDisconnect::Continue,
        };
        let first = self.connect(&run, None, &call.trace).await?;
        Ok(self.clone().follow(run, first, call.trace))
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        let path = format!("/v1/runs/{run}/cancel");
        let answer: NodeCancelled = self.request(Method::POST, &path, &run.to_string(), None::<&()>).await?;
        Ok(answer.cancelled)
    }
}

/// Builds the task for the node. A client of Anthropic's dialect that omits `thinking` expects no thoughts: its token
/// limit is for the answer.
///
/// # Errors
/// `invalid_request` for fields that no node supports.
fn task(call: &Call) -> Result<Task, ApiError> {
    let mut task = local_task(call)?;
    let Extra { dialect, fields, .. } = &call.generation.extra;
    if let Task::Text(text) = &mut task
        && *dialect == ClientDialect::Anthropic
        && !fields.contains_key("thinking")
    {
        text.reasoning.get_or_insert(ReasoningEffort::None);
    }
    Ok(task)
}

async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| {
        Err(ApiError::new(
            ErrorCode::NodeOffline,
            format!("the node didn't answer within {} s", timeout.as_secs()),
        ))
    })
}

/// The error for a request without a response.
fn offline(error: &reqwest::Error) -> ApiError {
    let reason = transport_error::reason(error);
    tracing::warn!(reason, "a node can't be reached");
    let message = format!("the node that has the model can't be reached ({reason}); is it running?");
    ApiError::new(ErrorCode::NodeOffline, message)
}

fn lost(problem: &str) -> ApiError {
    ApiError::new(ErrorCode::NodeLost, format!("the node was lost in the middle of the run: {problem}"))
}

#[cfg(test)]
mod tests;
