//! The state of a model on its node, in the native API and on the node link.

use hearth_domain::RuntimeState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// State of a model on its node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeStatus {
    /// `downloading`, `unloaded`, `loading`, `loaded`, `busy` or `failed`.
    #[schema(value_type = String)]
    pub state: RuntimeState,
    /// Progress of loading or downloading, 0 to 1.
    pub progress: Option<f32>,
    /// True if it serves requests that name no model.
    pub default: bool,
    /// Requests with a slot.
    pub active: u32,
    /// Waiting requests.
    pub queue_depth: u32,
    /// Number of requests that it serves at once.
    pub slots: u32,
    /// Resident memory of its process in bytes.
    pub memory_bytes: Option<u64>,
    /// Estimated memory in bytes, from its file.
    #[serde(default)]
    pub memory_predicted_bytes: Option<u64>,
    /// Id of its process on the node.
    pub pid: Option<u32>,
    /// Time of loading, ISO 8601.
    pub loaded_at: Option<String>,
    /// End of its last request, ISO 8601.
    pub last_used_at: Option<String>,
    /// Error of its last load.
    pub error: Option<String>,
    /// Compute backends, such as `cuda, cpu-haswell`; null while it isn't in memory.
    #[serde(default)]
    pub backends: Option<String>,
}
