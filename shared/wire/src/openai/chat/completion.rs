//! What is answered.

use hearth_domain::Usage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    openai::{
        logprobs::LogprobsBody,
        reasoning::ReasoningDetail,
        tools::{ToolCallBody, ToolCallDelta},
    },
    structured::StructuredBody,
};

/// A whole completion.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatCompletion {
    /// The run's id.
    pub id: String,
    /// Always `chat.completion`.
    pub object: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that served it.
    pub model: String,
    /// As many as `n` asked for.
    pub choices: Vec<ChatChoice>,
    /// Tokens taken, by all choices.
    pub usage: ChatUsage,
}

/// One of a completion's answers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatChoice {
    /// Which, from 0.
    pub index: u32,
    /// What the model said.
    pub message: ChatAnswer,
    /// The tokens of the text, if they were asked for.
    pub logprobs: Option<LogprobsBody>,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: Option<String>,
    /// How its JSON Schema was enforced, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// What the model said.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatAnswer {
    /// Always `assistant`.
    pub role: String,
    /// The text; null if it only calls tools, or won't answer.
    pub content: Option<String>,
    /// What the model says in place of an answer.
    pub refusal: Option<String>,
    /// The thoughts before it, as some vendors give them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same with what its maker wants back in the next turn, where it wants something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// The tools that it calls, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallBody>>,
}

/// One chunk of a streamed completion.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatChunk {
    /// The run's id.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that serves it.
    pub model: String,
    /// One choice, or none in the chunk that tells the usage.
    pub choices: Vec<ChunkChoice>,
    /// Tokens taken, in the last chunk if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ChatUsage>,
}

/// What a chunk adds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChunkChoice {
    /// To which choice, from 0.
    pub index: u32,
    /// What is added.
    pub delta: ChunkDelta,
    /// The tokens of the text, if they were asked for.
    pub logprobs: Option<LogprobsBody>,
    /// `stop`, `length` or `tool_calls`, in the choice's last one.
    pub finish_reason: Option<String>,
    /// How its JSON Schema was enforced, where it had one; in the choice's last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// What a chunk adds to the message.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChunkDelta {
    /// `assistant`, in the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Text to append.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// What the model says in place of an answer, to append.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Thoughts to append, as some vendors give them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Whole blocks of thoughts, with what their maker wants back in the next turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Calls that begin or go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
}

/// Tokens taken, as OpenAI's clients read them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ChatUsage {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
    /// Both together.
    pub total_tokens: u32,
    /// More about the prompt's tokens.
    pub prompt_tokens_details: PromptTokensDetails,
    /// More about the tokens generated.
    #[serde(default)]
    pub completion_tokens_details: CompletionTokensDetails,
}

/// More about the tokens generated.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
pub struct CompletionTokensDetails {
    /// Those that were thoughts.
    pub reasoning_tokens: u32,
}

/// More about the prompt's tokens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct PromptTokensDetails {
    /// Those that needed no prefill.
    pub cached_tokens: u32,
}

impl ChatUsage {
    /// These and those of another run together.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let of = |usage: &Self| Usage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            cached_tokens: usage.prompt_tokens_details.cached_tokens,
            reasoning_tokens: usage.completion_tokens_details.reasoning_tokens,
        };
        of(self).and(&of(other)).into()
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
