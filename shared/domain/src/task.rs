//! What is to be made, whatever dialect it was asked for in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Image, ImageTask, MeshTask, Message, Modality, ReasoningEffort, ResponseFormat, Sampling, SchemaLabel,
    Tool, ToolChoice,
};

/// What is to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every task is a text; a box would cost each an allocation"
)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The next turn of a conversation.
    Text(TextTask),
    /// Vectors that stand for texts.
    Embedding(EmbeddingTask),
    /// Images.
    Image(ImageTask),
    /// A mesh.
    Mesh(MeshTask),
}

/// The next turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextTask {
    /// The conversation, never empty.
    pub messages: Vec<Message>,
    /// How to sample, and when to stop.
    #[serde(default)]
    pub sampling: Sampling,
    /// The form of the answer.
    #[serde(default)]
    pub response_format: ResponseFormat,
    /// What is said of the schema of the answer, if its form is one.
    #[serde(default, skip_serializing_if = "SchemaLabel::is_empty")]
    pub schema_label: SchemaLabel,
    /// The tools on offer.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Further fields of tools, by the tool's name, in the client's dialect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tool_extra: BTreeMap<String, Map<String, Value>>,
    /// Whether one is called.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// Whether one turn may call several tools.
    #[serde(default = "yes")]
    pub parallel_tool_calls: bool,
    /// How many answers to give, at least 1.
    #[serde(default = "one")]
    pub choices: u32,
    /// Give each token's log-probability, and those of this many likeliest tokens in its place.
    #[serde(default)]
    pub top_logprobs: Option<u32>,
    /// How much to think before the answer, where the model can; absent: as it does by itself.
    #[serde(default)]
    pub reasoning: Option<ReasoningEffort>,
    /// Values for the chat template of a local model, by the names that it knows, such as `enable_thinking`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub template_kwargs: Map<String, Value>,
    /// A prompt that is no conversation: it is given to the model as it is, in place of `messages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawPrompt>,
}

/// A prompt that is no conversation. A node's model continues it; providers' APIs take none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawPrompt {
    /// Tokens of the model's own vocabulary.
    Tokens(Vec<u32>),
    /// A text whose control tokens count: the client has rendered the chat template itself.
    Text(String),
    /// A text with a gap, which a model that was trained for it fills (fill-in-the-middle).
    Infill {
        /// What stands before the gap.
        prefix: String,
        /// What stands behind it.
        suffix: String,
    },
}

impl TextTask {
    /// One plain answer to `messages`.
    #[must_use]
    pub fn new(messages: Vec<Message>, sampling: Sampling) -> Self {
        Self {
            messages,
            sampling,
            response_format: ResponseFormat::Text,
            schema_label: SchemaLabel::default(),
            tools: Vec::new(),
            tool_extra: BTreeMap::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
            choices: 1,
            top_logprobs: None,
            reasoning: None,
            template_kwargs: Map::new(),
            raw: None,
        }
    }
}

/// Vectors that stand for texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingTask {
    /// What to embed, never empty; a vector is given for each.
    pub inputs: Vec<EmbeddingInput>,
    /// Give only this many of the vector's first numbers, normalised again.
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
    /// What it makes.
    #[must_use]
    pub fn modality(&self) -> Modality {
        match self {
            Self::Text(_) => Modality::Text,
            Self::Embedding(_) => Modality::Embedding,
            Self::Image(_) => Modality::Image,
            Self::Mesh(_) => Modality::ThreeD,
        }
    }

    /// The images that go with it.
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

    /// The same, to change.
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
