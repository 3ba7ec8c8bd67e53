//! The seam between the node link and the ways by which it reaches a node.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use hearth_domain::{NodeTransport, RunId};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{ApiError, ErrorCode, RunEvent, json_body::parse_bytes, node::NodeRun};
use http::{Method, StatusCode};

/// Events of a run, in order and without gaps. The stream ends after the terminal event, or earlier if the transport broke:
/// then [`LinkTransport::events`] continues it.
pub type LinkEvents = BoxStream<'static, RunEvent>;

/// A request to a node without a stream.
#[derive(Debug, Clone)]
pub struct LinkRequest {
    /// The method.
    pub method: Method,
    /// The path of the node link, as in `/v1/models/load`.
    pub path: String,
    /// The subject, for the request's credential: a run, a model.
    pub about: String,
    /// The body: JSON, or nothing.
    pub body: Bytes,
}

/// A node's answer to a [`LinkRequest`].
#[derive(Debug, Clone)]
pub struct LinkResponse {
    /// The status.
    pub status: StatusCode,
    /// The body: JSON, or nothing.
    pub body: Bytes,
}

impl LinkResponse {
    /// Turns an answer that isn't a success into the node's error.
    ///
    /// # Errors
    /// The node's error.
    pub fn into_success(self) -> Result<Self, ApiError> {
        if self.status.is_success() {
            return Ok(self);
        }
        // A 401 of the node is about the gateway's credentials, not the client's.
        match parse_bytes::<ApiError>(&self.body) {
            Ok(error) if error.code != ErrorCode::Unauthorized => Err(error),
            Ok(error) => Err(ApiError::new(ErrorCode::ProviderAuth, error.message)),
            Err(_) => {
                let message = format!("the node answered {}", self.status);
                Err(ApiError::new(ErrorCode::ProviderError, message))
            }
        }
    }
}

/// A way by which requests reach a node, and the events of runs come back.
///
/// Every implementation passes the same tests. The rules:
/// - a run that was started is executed by the node at most once, whatever is repeated, unless it has failed;
/// - events of a run have the numbers 1, 2, 3 ..., and no event follows the terminal one;
/// - [`LinkTransport::events`] returns those after a number, as long as the node or the gateway stores them.
#[async_trait]
pub trait LinkTransport: std::fmt::Debug + Send + Sync {
    /// The kind.
    fn kind(&self) -> NodeTransport;

    /// The host that the gateway connects to, if it does.
    fn server_address(&self) -> Option<String> {
        None
    }

    /// Sends a request, and returns the answer, of whatever status.
    ///
    /// # Errors
    /// `node_offline` if the node can't be reached.
    async fn request(&self, request: LinkRequest) -> Result<LinkResponse, ApiError>;

    /// Starts a run, and returns its events from the first. When this returns, the node has accepted the run.
    ///
    /// # Errors
    /// `node_offline`, or the node's refusal, such as `queue_full`.
    async fn start(&self, run: &NodeRun, trace: &TraceContext) -> Result<LinkEvents, ApiError>;

    /// The events of a started run after the number `after`.
    ///
    /// # Errors
    /// `node_offline`; `not_found` if the node doesn't have the run; `conflict` if some of the events are no longer stored.
    async fn events(&self, run: RunId, after: u64, trace: &TraceContext) -> Result<LinkEvents, ApiError>;

    /// Stops a run. Returns false if it had ended.
    ///
    /// # Errors
    /// `node_offline` if the node can't be reached.
    async fn cancel(&self, run: RunId) -> Result<bool, ApiError>;
}
