//! The answers of `/api/chat` and `/api/generate`, and the lines of a streamed one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OllamaMessage;
use crate::{logprobs::TokenLogprobBody, structured::StructuredBody};

/// An answer of `/api/chat`, or a line of a streamed one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaChatAnswer {
    /// The model, by its name in the request.
    pub model: String,
    /// Creation time, ISO 8601.
    pub created_at: String,
    /// The message.
    pub message: OllamaMessage,
    /// Log-probabilities of the text's tokens, if the request asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobBody>>,
    /// True if the answer is complete.
    pub done: bool,
    /// Reason for the end: `stop`, `length`, `content_filter`, or of an empty request `load` or `unload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_reason: Option<String>,
    /// Durations and token counts, once the answer is complete.
    #[serde(flatten)]
    pub metrics: OllamaMetrics,
    /// Enforcement of the answer's JSON Schema, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// An answer of `/api/generate`, or a line of a streamed one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaGenerateAnswer {
    /// The model, by its name in the request.
    pub model: String,
    /// Creation time, ISO 8601.
    pub created_at: String,
    /// The text.
    pub response: String,
    /// The reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Log-probabilities of the text's tokens, if the request asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprobBody>>,
    /// True if the answer is complete.
    pub done: bool,
    /// Reason for the end: `stop`, `length`, `content_filter`, or of an empty request `load` or `unload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_reason: Option<String>,
    /// Durations and token counts, once the answer is complete.
    #[serde(flatten)]
    pub metrics: OllamaMetrics,
    /// Enforcement of the answer's JSON Schema, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// Durations and token counts. Durations are in nanoseconds, measured by the gateway, and never 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OllamaMetrics {
    /// Time from the request to the answer's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_duration: Option<u64>,
    /// Time until the model began with the prompt: waiting and loading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_duration: Option<u64>,
    /// Tokens of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_eval_count: Option<u32>,
    /// Time from there to the first piece of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_eval_duration: Option<u64>,
    /// Tokens of the answer, including reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_count: Option<u32>,
    /// Time from the first piece to the answer's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_duration: Option<u64>,
}
