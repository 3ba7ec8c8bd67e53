//! The node link: what a gateway and a node say to each other.

use std::collections::HashMap;

use hearth_domain::{Capability, Modality, Priority, RunId, Task};
use serde::{Deserialize, Serialize};

use crate::native::models::RuntimeStatus;

/// A run for a node to carry out: the body of `POST /v1/runs`. The answer is a stream of server-sent
/// events, each a [`crate::RunEvent`] with its seq as id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRun {
    /// The run's id, given by the gateway.
    pub run: RunId,
    /// The model to use.
    pub model: String,
    /// What to make.
    pub task: Task,
    /// How soon it gets its turn.
    #[serde(default)]
    pub priority: Priority,
    /// Whether its client is given the answer in one piece: only such an answer can be generated again when it
    /// doesn't fit its schema.
    #[serde(default)]
    pub whole: bool,
    /// Whether it goes on when nobody reads its events any more.
    pub detached: bool,
}

/// A model to load, unload or remove: the body of `POST /v1/models/load`, `/v1/models/unload` and
/// `/v1/models/remove`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeModelCommand {
    /// The model's id.
    pub model: String,
}

/// A model's file was removed: the answer of `POST /v1/models/remove`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRemoved {
    /// What became free, in bytes.
    pub freed_bytes: u64,
    /// Whether it was a link, whose file remains elsewhere.
    pub link: bool,
}

/// What became of a cancel: the answer of `POST /v1/runs/{id}/cancel`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct NodeCancelled {
    /// False if the node doesn't have the run, or it had ended.
    pub cancelled: bool,
}

/// What a node has and does: the answer of `GET /v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The model of each modality that serves requests that name none.
    #[serde(default)]
    pub default_models: HashMap<Modality, String>,
    /// Every model in its folder.
    pub models: Vec<NodeModel>,
    /// What the folder takes.
    #[serde(default)]
    pub storage: Option<NodeStorage>,
    /// The libraries that compute, with the results of their self-tests, the processor's best first; empty until
    /// they are known.
    #[serde(default)]
    pub backends: Vec<NodeBackend>,
}

/// A library that llama.cpp computes with on a node, and the result of its self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBackend {
    /// The library's file name, such as `libggml-cpu-haswell.so`.
    pub library: String,
    /// The result.
    pub state: BackendState,
    /// ggml's score of the library on this processor: of those that work, the highest is used.
    #[serde(default)]
    pub score: Option<i32>,
    /// Why it failed, or why it has no device.
    #[serde(default)]
    pub reason: Option<String>,
    /// How long the self-test took.
    #[serde(default)]
    pub milliseconds: Option<u64>,
}

/// The result of a backend's self-test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendState {
    /// It passed, and models are computed with it.
    InUse,
    /// It passed, and a better one is in use.
    Passed,
    /// It crashed, hung, or computed wrong numbers.
    Failed,
    /// The processor lacks what it needs.
    Unsupported,
    /// It is for devices that are not there, or its driver is missing.
    NoDevice,
    /// A better one passed before.
    NotTested,
}

/// A node's model folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStorage {
    /// The bytes of its models.
    pub used_bytes: u64,
    /// The bytes that are free on its disk, where the system tells.
    pub free_bytes: Option<u64>,
    /// The bytes that it may have, if they are bounded.
    pub max_bytes: Option<u64>,
}

/// A model on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeModel {
    /// Its id.
    pub id: String,
    /// Its makers' name for it.
    pub name: String,
    /// Its quantisation.
    pub version: Option<String>,
    /// What it makes.
    pub modality: Modality,
    /// What else it can do.
    pub capabilities: Vec<Capability>,
    /// The architecture of its weights.
    pub architecture: Option<String>,
    /// The tokens that prompt and completion may have together.
    pub context_length: Option<u32>,
    /// The file's size in bytes.
    pub size_bytes: u64,
    /// What it is doing.
    pub runtime: RuntimeStatus,
}
