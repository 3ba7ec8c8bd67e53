//! Bodies of `/v1/models/download` and `/v1/jobs`.

use hearth_domain::{JobError, JobId, JobKind, JobState, NodeId, Priority, RunId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{hub::ModelCard, webhooks::JobWebhook};

/// Characters of a source, at most.
pub const SOURCE_MAX_CHARS: usize = 4_096;

/// Characters of an idempotency key, at most.
pub const IDEMPOTENCY_KEY_MAX_CHARS: usize = 255;
/// Attempts of a job, at most.
pub const JOB_ATTEMPTS_MAX_COUNT: u32 = 10;
/// Seconds that a job may take, at most: 30 days.
pub const JOB_EXPIRY_MAX_SECONDS: u64 = 30 * 24 * 3600;

/// Job to submit: the body of `POST /v1/jobs`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// Kind: `generate` or `analyze`.
    #[schema(value_type = String, example = "generate")]
    pub kind: JobKind,
    /// Input: of `generate` a body of `POST /v1/generate`, of `analyze` one of `POST /v1/analyze`.
    #[schema(value_type = Object)]
    pub input: Value,
    /// Place among the jobs that wait. It rises with waiting.
    #[serde(default)]
    #[schema(value_type = String)]
    pub priority: Priority,
    /// Time before which the job isn't carried out, ISO 8601.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub not_before: Option<Timestamp>,
    /// Attempts after which the job fails, 1 to 10; absent: the operator's setting, 3 by default.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10)]
    pub max_attempts: Option<u32>,
    /// Seconds after `not_before`, or after the submission, at which the job ends, complete or not; absent: the operator's setting,
    /// a day by default.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub expires_after_seconds: Option<u64>,
    /// Webhook that gets the job's end.
    #[serde(default)]
    pub webhook: Option<JobWebhook>,
}

/// Attempt to carry out a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobAttemptBody {
    /// Number, from 1.
    pub number: u32,
    /// Request that it has sent, of a job that generates: `GET /v1/requests/{id}` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub request_id: Option<RunId>,
    /// Time of its beginning, ISO 8601.
    #[schema(value_type = String)]
    pub started_at: Timestamp,
    /// Time of its end, ISO 8601; null while it goes on.
    #[schema(value_type = Option<String>)]
    pub ended_at: Option<Timestamp>,
    /// Error that has ended it.
    #[schema(inline)]
    pub error: Option<JobError>,
}

/// Part of a job that the gateway carries out: of every kind but `download`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkBody {
    /// Attempts, the first one first.
    pub attempts: Vec<JobAttemptBody>,
    /// Attempts after which it fails.
    pub max_attempts: u32,
    /// Time before which it isn't carried out: of its beginning, or of its next attempt; ISO 8601.
    #[schema(value_type = Option<String>)]
    pub not_before: Option<Timestamp>,
    /// Time at which it ends, complete or not; ISO 8601.
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
    /// Time at which it is deleted with its result, ISO 8601; null while it goes on.
    #[schema(value_type = Option<String>)]
    pub deleted_at: Option<Timestamp>,
    /// Units of work that are done, such as lines of a batch.
    pub done: u64,
    /// Units of work; null if they aren't counted.
    pub total: Option<u64>,
    /// Result of a completed job, up to 32 KB; `GET /v1/jobs/{id}/result` has every one. Lists have none.
    #[schema(value_type = Option<Value>)]
    pub result: Option<Value>,
    /// Size of the result in bytes.
    pub result_bytes: Option<u64>,
    /// True for a failed job that was neither retried nor dropped.
    pub dead: bool,
    /// Job whose input it repeats.
    #[schema(value_type = Option<String>)]
    pub replay_of: Option<JobId>,
    /// Latest job that repeats its input.
    #[schema(value_type = Option<String>)]
    pub replayed_by: Option<JobId>,
    /// Job that has submitted it.
    #[schema(value_type = Option<String>)]
    pub parent: Option<JobId>,
}

/// Paused kind of jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobPauseBody {
    /// Kind.
    #[schema(value_type = String)]
    pub kind: JobKind,
    /// Owners of the jobs that wait.
    #[schema(value_type = String)]
    pub scope: JobPauseScope,
    /// Time of the pause, ISO 8601.
    #[schema(value_type = String)]
    pub paused_at: Timestamp,
}

/// Kind of jobs that a pause can hold. A download is paused by itself.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PausableJobKind {
    /// A model answers a request of `POST /v1/generate`.
    Generate,
    /// A model fills in a schema, as by `POST /v1/analyze`.
    Analyze,
    /// A file of requests is answered, line by line.
    Batch,
    /// An event is sent to a webhook.
    Delivery,
}

/// Jobs that a pause holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobPauseScope {
    /// Jobs of one's organisation.
    #[default]
    Organisation,
    /// Jobs of all organisations: for the gateway's operator.
    Gateway,
}

/// Scope of a pause.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct JobPauseQuery {
    /// `organisation` or `gateway`; absent: `organisation`.
    #[serde(default)]
    #[param(inline)]
    pub scope: JobPauseScope,
}

/// Paused kinds of jobs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobPauseList {
    /// Pauses that hold jobs of one's organisation.
    pub pauses: Vec<JobPauseBody>,
}

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
    #[schema(value_type = String)]
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
    /// Kind: `download`, `generate`, `analyze` or `batch`.
    #[schema(value_type = String, example = "download")]
    pub kind: JobKind,
    /// State.
    #[schema(value_type = String)]
    pub state: JobState,
    /// Source of a download.
    pub source: Option<String>,
    /// Node that downloads.
    #[schema(value_type = Option<String>)]
    pub node: Option<NodeId>,
    /// Id of the model; null until the file is known.
    pub model: Option<String>,
    /// Path of the file, or of the first of several, below the node's model folder; null until it is known.
    pub file: Option<String>,
    /// SHA-256 of the file, hexadecimal, if the source lists it.
    pub sha256: Option<String>,
    /// Size of all files in bytes; null until it is known.
    pub size_bytes: Option<u64>,
    /// Bytes so far, of a download.
    pub done_bytes: u64,
    /// Progress in percent; null without a size or a number of units.
    pub progress_pct: Option<f64>,
    /// Present speed in bytes per second.
    pub bytes_per_second: Option<u64>,
    /// Seconds until the end at the present speed.
    pub seconds_left: Option<u64>,
    /// Next attempt of a download that is tried again, with its number, its time and the cause; null while it goes on.
    pub retry_reason: Option<String>,
    /// Place among the jobs that wait.
    #[schema(value_type = String)]
    pub priority: Priority,
    /// Error of a failed job.
    #[schema(inline)]
    pub error: Option<JobError>,
    /// The model's card, if Hugging Face has answered with it.
    pub card: Option<ModelCard>,
    /// Attempts, progress and result of a job that the gateway carries out; absent for a download.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Box<WorkBody>>,
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
    /// State: `queued`, `running`, `paused`, `completed`, `failed`, `cancelled` or `expired`.
    #[param(inline)]
    pub state: Option<JobState>,
    /// Kind: `download`, `generate`, `analyze` or `batch`.
    #[param(inline)]
    pub kind: Option<JobKind>,
    /// True for the dead letters alone: failed jobs that were neither retried nor dropped.
    #[serde(default)]
    pub dead: bool,
    /// Maximum number of jobs, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}
