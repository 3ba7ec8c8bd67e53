//! Models in the registry, and their state on a node.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ModelId, NodeId, Timestamp};

/// Modality of a model's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Meshes.
    #[serde(rename = "3d")]
    ThreeD,
    /// Embedding vectors of texts.
    Embedding,
}

impl Modality {
    /// The name used in JSON and queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::ThreeD => "3d",
            Self::Embedding => "embedding",
        }
    }
}

/// Capability of a model beyond its modality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Answers a conversation; the model has a chat template.
    Chat,
    /// Calls tools; a local model's chat template supports them.
    Tools,
    /// Accepts images.
    Vision,
    /// Answers in JSON that matches a schema.
    JsonSchema,
    /// Reasons before it answers.
    Reasoning,
}

/// Origin of a registry entry, as it is stored. There is one so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelSource {
    /// Found in a node's model folder.
    Discovered,
}

/// Settings of a model's life on its nodes, in place of the node's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelLifecycle {
    /// True to load the model when its node starts, and to keep it in memory until a client unloads it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pin: bool,
    /// Seconds after its last run that the model leaves memory, 1 to 31536000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
    /// Tokens of one run, prompt and completion together, 1 to 16777216; of at most as many as the model was trained for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u32>,
    /// Layers to put on a GPU, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_layers: Option<u32>,
    /// Runs at once in the loaded model, 1 to 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
}

impl ModelLifecycle {
    /// True if the settings of the node apply.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The first setting that is out of its range, and the range.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        let is_outside =
            |value: Option<u64>, max: u64| value.is_some_and(|value| !(1..=max).contains(&value));
        if is_outside(self.idle_seconds, 365 * 24 * 3600) {
            return Some(("idle_seconds", "1 to 31536000"));
        }
        if is_outside(self.context_length.map(u64::from), 1 << 24) {
            return Some(("context_length", "1 to 16777216"));
        }
        is_outside(self.slots.map(u64::from), 256).then_some(("slots", "1 to 256"))
    }
}

/// Description of a model, by its file or its vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelDescription {
    /// Display name.
    pub name: String,
    /// Version: for a local file its quantization, such as `Q4_K_M`.
    pub version: Option<String>,
    /// Modality of the output.
    pub modality: Modality,
    /// Further capabilities.
    pub capabilities: Vec<Capability>,
    /// Architecture of the weights, such as `llama`.
    pub architecture: Option<String>,
    /// Maximum tokens of prompt and completion together.
    pub context_length: Option<u32>,
}

impl ModelDescription {
    /// Creates the description of a model of which only the name and the modality are known.
    pub fn new(name: impl Into<String>, modality: Modality) -> Self {
        Self {
            name: name.into(),
            version: None,
            modality,
            capabilities: Vec::new(),
            architecture: None,
            context_length: None,
        }
    }
}

/// Model in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Id, as clients write it in `model`.
    pub id: ModelId,
    /// Description.
    #[serde(flatten)]
    pub description: ModelDescription,
    /// Provider: `local` for models of nodes.
    pub provider: String,
    /// Size of the file in bytes.
    pub size_bytes: Option<u64>,
    /// Origin of the entry.
    pub source: ModelSource,
    /// Node of the model.
    pub node: Option<NodeId>,
    /// Time of the first entry.
    pub created_at: Timestamp,
    /// Time of the entry's last change.
    pub updated_at: Timestamp,
}

/// State of a model on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeState {
    /// On its way to the disk: a node downloads it.
    Downloading,
    /// On disk alone.
    Unloaded,
    /// Loading into memory.
    Loading,
    /// In memory, with a free slot.
    Loaded,
    /// In memory, with every slot in use.
    Busy,
    /// Failed: the last load failed, or the worker crashed too often.
    Failed,
}

impl RuntimeState {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downloading => "downloading",
            Self::Unloaded => "unloaded",
            Self::Loading => "loading",
            Self::Loaded => "loaded",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }
}
