//! What `/api/chat` and `/api/generate` answer: whole, or as a line of a stream.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OllamaMessage;
use crate::{openai::logprobs::TokenLogprobBody, structured::StructuredBody};

/// An answer of `/api/chat`, or what a line of its stream adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaChatAnswer {
    /// The model, by the name that it was asked under.
    pub model: String,
    /// ISO 8601.
    pub created_at: String,
    /// What the model says.
    pub message: OllamaMessage,
    /// The tokens of its text, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobBody>>,
    /// Whether the answer is whole.
    pub done: bool,
    /// Once it is: `stop`, `length`, `content_filter`, or of an empty request `load` or `unload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_reason: Option<String>,
    /// Once it is: what it took.
    #[serde(flatten)]
    pub metrics: OllamaMetrics,
    /// How the answer's JSON Schema was enforced, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// An answer of `/api/generate`, or what a line of its stream adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaGenerateAnswer {
    /// The model, by the name that it was asked under.
    pub model: String,
    /// ISO 8601.
    pub created_at: String,
    /// The text.
    pub response: String,
    /// What the model thought before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// The tokens of the text, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobBody>>,
    /// Whether the answer is whole.
    pub done: bool,
    /// Once it is: `stop`, `length`, `content_filter`, or of an empty request `load` or `unload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_reason: Option<String>,
    /// Once it is: what it took.
    #[serde(flatten)]
    pub metrics: OllamaMetrics,
    /// How the answer's JSON Schema was enforced, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// What an answer took. Durations are in nanoseconds, as the gateway measured them, and never 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OllamaMetrics {
    /// From the request to the answer's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_duration: Option<u64>,
    /// Until the model began with the prompt: waiting, and loading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_duration: Option<u64>,
    /// Tokens of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_eval_count: Option<u32>,
    /// Until the first piece of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_eval_duration: Option<u64>,
    /// Tokens of the answer, thoughts included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_count: Option<u32>,
    /// From then to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_duration: Option<u64>,
}
