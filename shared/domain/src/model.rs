//! Models: what the registry knows of one, and the state it is in on a node.

use serde::{Deserialize, Serialize};

use crate::{ModelId, NodeId, Timestamp};

/// What a model makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Text from text.
    Text,
    /// Images.
    Image,
    /// Meshes.
    #[serde(rename = "3d")]
    ThreeD,
    /// Vectors that stand for text.
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

/// Something a model can do beyond its modality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Answers a conversation: it carries a chat template.
    Chat,
    /// Calls tools; a local model's template takes them.
    Tools,
    /// Sees images.
    Vision,
    /// Answers in JSON that fits a schema.
    JsonSchema,
    /// Thinks before it answers.
    Reasoning,
}

/// How the registry came to know a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelSource {
    /// Found in a node's model folder. Gone from there, gone from the registry.
    Discovered,
    /// Entered by a person; discovery doesn't overwrite it.
    Registered,
}

/// A model as the registry holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What clients write in `model`.
    pub id: ModelId,
    /// The name its makers gave it.
    pub name: String,
    /// The version: for a local file its quantisation, such as `Q4_K_M`.
    pub version: Option<String>,
    /// What it makes.
    pub modality: Modality,
    /// What else it can do.
    pub capabilities: Vec<Capability>,
    /// Who serves it: `local` for a node's models.
    pub provider: String,
    /// The architecture of its weights, such as `llama`.
    pub architecture: Option<String>,
    /// The tokens that prompt and completion may have together.
    pub context_length: Option<u32>,
    /// The file's size in bytes.
    pub size_bytes: Option<u64>,
    /// How it came into the registry.
    pub source: ModelSource,
    /// The node that has it.
    pub node: Option<NodeId>,
    /// When the registry first saw it.
    pub created_at: Timestamp,
    /// When its entry last changed.
    pub updated_at: Timestamp,
}

/// What a model is doing on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeState {
    /// On disk only.
    Unloaded,
    /// Being read into memory.
    Loading,
    /// In memory, at rest.
    Loaded,
    /// In memory, and every slot is taken.
    Busy,
    /// Its last load failed, or it crashed too often.
    Failed,
}
