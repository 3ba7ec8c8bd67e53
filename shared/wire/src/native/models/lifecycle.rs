//! Models in memory, and the removal of models.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ModelBody;
use crate::runtime_status::RuntimeStatus;

/// Models in memory.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoadedModels {
    /// Models with their states.
    pub models: Vec<ModelBody>,
}

/// State of a model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelStatus {
    /// Id of the model.
    pub model: String,
    /// State on its node; null while the node can't be reached.
    pub runtime_status: Option<RuntimeStatus>,
}

/// Query of a removal.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RemovalQuery {
    /// True to remove an explicit entry only: without one the response is 404, and a file stays. Such a request can be
    /// repeated.
    pub registration: Option<bool>,
}

/// Result of removing a model's file.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelRemoved {
    /// Id of the model.
    pub model: String,
    /// Always true.
    #[schema(example = true)]
    pub removed: bool,
    /// Freed bytes on the node's disk.
    pub freed_bytes: u64,
    /// True if it was a link in the model folder; its target remains.
    pub link: bool,
    /// True if an explicit entry was removed; files remain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub registration: bool,
}
