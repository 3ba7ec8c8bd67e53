//! The relay: the requests of a node to its gateway, where the gateway can't reach the node.
//!
//! The gateway stores a run for the node and rings its doorbell: a message over the node's socket, which is a hint only. The
//! node claims the run, and posts its events in batches, each under the fencing token of its claim. The answer to each batch
//! says whether the run is cancelled. Other requests of the gateway, such as to load a model, are stored as calls, which the
//! node fetches and answers.

use hearth_domain::{NodeCallId, NodeEnergy, NodeId, RunId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ApiError, RunEvent,
    node::{NodeRun, NodeStatus},
};

/// Maximum bytes of a message over a socket: API Gateway's limit of a frame.
pub const SOCKET_MESSAGE_MAX_BYTES: usize = 32 << 10;

/// Enrols a node: the body of `POST /v1/node/enroll`. The code is the credential.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrollBody {
    /// The one-time code.
    #[schema(value_type = String, example = "hnode_...")]
    pub code: Secret,
    /// The node's Ed25519 public key, 32 bytes in base64.
    pub public_key: String,
    /// Name for people; the name that the code's maker chose precedes it.
    #[serde(default)]
    pub name: Option<String>,
    /// Region in which the node is.
    #[serde(default)]
    pub region: Option<String>,
    /// Address at which the gateway may reach the node, if it has one. Where that fails, the node connects to the gateway.
    #[serde(default)]
    pub url: Option<String>,
    /// SHA-256 of the public key of the certificate at that address, hexadecimal.
    #[serde(default)]
    pub certificate_key: Option<String>,
    /// Version of the node's program.
    pub version: String,
}

/// An enrolled node: the response of `POST /v1/node/enroll`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Enrolled {
    /// The node's id.
    #[schema(value_type = String, example = "node_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Public key, in base64, of the gateway's requests to the node.
    pub gateway_key: String,
}

/// State of a node: the body of `POST /v1/node/report`, which a node sends at its start, after each change, and at each interval
/// that the gateway sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeReport {
    /// Its models, backends and storage; none if they haven't changed since the last report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub status: Option<NodeStatus>,
    /// Version of its program.
    pub version: String,
    /// Its clock.
    #[schema(value_type = String)]
    pub now: Timestamp,
    /// Power and price by its own settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<NodeEnergy>,
    /// Address of its network card, by which another node may wake it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Runs at a time that it takes; none for no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_max_count: Option<u32>,
    /// The last error of its link, for its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// True if the node is shutting down: it claims no further runs.
    #[serde(default)]
    pub stopping: bool,
}

/// Work for a node: the response of `POST /v1/node/report` and `GET /v1/node/orders`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeOrders {
    /// Runs that are assigned to it and not ended, oldest first.
    #[schema(value_type = Vec<String>)]
    pub runs: Vec<RunId>,
    /// Calls to answer, oldest first.
    pub calls: Vec<NodeCall>,
    /// Runs to cancel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub cancelled: Vec<RunId>,
    /// Seconds between two reports.
    pub report_seconds: u32,
    /// Seconds between two requests for orders while there is no socket.
    pub poll_seconds: u32,
    /// Address of the socket, absolute or a path of the gateway; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// Seconds after which the gateway closes a socket; none for 2 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket_seconds: Option<u32>,
    /// True if the node gets no further runs.
    #[serde(default)]
    pub draining: bool,
    /// Transport that the gateway has chosen for runs, and why, for the node's owner.
    #[serde(default)]
    pub transport: String,
}

/// The query of `GET /v1/node/orders`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrdersQuery {
    /// Seconds to wait for new orders.
    #[serde(default)]
    pub wait: u32,
}

/// A request of the gateway, other than a run, for a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeCall {
    /// Its id.
    #[schema(value_type = String)]
    pub id: NodeCallId,
    /// Method and path of the node link, as in `POST /v1/models/load`.
    pub call: String,
    /// Its body.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub body: serde_json::Value,
}

/// Answer to a call: the body of `POST /v1/node/calls/{id}/answer`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeCallAnswer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub body: serde_json::Value,
}

/// Claims a run: the body of `POST /v1/node/runs/{id}/claim`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimBody {
    /// A random name of the node's process. The process that has claimed a run may repeat the claim, and gets the same fencing
    /// token; another process is the node after a restart, which has lost the run if it had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
}

/// A claimed run: the response of `POST /v1/node/runs/{id}/claim`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClaimedRun {
    /// The run.
    #[schema(value_type = Object)]
    pub run: NodeRun,
    /// Fencing token: only batches with the latest one are accepted.
    pub fence: u64,
    /// Seq of the last event that the gateway has of the run: 0 for a new one.
    pub last_seq: u64,
    /// Seconds for which the claim is valid without a batch.
    pub lease_seconds: u32,
}

/// Events of a claimed run: the body of `POST /v1/node/runs/{id}/events`. An empty batch renews the lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeEventBatch {
    /// Fencing token of the claim.
    pub fence: u64,
    /// Events in order, without gaps. Those that the gateway has already are ignored.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<RunEvent>,
}

/// Answer to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeBatchAccepted {
    /// Seq of the last event that the gateway has. A batch that leaves a gap is not stored: the node sends the events after this
    /// seq again.
    pub last_seq: u64,
    /// True if the run is to be stopped.
    pub cancelled: bool,
}

/// Refuses a run before its first event: the body of `POST /v1/node/runs/{id}/refuse`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeRefusal {
    /// Fencing token of the claim.
    pub fence: u64,
    /// Reason, such as `queue_full`.
    #[schema(value_type = Object)]
    pub error: ApiError,
}

/// Message of the gateway to a node, over its socket. A hint only: the node asks for the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Doorbell {
    /// A run waits to be claimed.
    Run {
        /// The run.
        run: RunId,
    },
    /// A run is cancelled.
    Cancel {
        /// The run.
        run: RunId,
    },
    /// A call, or another change of the orders.
    Orders,
    /// Answer to a heartbeat.
    Heartbeat,
}

/// Message of a node to the gateway, over its socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NodeMessage {
    /// The node is alive. Answered by [`Doorbell::Heartbeat`].
    Heartbeat,
}
