//! The node link: what a gateway and a node say to each other.

use std::collections::{BTreeMap, HashMap};

use hearth_domain::{Modality, ModelDescription, ModelLifecycle, Priority, RunId, Task, TextTask, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{node_downloads::NodeModelDownload, runtime_status::RuntimeStatus};

/// Run for a node: the body of `POST /v1/runs`. The response is a stream of server-sent events, each a
/// [`crate::RunEvent`] with its seq as id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRun {
    /// Id of the run, from the gateway.
    pub run: RunId,
    /// Model.
    pub model: String,
    /// Task.
    pub task: Task,
    /// Priority in the model's queue.
    #[serde(default)]
    pub priority: Priority,
    /// True if the client gets the answer in one piece: only such an answer can be generated again if it doesn't
    /// match its schema.
    #[serde(default)]
    pub whole: bool,
    /// True if the run continues when no client reads its events.
    pub detached: bool,
}

/// Model to load, unload or remove: the body of `POST /v1/models/load`, `/v1/models/unload` and `/v1/models/remove`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeModelCommand {
    /// Id of the model.
    pub model: String,
}

/// Texts whose tokens a model's tokenizer counts: the body of `POST /v1/models/tokens`. The node loads the model first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeCountBody {
    /// Id of the model.
    pub model: String,
    /// Task whose prompt is counted as the chat template renders it, with its tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TextTask>,
    /// Texts that are counted by themselves.
    #[serde(default)]
    pub texts: Vec<String>,
}

/// Counted tokens: the response of `POST /v1/models/tokens`. A number that reaches the length of the model's context is at least
/// that many: the node counts no further.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTokenCount {
    /// Tokens of the task's prompt, if there is a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<u32>,
    /// Tokens of each text.
    pub texts: Vec<u32>,
}

/// Settings of a node's models by the registry of its organisation: the body of `POST /v1/models/settings`. They replace all
/// earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeModelSettings {
    /// Settings by the ids of models; those of models that the node doesn't have wait for their files.
    #[serde(default)]
    pub models: BTreeMap<String, ModelLifecycle>,
    /// Files outside of the model folder. Only a node in the gateway's process takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Time at which the gateway read the registry: a node refuses settings of an earlier time than its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}

impl NodeModelSettings {
    /// True if both have the same settings, read at whatever time.
    #[must_use]
    pub fn has_settings_of(&self, other: &Self) -> bool {
        self.models == other.models && self.files == other.files
    }

    /// True if there are no settings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.files.is_empty()
    }
}

/// Machine to wake: the body of `POST /v1/wake`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeWakeCommand {
    /// Address of its network card, such as `00:11:22:33:44:55`.
    pub mac: String,
}

/// Result of removing a model's file: the response of `POST /v1/models/remove`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRemoved {
    /// Freed bytes.
    pub freed_bytes: u64,
    /// True if it was a link; its target remains.
    pub link: bool,
}

/// Result of a cancellation: the response of `POST /v1/runs/{id}/cancel`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct NodeCancelled {
    /// False if the node doesn't have the run, or it had ended.
    pub cancelled: bool,
}

/// Answer to a challenge: the response of `GET /v1/challenge?nonce=...`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeChallengeAnswer {
    /// Signature of the nonce by the node's own key, in base64.
    pub signature: String,
}

/// State of a node: the response of `GET /v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Default model of each modality, for requests that name none.
    #[serde(default)]
    pub default_models: HashMap<Modality, String>,
    /// Models in its folder.
    pub models: Vec<NodeModel>,
    /// Disk usage of the model folder.
    #[serde(default)]
    pub storage: Option<NodeStorage>,
    /// Memory for models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<NodeMemory>,
    /// Compute libraries with the results of their self-tests, the processor's best first; empty before the
    /// self-tests.
    #[serde(default)]
    pub backends: Vec<NodeBackend>,
    /// Models that it downloads, or has failed to download within a day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub downloads: Vec<NodeModelDownload>,
    /// Settings of its models that the gateway has sent last.
    #[serde(default, skip_serializing_if = "NodeModelSettings::is_empty")]
    pub model_settings: NodeModelSettings,
}

/// Compute library of llama.cpp on a node, and the result of its self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBackend {
    /// File name, such as `libggml-cpu-haswell.so`.
    pub library: String,
    /// Result of the self-test.
    pub state: BackendState,
    /// ggml's score of the library on this processor: the highest of the working ones is used.
    #[serde(default)]
    pub score: Option<i32>,
    /// Reason of a failure, or of a missing device.
    #[serde(default)]
    pub reason: Option<String>,
    /// Duration of the self-test.
    #[serde(default)]
    pub milliseconds: Option<u64>,
}

/// The result of a backend's self-test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendState {
    /// Passed, and in use.
    InUse,
    /// Passed; a better one is in use.
    Passed,
    /// Crashed, hung, or computed wrong numbers.
    Failed,
    /// The processor lacks instructions.
    Unsupported,
    /// Its device or driver is missing.
    NoDevice,
    /// Not tested, since a better one passed.
    NotTested,
}

/// Disk usage of a node's model folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStorage {
    /// Bytes of its models.
    pub used_bytes: u64,
    /// Free bytes on its disk, if the system reports them.
    pub free_bytes: Option<u64>,
    /// Maximum bytes of its models, if there is a limit.
    pub max_bytes: Option<u64>,
}

/// Memory of a node for its models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMemory {
    /// Bytes for all models together.
    pub limit_bytes: u64,
    /// Bytes of the models in memory, as estimated for their loads.
    pub used_bytes: u64,
}

/// Model on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeModel {
    /// Id.
    pub id: String,
    /// Description.
    #[serde(flatten)]
    pub description: ModelDescription,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Path of the file on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// State.
    pub runtime: RuntimeStatus,
}
