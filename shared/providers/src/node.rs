//! A node, reached directly: at its address, or in this process.
//!
//! Over a network each request carries a JWT for this node, this run, this call and this body. The node keeps a run's
//! events for a while: when the stream is cut, it is read on from where it broke.

mod local;

use std::time::Duration;

use futures::StreamExt as _;
use hearth_auth::LinkSigner;
use hearth_domain::{ClientDialect, Extra, NodeId, OnDisconnect, ReasoningEffort, RunId, Task};
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    node::{NodeCancelled, NodeModelCommand, NodeRemoved, NodeRun, NodeStatus},
};
use reqwest::{Method, Response, header::CONTENT_TYPE};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Call, EventStream, Provider, config::LOCAL, framing::SseReader, rules::local_task, transport_error,
};
pub use local::LocalNode;

/// How long a node may take to answer a question.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a node may take to begin a stream.
const FIRST_BYTE: Duration = Duration::from_secs(15);
/// How often a cut stream is picked up again without an event in between.
const MAX_RESUMES: u32 = 3;

/// The direct link to one node.
#[derive(Clone)]
pub struct NodeLink {
    id: NodeId,
    way: Way,
}

/// How a node is reached.
#[derive(Clone)]
enum Way {
    Network { url: String, http: reqwest::Client, signer: LinkSigner },
    Process(LocalNode),
}

impl std::fmt::Debug for NodeLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.way {
            Way::Network { url, .. } => write!(f, "NodeLink({} at {url})", self.id),
            Way::Process(_) => write!(f, "NodeLink({} in this process)", self.id),
        }
    }
}

impl NodeLink {
    /// A link to the node `id` at `url`.
    #[must_use]
    pub fn new(id: NodeId, url: &str, http: reqwest::Client, signer: LinkSigner) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { id, way: Way::Network { url, http, signer } }
    }

    /// A link to a node in this process.
    #[must_use]
    pub fn local(node: LocalNode) -> Self {
        Self { id: node.id(), way: Way::Process(node) }
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// What the node has and does.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn status(&self) -> Result<NodeStatus, ApiError> {
        self.ask(Method::GET, "/v1/status", "status", None::<&()>).await
    }

    /// Begins to load a model.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn load(&self, model: &str) -> Result<(), ApiError> {
        self.command("/v1/models/load", model).await
    }

    /// Begins to unload a model.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn unload(&self, model: &str) -> Result<(), ApiError> {
        self.command("/v1/models/unload", model).await
    }

    /// Removes a model's file.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn remove(&self, model: &str) -> Result<NodeRemoved, ApiError> {
        let body = NodeModelCommand { model: model.to_owned() };
        self.ask(Method::POST, "/v1/models/remove", model, Some(&body)).await
    }

    async fn command(&self, path: &str, model: &str) -> Result<(), ApiError> {
        let body = NodeModelCommand { model: model.to_owned() };
        within(ANSWER, self.send(Method::POST, path, model, Some(&body))).await.map(drop)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        about: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ApiError> {
        let answer = async {
            let response = self.send(method, path, about, body).await?;
            response.json().await.map_err(|error| offline(&error))
        };
        within(ANSWER, answer).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        about: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Response, ApiError> {
        let internal = |error: &dyn std::error::Error| ApiError::new(ErrorCode::Internal, error.to_string());
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| internal(&error))?,
            None => Vec::new(),
        };
        let response = match &self.way {
            Way::Process(node) => {
                let request = http::Request::builder().method(method).uri(path);
                let request = request.header(CONTENT_TYPE, "application/json").body(body.into());
                node.answer(request.map_err(|error| internal(&error))?).await
            }
            Way::Network { url, http, signer } => {
                let call = format!("{method} {path}");
                let credential = signer.sign(&self.id.to_string(), about, &call, &body);
                let credential = credential.map_err(|error| internal(&error))?;
                let request = http.request(method, format!("{url}{path}")).bearer_auth(credential);
                let request = request.header(CONTENT_TYPE, "application/json").body(body);
                request.send().await.map_err(|error| offline(&error))?
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        // The node speaks of itself to its gateway; its 401 is not the client's.
        match response.json::<ApiError>().await {
            Ok(error) if error.code != ErrorCode::Unauthorized => Err(error),
            Ok(error) => Err(ApiError::new(ErrorCode::ProviderAuth, error.message)),
            Err(_) => Err(ApiError::new(ErrorCode::ProviderError, format!("the node answered {status}"))),
        }
    }

    /// The run's events after `after`, as far as this connection gives them.
    async fn connect(&self, run: &NodeRun, after: Option<u64>) -> Result<Response, ApiError> {
        let about = run.run.to_string();
        match after {
            None => within(FIRST_BYTE, self.send(Method::POST, "/v1/runs", &about, Some(run))).await,
            Some(seq) => {
                let path = format!("/v1/runs/{about}/events?after={seq}");
                within(FIRST_BYTE, self.send(Method::GET, &path, &about, None::<&()>)).await
            }
        }
    }

    fn follow(self, run: NodeRun, first: Response) -> EventStream {
        Box::pin(async_stream::stream! {
            let (mut seen, mut resumes) = (0, 0);
            let mut connection = Some(first);
            loop {
                let response = match connection.take() {
                    Some(response) => response,
                    None => match self.connect(&run, Some(seen)).await {
                        Ok(response) => response,
                        Err(_) if resumes < MAX_RESUMES => {
                            resumes += 1;
                            tokio::time::sleep(Duration::from_millis(200) * resumes).await;
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
                        (seen, resumes) = (event.seq, 0);
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
                if resumes > MAX_RESUMES {
                    yield RunEventBody::Error { error: lost("its stream broke off") };
                    return;
                }
                tracing::warn!(run = %run.run, seen, "a node's stream was cut; it is read on");
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

    async fn generate(&self, call: Call) -> Result<EventStream, ApiError> {
        let run = NodeRun {
            run: call.run,
            model: call.model.to_string(),
            task: task(&call)?,
            priority: call.generation.priority,
            whole: call.generation.whole,
            detached: call.generation.on_disconnect == OnDisconnect::Continue,
        };
        let first = self.connect(&run, None).await?;
        Ok(self.clone().follow(run, first))
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        let path = format!("/v1/runs/{run}/cancel");
        let answer: NodeCancelled = self.ask(Method::POST, &path, &run.to_string(), None::<&()>).await?;
        Ok(answer.cancelled)
    }
}

/// What the node is asked for. A client of Anthropic's dialect that doesn't say `thinking` wants none: its limit of
/// tokens is for the answer.
///
/// # Errors
/// `invalid_request` for what no node can do.
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
    limit: Duration,
    answer: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        Err(ApiError::new(
            ErrorCode::NodeOffline,
            format!("the node didn't answer within {} s", limit.as_secs()),
        ))
    })
}

/// A request to the node that got no answer.
fn offline(error: &reqwest::Error) -> ApiError {
    let reason = transport_error::reason(error);
    tracing::warn!(reason, "a node can't be reached");
    let message = format!("the node that has the model can't be reached ({reason}); is it running?");
    ApiError::new(ErrorCode::NodeOffline, message)
}

fn lost(why: &str) -> ApiError {
    ApiError::new(ErrorCode::NodeLost, format!("the node was lost in the middle of the run: {why}"))
}

#[cfg(test)]
mod tests;
