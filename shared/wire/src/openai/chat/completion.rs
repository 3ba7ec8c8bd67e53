//! The answer of `POST /v1/chat/completions`, and the chunks of a streamed one.

use hearth_domain::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    logprobs::LogprobsBody,
    reasoning::ReasoningDetail,
    structured::StructuredBody,
    tools::{ToolCallBody, ToolCallDelta},
};

/// A whole completion.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatCompletion {
    /// The run's id.
    pub id: String,
    /// Always `chat.completion`.
    pub object: String,
    /// Creation time, in seconds since 1970.
    pub created: i64,
    /// The model that served it.
    pub model: String,
    /// The answers, as many as `n`.
    pub choices: Vec<ChatChoice>,
    /// Token counts of all choices.
    pub usage: ChatUsage,
}

/// One of several answers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatChoice {
    /// Index of the answer.
    pub index: u32,
    /// The message.
    pub message: ChatAnswer,
    /// Log-probabilities of the text's tokens, if the request asked for them.
    pub logprobs: Option<LogprobsBody>,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: Option<String>,
    /// Enforcement of the answer's JSON Schema, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// The model's message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatAnswer {
    /// Always `assistant`.
    pub role: String,
    /// The text; null if the message has only tool calls or a refusal.
    pub content: Option<String>,
    /// The model's refusal to answer.
    pub refusal: Option<String>,
    /// The reasoning, in the field that several vendors use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The reasoning with its signatures and encrypted parts, if it has any: the client sends them back in the next turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Tool calls, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallBody>>,
    /// Citations of an answer of a provider of this dialect, as it sent them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub annotations: Vec<Value>,
}

/// One chunk of a streamed completion.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatChunk {
    /// The run's id.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: String,
    /// Creation time, in seconds since 1970.
    pub created: i64,
    /// The model that serves it.
    pub model: String,
    /// One choice, or none in the chunk with the usage.
    pub choices: Vec<ChunkChoice>,
    /// Token counts, in the last chunk if `include_usage` is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ChatUsage>,
}

/// A piece of one choice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChunkChoice {
    /// Index of the choice.
    pub index: u32,
    /// The piece.
    pub delta: ChunkDelta,
    /// Log-probabilities of the text's tokens, if the request asked for them.
    pub logprobs: Option<LogprobsBody>,
    /// `stop`, `length` or `tool_calls`, in the choice's last piece.
    pub finish_reason: Option<String>,
    /// Enforcement of the answer's JSON Schema, if it had one; in the choice's last piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// A piece of the message.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChunkDelta {
    /// `assistant`, in the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Text to append.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Text to append to the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Reasoning to append.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Whole reasoning blocks with their signatures and encrypted parts, which the client sends back in the next turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Pieces of tool calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
    /// All citations, in the choice's last piece but one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub annotations: Vec<Value>,
}

/// Token counts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ChatUsage {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
    /// Sum of both.
    pub total_tokens: u32,
    /// Breakdown of the prompt's tokens.
    pub prompt_tokens_details: PromptTokensDetails,
    /// Breakdown of the generated tokens.
    #[serde(default)]
    pub completion_tokens_details: CompletionTokensDetails,
}

/// Breakdown of the generated tokens.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
pub struct CompletionTokensDetails {
    /// Tokens of reasoning.
    pub reasoning_tokens: u32,
}

/// Breakdown of the prompt's tokens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct PromptTokensDetails {
    /// Tokens that came from a cache.
    pub cached_tokens: u32,
}

impl ChatUsage {
    /// Adds the counts of another run.
    pub(crate) fn sum(&self, other: &Self) -> Self {
        let to_domain = |usage: &Self| Usage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            cached_tokens: usage.prompt_tokens_details.cached_tokens,
            reasoning_tokens: usage.completion_tokens_details.reasoning_tokens,
            ..Usage::default()
        };
        to_domain(self).and(&to_domain(other)).into()
    }
}

impl From<Usage> for ChatUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: PromptTokensDetails { cached_tokens: usage.cached_tokens },
            completion_tokens_details: CompletionTokensDetails { reasoning_tokens: usage.reasoning_tokens },
        }
    }
}
