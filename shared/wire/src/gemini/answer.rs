//! The answer of `:generateContent`, and the frames of a streamed one.

use hearth_domain::{FinishReason, Logprob, TokenLogprob, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::GeminiContent;
use crate::structured::StructuredBody;

/// A whole response, or a frame of a streamed one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerateContentAnswer {
    /// The answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<GeminiCandidate>,
    /// Reason why there is no answer at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_feedback: Option<GeminiPromptFeedback>,
    /// Token counts; in a stream in the last frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_metadata: Option<GeminiUsage>,
    /// The model that served it.
    pub model_version: String,
    /// The run's id.
    pub response_id: String,
}

/// One answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiCandidate {
    /// Reasoning, text and function calls, in order; of Gemini's models also code that Google ran, and files.
    pub content: GeminiContent,
    /// `STOP`, `MAX_TOKENS` or `SAFETY`, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Index of the answer.
    pub index: u32,
    /// Citations of a text, as Gemini's model sent them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub citation_metadata: Option<Value>,
    /// Sources of an answer from Google's search or maps, as Gemini's model sent them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub grounding_metadata: Option<Value>,
    /// Pages that Gemini's model has read, as it sent them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub url_context_metadata: Option<Value>,
    /// Log-probabilities of its tokens, if the request asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_result: Option<GeminiLogprobs>,
    /// Enforcement of the answer's JSON Schema, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// Reason why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiPromptFeedback {
    /// Always `OTHER`: the provider or the model refused to answer.
    #[schema(example = "OTHER")]
    pub block_reason: String,
}

/// Token counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiUsage {
    /// Tokens of the prompt.
    pub prompt_token_count: u32,
    /// Tokens of the answers, without reasoning.
    pub candidates_token_count: u32,
    /// Tokens of reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub thoughts_token_count: u32,
    /// Sum of all tokens.
    pub total_token_count: u32,
    /// Tokens of the prompt that came from a cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_content_token_count: u32,
}

/// Log-probabilities of an answer's tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiLogprobs {
    /// The text's tokens.
    pub chosen_candidates: Vec<GeminiTokenLogprob>,
    /// The most likely tokens at the position of each.
    pub top_candidates: Vec<GeminiTopCandidates>,
}

/// The most likely tokens at one position, most likely first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct GeminiTopCandidates {
    /// The tokens.
    pub candidates: Vec<GeminiTokenLogprob>,
}

/// A token and its log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiTokenLogprob {
    /// The token's text. Bytes that are not a whole character are U+FFFD.
    pub token: String,
    /// Natural logarithm of its probability, at least -9999.
    pub log_probability: f32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl From<Usage> for GeminiUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_token_count: usage.prompt_tokens,
            candidates_token_count: usage.completion_tokens.saturating_sub(usage.reasoning_tokens),
            thoughts_token_count: usage.reasoning_tokens,
            total_token_count: usage.prompt_tokens.saturating_add(usage.completion_tokens),
            cached_content_token_count: usage.cached_tokens,
        }
    }
}

impl From<&Logprob> for GeminiTokenLogprob {
    fn from(token: &Logprob) -> Self {
        Self { token: token.text(), log_probability: token.logprob.max(Logprob::LEAST) }
    }
}

impl GeminiLogprobs {
    /// Converts tokens; `None` if there are none.
    pub(super) fn of(tokens: &[TokenLogprob]) -> Option<Self> {
        let top = |token: &TokenLogprob| GeminiTopCandidates {
            candidates: token.top.iter().map(GeminiTokenLogprob::from).collect(),
        };
        (!tokens.is_empty()).then(|| Self {
            chosen_candidates: tokens.iter().map(|token| (&token.token).into()).collect(),
            top_candidates: tokens.iter().map(top).collect(),
        })
    }
}

/// The dialect's name of a finish reason. It has none for an answer with function calls.
pub(super) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Cancelled => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ContentFilter => "SAFETY",
    }
}
