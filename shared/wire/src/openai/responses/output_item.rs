//! Items of a response's `output`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{extension::Extended, logprobs::TokenLogprobBody};

/// An item of the output, or one of a tool that the provider ran.
pub type ExtendedOutputItem = Extended<OutputItem>;

/// An item of the output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputItem {
    /// A message.
    Message {
        /// The item's id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// Always `assistant`.
        role: String,
        /// The text or the refusal, once it has begun.
        content: Vec<OutputPart>,
        /// `commentary` or `final_answer`, if an OpenAI model has labelled its message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<String>,
    },
    /// Reasoning.
    Reasoning {
        /// The item's id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// The reasoning as `summary_text`, if the request asked for a summary.
        summary: Vec<ReasoningText>,
        /// The reasoning as `reasoning_text`, if it didn't.
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Vec<ReasoningText>>,
        /// Encrypted reasoning for the next request, if `include` asked for it.
        encrypted_content: Option<String>,
    },
    /// A function call.
    FunctionCall {
        /// The item's id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// Id of the call; its output has the same.
        call_id: String,
        /// The function's name.
        name: String,
        /// The function's namespace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// The arguments, as JSON text.
        arguments: String,
    },
    /// A custom tool call.
    CustomToolCall {
        /// The item's id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// Id of the call; its output has the same.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The tool's namespace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// The tool's input.
        input: String,
    },
}

/// A message's text or refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum OutputPart {
    /// The text.
    Text(OutputText),
    /// The refusal.
    Refusal(OutputRefusal),
}

/// The model's refusal to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputRefusal {
    /// Always `refusal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Text of the refusal.
    pub refusal: String,
}

/// A message's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputText {
    /// Always `output_text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
    /// Citations of an answer of OpenAI's models, as it sent them.
    #[schema(value_type = Vec<Object>)]
    pub annotations: Vec<Value>,
    /// Log-probabilities of its tokens, if the request asked for them.
    pub logprobs: Vec<TokenLogprobBody>,
}

/// Reasoning, or a summary of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasoningText {
    /// `reasoning_text` or `summary_text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
}

impl Default for OutputText {
    fn default() -> Self {
        Self {
            kind: "output_text".to_owned(),
            text: String::new(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
        }
    }
}

impl OutputPart {
    /// An empty text part.
    pub(super) fn empty_text() -> Self {
        Self::Text(OutputText::default())
    }

    /// An empty refusal part.
    pub(super) fn empty_refusal() -> Self {
        Self::refusal(String::new())
    }

    /// A refusal part.
    pub(super) fn refusal(refusal: String) -> Self {
        Self::Refusal(OutputRefusal { kind: "refusal".to_owned(), refusal })
    }
}

impl OutputItem {
    /// The item's id.
    pub(super) fn id(&self) -> &str {
        let (Self::Message { id, .. }
        | Self::Reasoning { id, .. }
        | Self::FunctionCall { id, .. }
        | Self::CustomToolCall { id, .. }) = self;
        id
    }

    /// The item as JSON without its content, for the event that adds it.
    pub(super) fn without_content(&self) -> Value {
        let mut item = self.clone();
        match &mut item {
            Self::Message { content, .. } => content.clear(),
            Self::Reasoning { summary, content, encrypted_content, .. } => {
                summary.clear();
                content.iter_mut().for_each(Vec::clear);
                *encrypted_content = None;
            }
            Self::FunctionCall { arguments, .. } => arguments.clear(),
            Self::CustomToolCall { input, .. } => input.clear(),
        }
        json!(item)
    }
}
