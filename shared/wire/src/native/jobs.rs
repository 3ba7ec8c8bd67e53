//! Bodies of `/v1/models/download` and `/v1/jobs`.

use hearth_domain::{JobError, JobId, JobState, NodeId, Priority, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::hub::ModelCard;

/// Characters of a source, at most.
pub const SOURCE_MAX_CHARS: usize = 4_096;

/// Model to download: the body of `POST /v1/models/download`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DownloadRequest {
    /// Source: `OWNER/REPO` or `OWNER/REPO:QUANTISATION` of Hugging Face, the address of its page or of any file, a name of
    /// Ollama's library (`ollama:qwen3:0.6b`) or of another registry (`oci://HOST/NAME:TAG`), or a path on the node.
    #[schema(example = "Qwen/Qwen3-0.6B-GGUF:Q8_0")]
    pub source: String,
    /// File of the repository; or, for an address without a file's name, the name that the file gets.
    #[serde(default)]
    pub file: Option<String>,
    /// SHA-256 that the file must have, hexadecimal. Hugging Face and registries list it; for an address it is optional.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Node that downloads; absent: the caller's own, or else one that the caller manages.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "node_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
    pub node: Option<NodeId>,
    /// Place among the downloads that wait.
    #[serde(default)]
    #[schema(inline)]
    pub priority: Priority,
    /// Token for the source, for a private repository or one whose terms must be accepted; absent: the node's own.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub token: Option<Secret>,
}

/// Job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobBody {
    /// Id.
    #[schema(value_type = String, example = "job_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
    pub id: JobId,
    /// Always `job`.
    #[schema(example = "job")]
    pub object: String,
    /// Always `download`.
    #[schema(example = "download")]
    pub kind: String,
    /// State.
    #[schema(inline)]
    pub state: JobState,
    /// Source.
    pub source: String,
    /// Node that downloads.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Id of the model; null until the file is known.
    pub model: Option<String>,
    /// Path of the file, or of the first of several, below the node's model folder; null until it is known.
    pub file: Option<String>,
    /// SHA-256 of the file, hexadecimal, if the source lists it.
    pub sha256: Option<String>,
    /// Size of all files in bytes; null until it is known.
    pub size_bytes: Option<u64>,
    /// Bytes so far.
    pub done_bytes: u64,
    /// Progress in percent; null without a size.
    pub progress_pct: Option<f64>,
    /// Present speed in bytes per second.
    pub bytes_per_second: Option<u64>,
    /// Seconds until the end at the present speed.
    pub seconds_left: Option<u64>,
    /// Place among the downloads that wait.
    #[schema(inline)]
    pub priority: Priority,
    /// Error of a failed job.
    #[schema(inline)]
    pub error: Option<JobError>,
    /// The model's card, if Hugging Face has answered with it.
    pub card: Option<ModelCard>,
    /// Creation time, ISO 8601.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// Time of the latest state, ISO 8601.
    #[schema(value_type = String)]
    pub updated_at: Timestamp,
    /// Time of the end, ISO 8601.
    #[schema(value_type = Option<String>)]
    pub ended_at: Option<Timestamp>,
}

/// Page of jobs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// Jobs, newest first.
    pub jobs: Vec<JobBody>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Filter and page of the jobs.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct JobQuery {
    /// State: `queued`, `running`, `paused`, `completed`, `failed` or `cancelled`.
    #[param(inline)]
    pub state: Option<JobState>,
    /// Maximum number of jobs, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}
