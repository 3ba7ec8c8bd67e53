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
