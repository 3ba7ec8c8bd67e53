//! `/v1/nodes`: the nodes of an organisation, for the people who use them.

use hearth_domain::NodeTransport;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::runtime_status::RuntimeStatus;

/// Code to create, by which a node is enrolled.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateNodeCode {
    /// Name of the node; absent: the name of its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "box in the cellar", max_length = 100)]
    pub name: Option<String>,
}

/// Created code. It is returned only once, and can be used once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedNodeCode {
    /// The code.
    #[schema(example = "hnode_...")]
    pub code: String,
    /// Expiry, ISO 8601.
    pub expires_at: String,
    /// Command to run on the node's machine.
    #[schema(example = "hearth node enroll https://ai.example.org hnode_...")]
    pub command: String,
}

/// Members of the organisation who may use a node beside its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSharingBody {
    /// Every member.
    #[serde(default)]
    pub organisation: bool,
    /// Ids of teams.
    #[serde(default)]
    pub teams: Vec<String>,
    /// Ids of users.
    #[serde(default)]
    pub users: Vec<String>,
}

/// Power that a node draws, and price of the energy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeEnergyBody {
    /// Watts while no run has a slot.
    pub idle_watts: f64,
    /// Watts while a run has a slot.
    pub busy_watts: f64,
    /// Dollars per kilowatt-hour.
    pub price_per_kwh: f64,
}

/// Changes of a node. An absent field stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeNode {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub name: Option<String>,
    /// Members who may use it beside its owner, in place of those of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<NodeSharingBody>,
    /// True if it gets no further runs; those that it has go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining: Option<bool>,
    /// Power that it draws, and price of the energy; zeros remove them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<NodeEnergyBody>,
}

/// Node, with its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeBody {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Id of the user who enrolled it.
    pub owner: String,
    /// Region in which it is.
    pub region: Option<String>,
    /// Members who may use it beside its owner.
    pub sharing: NodeSharingBody,
    /// True if it gets no further runs.
    pub draining: bool,
    /// Power that it draws, and price of the energy.
    pub energy: Option<NodeEnergyBody>,
    /// Time of enrolment, ISO 8601.
    pub created_at: String,
    /// State.
    pub status: NodeStatusBody,
}

/// State of a node, as far as it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeStatusBody {
    /// True if it answers, or has reported lately.
    pub alive: bool,
    /// Reason why it isn't alive.
    pub reason: Option<String>,
    /// Time of its last report, ISO 8601; only of a node that reports.
    pub seen_at: Option<String>,
    /// Way by which runs reach it: `in_process`, `direct` or `relay`.
    pub transport: NodeTransport,
    /// Reason for this way.
    pub transport_reason: String,
    /// Version of its program; only of a node that reports.
    pub version: Option<String>,
    /// Its clock minus the gateway's, in milliseconds, at its last report.
    pub clock_skew_ms: Option<i64>,
    /// Last error of its connection to the gateway.
    pub last_error: Option<String>,
    /// Compute library in use.
    pub backend: Option<String>,
    /// Compute libraries with a device: whether they work, and else the reason.
    pub devices: Vec<NodeDeviceBody>,
    /// Memory for models.
    pub memory: Option<NodeMemoryBody>,
    /// Bytes of its models on disk.
    pub storage_used_bytes: Option<u64>,
    /// Models in its folder.
    pub models: Vec<NodeModelBody>,
    /// Runs that wait or have a slot, of all its models.
    pub queue: NodeQueueBody,
}

impl NodeStatusBody {
    /// State of a node of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            alive: false,
            reason: None,
            seen_at: None,
            transport: NodeTransport::Relay,
            transport_reason: String::new(),
            version: None,
            clock_skew_ms: None,
            last_error: None,
            backend: None,
            devices: Vec::new(),
            memory: None,
            storage_used_bytes: None,
            models: Vec::new(),
            queue: NodeQueueBody::default(),
        }
    }
}

/// Compute library of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeDeviceBody {
    /// File name of the library.
    pub library: String,
    /// Result of its self-test: `in_use`, `passed`, `failed`, `unsupported`, `no_device` or `not_tested`.
    pub state: String,
    /// Reason of a failure, or of a missing device.
    pub reason: Option<String>,
}

/// Memory of a node for its models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeMemoryBody {
    /// Bytes for all models together.
    pub limit_bytes: u64,
    /// Bytes of the models in memory.
    pub used_bytes: u64,
}

/// Model of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeModelBody {
    /// Id.
    pub id: String,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// State.
    pub runtime: RuntimeStatus,
}

/// Runs of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeQueueBody {
    /// Runs that have a slot.
    pub active: u32,
    /// Runs that wait for one.
    pub waiting: u32,
}

/// Node that was woken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeWoken {
    /// Name of the node that has sent the wake-up packet.
    pub by: String,
}

/// Nodes that the caller may use, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NodeList {
    /// Nodes.
    pub nodes: Vec<NodeBody>,
}
