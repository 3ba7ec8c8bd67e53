//! Generation tasks, independent of the dialect.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Image, ImageTask, MeshTask, Message, Modality, ReasoningEffort, ResponseFormat, Sampling, SchemaLabel,
    Shared, StructuredOptions, Tool, ToolChoice,
};

/// Task of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every task is a text; a box would cost each an allocation"
)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The next turn of a conversation.
    Text(TextTask),
    /// Embedding vectors of texts.
    Embedding(EmbeddingTask),
    /// Images.
    Image(ImageTask),
    /// A mesh.
    Mesh(MeshTask),
}

/// The next turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextTask {
    /// Conversation, never empty. It may be large, and a run has several tasks: as requested, with a model's defaults, by a
    /// vendor's rules.
    pub messages: Shared<Vec<Message>>,
    /// Sampling parameters and stop conditions.
    #[serde(default)]
    pub sampling: Sampling,
    /// Format of the answer.
    #[serde(default)]
    pub response_format: ResponseFormat,
    /// Name and description of the answer's schema, if the format has one.
    #[serde(default, skip_serializing_if = "SchemaLabel::is_empty")]
    pub schema_label: SchemaLabel,
    /// Validation of an answer with a schema.
    #[serde(default, skip_serializing_if = "StructuredOptions::is_default")]
    pub structured: StructuredOptions,
    /// Available tools.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Unknown fields of tools by the tool's name, in the client's dialect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tool_extra: BTreeMap<String, Map<String, Value>>,
    /// Tool choice.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// True if one turn may call several tools.
    #[serde(default = "yes")]
    pub parallel_tool_calls: bool,
    /// Number of answers, at least 1.
    #[serde(default = "one")]
    pub choices: u32,
    /// Number of likeliest tokens to return for each position, with each token's log-probability. `None` for no
    /// log-probabilities.
    #[serde(default)]
    pub top_logprobs: Option<u32>,
    /// True if a model without log-probabilities may serve the request: then it has none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub logprobs_if_available: bool,
    /// Effort of reasoning before the answer; `None` for the model's default.
    #[serde(default)]
    pub reasoning: Option<ReasoningEffort>,
    /// Values for the chat template of a local model by name, such as `enable_thinking`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub template_kwargs: Map<String, Value>,
    /// Raw prompt, which the model gets in place of `messages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawPrompt>,
}

/// Raw prompt, without a chat template. Models of nodes continue it; the APIs of providers accept none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawPrompt {
    /// Tokens of the model's own vocabulary.
    Tokens(Vec<u32>),
    /// Text with control tokens: the client has rendered the chat template itself.
    Text(String),
    /// Text with a gap, for a model with fill-in-the-middle training.
    Infill {
        /// Text before the gap.
        prefix: String,
        /// Text after the gap.
        suffix: String,
    },
}

impl TextTask {
    /// Creates a task for one plain answer to `messages`.
    #[must_use]
    pub fn new(messages: Vec<Message>, sampling: Sampling) -> Self {
        Self {
            messages: messages.into(),
            sampling,
            response_format: ResponseFormat::Text,
            schema_label: SchemaLabel::default(),
            structured: StructuredOptions::default(),
            tools: Vec::new(),
            tool_extra: BTreeMap::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
            choices: 1,
            top_logprobs: None,
            logprobs_if_available: false,
            reasoning: None,
            template_kwargs: Map::new(),
            raw: None,
        }
    }
}

/// Embedding vectors of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingTask {
    /// Inputs to embed, never empty; each gets a vector.
    pub inputs: Vec<EmbeddingInput>,
    /// Number of dimensions to return: the first ones, normalized again.
    pub dimensions: Option<u32>,
}

/// One text to embed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingInput {
    /// A text.
    Text(String),
    /// Tokens of the model's own vocabulary.
    Tokens(Vec<u32>),
}

impl Task {
    /// Returns the modality of its output.
    #[must_use]
    pub fn modality(&self) -> Modality {
        match self {
            Self::Text(_) => Modality::Text,
            Self::Embedding(_) => Modality::Embedding,
            Self::Image(_) => Modality::Image,
            Self::Mesh(_) => Modality::ThreeD,
        }
    }

    /// Returns its input images.
    pub fn images(&self) -> Box<dyn Iterator<Item = &Image> + '_> {
        match self {
            Self::Text(task) => {
                let placed = task.messages.iter().flat_map(|message| &message.images);
                Box::new(placed.map(|placed| &placed.image))
            }
            Self::Embedding(_) => Box::new(std::iter::empty()),
            Self::Image(task) => Box::new(task.images.iter().chain(&task.mask)),
            Self::Mesh(task) => Box::new(task.image.iter()),
        }
    }

    /// Returns its input images for changes.
    pub fn images_mut(&mut self) -> Vec<&mut Image> {
        match self {
            Self::Text(task) => {
                let placed = task.messages.iter_mut().flat_map(|message| &mut message.images);
                placed.map(|placed| &mut placed.image).collect()
            }
            Self::Embedding(_) => Vec::new(),
            Self::Image(task) => task.images.iter_mut().chain(&mut task.mask).collect(),
            Self::Mesh(task) => task.image.iter_mut().collect(),
        }
    }
}

impl From<TextTask> for Task {
    fn from(task: TextTask) -> Self {
        Self::Text(task)
    }
}

impl From<ImageTask> for Task {
    fn from(task: ImageTask) -> Self {
        Self::Image(task)
    }
}

impl From<MeshTask> for Task {
    fn from(task: MeshTask) -> Self {
        Self::Mesh(task)
    }
}

impl From<EmbeddingTask> for Task {
    fn from(task: EmbeddingTask) -> Self {
        Self::Embedding(task)
    }
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}
