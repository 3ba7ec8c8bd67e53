//! The link to a node: over the network, in this process, or by the relay.
//!
//! A [`LinkTransport`] carries the gateway's requests to the node. The node stores a run's events for a while: a stream that
//! breaks off is resumed after the last event, whatever the transport.

mod commands;
mod direct;
mod downloads;
mod in_process;
mod local;
mod transport;

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use hearth_auth::LinkSigner;
use hearth_domain::{
    ClientDialect, Delivery, Extra, NodeId, NodeTransport, OnDisconnect, ReasoningEffort, RunId, Task,
};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    json_body::parse_bytes,
    node::{NodeCountBody, NodeRun, NodeStatus, NodeTokenCount},
    node_limits::{check_event, check_status, error_of_node},
};
use reqwest::Method;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    config::LOCAL,
    provider::{Call, EventStream, Provider},
    rules::local_task,
    transport::{
        AddressGuard, AllowedAddresses, CONNECT_TIMEOUT, PinnedKey, USER_AGENT, pinned_tls_config, tls_config,
    },
};
use direct::DirectTransport;
use in_process::InProcessTransport;
pub use local::LocalNode;
pub use transport::{LinkEvents, LinkRequest, LinkResponse, LinkTransport};

/// Timeout for an answer that isn't streamed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout between two pieces of a stream. A node that has no event to send sends a comment every 10 s.
const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of resumptions of a stream without an event in between.
const RESUMES_MAX_COUNT: u32 = 3;
/// Timeout of the call that stops a run whose events are refused.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
/// The path of the challenge.
const CHALLENGE_PATH: &str = "/v1/challenge";
/// Delay before the first resumption after a failed one; it grows by as much each time.
const RESUME_DELAY: Duration = Duration::from_millis(200);

/// Builds the HTTP client for nodes and identity providers. It checks the addresses of names; its users check addresses
/// in URLs.
///
/// # Errors
/// If it can't be built.
pub fn http_client(allowed: AllowedAddresses) -> Result<reqwest::Client, reqwest::Error> {
    client(allowed, tls_config())
}

/// Builds the HTTP client for a node whose certificate has this key.
///
/// # Errors
/// If it can't be built.
pub fn pinned_http_client(
    allowed: AllowedAddresses,
    key: PinnedKey,
) -> Result<reqwest::Client, reqwest::Error> {
    client(allowed, pinned_tls_config(key))
}

fn client(allowed: AllowedAddresses, tls: rustls::ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .dns_resolver(AddressGuard::new(allowed))
        .tls_backend_preconfigured(tls)
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
    transport: Arc<dyn LinkTransport>,
}

impl std::fmt::Debug for NodeLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeLink({} by {:?})", self.id, self.transport)
    }
}

impl NodeLink {
    /// Creates a link to the node `id` over `transport`.
    #[must_use]
    pub fn over(id: NodeId, transport: Arc<dyn LinkTransport>) -> Self {
        Self { id, transport }
    }

    /// Creates a link to the node `id` at `url`.
    #[must_use]
    pub fn new(id: NodeId, url: &str, http: reqwest::Client, signer: LinkSigner) -> Self {
        Self::over(id, Arc::new(DirectTransport::new(id, url, http, signer)))
    }

    /// Creates a link to a node in this process.
    #[must_use]
    pub fn local(node: LocalNode) -> Self {
        Self::over(node.id(), Arc::new(InProcessTransport(node)))
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The transport.
    #[must_use]
    pub fn into_transport(self) -> Arc<dyn LinkTransport> {
        self.transport
    }

    /// The kind of the transport.
    #[must_use]
    pub fn transport(&self) -> NodeTransport {
        self.transport.kind()
    }

    /// Fetches the node's status: its models and their state.
    ///
    /// # Errors
    /// `node_offline`, also for a node with more models than the gateway lists; or the node's own error.
    pub async fn status(&self) -> Result<NodeStatus, ApiError> {
        let status = self.request(Method::GET, "/v1/status", "status", None::<&()>).await?;
        if self.is_foreign() {
            check_status(&status).map_err(|error| ApiError::new(ErrorCode::NodeOffline, error.message))?;
        }
        Ok(status)
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        about: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ApiError> {
        let response = self.send(method, path, about, body).await?;
        parse_bytes(&response.body).map_err(|error| {
            let message = format!("the node's answer can't be read: {error}");
            ApiError::new(ErrorCode::ProviderError, message)
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        about: &str,
        body: Option<&impl Serialize>,
    ) -> Result<LinkResponse, ApiError> {
        let body = match body {
            Some(body) => serde_json::to_vec(body)
                .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?,
            None => Vec::new(),
        };
        let request =
            LinkRequest { method, path: path.to_owned(), about: about.to_owned(), body: body.into() };
        let answer = within(ANSWER_TIMEOUT, self.transport.request(request)).await?.into_success();
        if self.is_foreign() { answer.map_err(error_of_node) } else { answer }
    }

    /// True if the node is another program, which the gateway doesn't trust.
    fn is_foreign(&self) -> bool {
        self.transport.kind() != NodeTransport::InProcess
    }

    /// Checks an event of a run.
    fn check(&self, event: RunEvent) -> Result<RunEvent, ApiError> {
        if self.is_foreign() { check_event(event).map_err(|error| refused(&error)) } else { Ok(event) }
    }

    /// The events of a run that an earlier process has started, after the node's number `after`.
    ///
    /// # Errors
    /// As [`LinkTransport::events`].
    pub async fn resume(&self, run: RunId, after: u64) -> Result<EventStream, ApiError> {
        let trace = TraceContext::default();
        let first = self.transport.events(run, after, &trace).await?;
        Ok(self.clone().follow(run, after, first, trace))
    }

    fn follow(self, run: RunId, after: u64, first: LinkEvents, trace: TraceContext) -> EventStream {
        Box::pin(async_stream::stream! {
            let (mut last_seq, mut resumes) = (after, 0);
            let mut connection = Some(first);
            loop {
                let mut events = match connection.take() {
                    Some(events) => events,
                    None => match self.transport.events(run, last_seq, &trace).await {
                        Ok(events) => events,
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
                while let Some(event) = events.next().await {
                    let event = match self.check(event) {
                        Ok(event) => event,
                        Err(error) => {
                            stop_run(&*self.transport, run).await;
                            yield RunEventBody::Error { error };
                            return;
                        }
                    };
                    (last_seq, resumes) = (event.seq, 0);
                    let last = event.body.is_terminal();
                    yield event.body;
                    if last {
                        return;
                    }
                }
                resumes += 1;
                if resumes > RESUMES_MAX_COUNT {
                    yield RunEventBody::Error { error: lost("its stream broke off") };
                    return;
                }
                tracing::warn!(%run, last_seq, "a node's stream broke off; it is resumed");
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
        self.transport.server_address()
    }

    fn outlives_gateway(&self) -> bool {
        self.transport.kind() != NodeTransport::InProcess
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
        let first = self.transport.start(&run, &call.trace).await?;
        Ok(self.clone().follow(run.run, 0, first, call.trace))
    }

    async fn count_tokens(&self, body: &NodeCountBody) -> Result<Option<NodeTokenCount>, ApiError> {
        let count: NodeTokenCount =
            self.request(Method::POST, "/v1/models/tokens", &body.model, Some(body)).await?;
        // A node is a stranger's program.
        match count.texts.len() == body.texts.len() && count.prompt.is_some() == body.task.is_some() {
            true => Ok(Some(count)),
            false => Err(ApiError::new(ErrorCode::ProviderError, "the node has counted other texts")),
        }
    }

    async fn count_prompt(&self, call: &Call) -> Result<Option<u32>, ApiError> {
        let Task::Text(task) = task(call)? else { return Ok(None) };
        let body = NodeCountBody { model: call.model.to_string(), task: Some(task), texts: Vec::new() };
        Ok(self.count_tokens(&body).await?.and_then(|count| count.prompt))
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        within(ANSWER_TIMEOUT, self.transport.cancel(run)).await
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

/// Stops a run whose node has sent an event that is refused.
async fn stop_run(node: &dyn LinkTransport, run: RunId) {
    if let Err(error) = within(STOP_TIMEOUT, node.cancel(run)).await {
        tracing::warn!(%run, %error, "a run whose events are refused can't be stopped at its node");
    }
}

/// The error of a run whose node has sent an event that no node may send.
fn refused(problem: &ApiError) -> ApiError {
    let message = format!(
        "the node has sent an event that the gateway refuses, and the run is stopped: {}",
        problem.message
    );
    ApiError::new(ErrorCode::ProviderError, message)
}

fn lost(problem: &str) -> ApiError {
    ApiError::new(ErrorCode::NodeLost, format!("the node was lost in the middle of the run: {problem}"))
}

#[cfg(test)]
mod tests;
