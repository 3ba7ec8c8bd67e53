//! What is answered.

use hearth_domain::{FinishReason, Logprob, TokenLogprob, Usage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::GeminiContent;
use crate::structured::StructuredBody;

/// A whole answer, or a piece of a streamed one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerateContentAnswer {
    /// The answers, by their number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<GeminiCandidate>,
    /// Why there is no answer, if nothing was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_feedback: Option<GeminiPromptFeedback>,
    /// Tokens taken; in a stream with its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_metadata: Option<GeminiUsage>,
    /// The model that served it.
    pub model_version: String,
    /// The run's id.
    pub response_id: String,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiCandidate {
    /// What the model thought, said and calls, in order.
    pub content: GeminiContent,
    /// `STOP`, `MAX_TOKENS` or `SAFETY`, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Its number, from 0.
    pub index: u32,
    /// The log-probabilities of its tokens, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_result: Option<GeminiLogprobs>,
    /// How the answer's JSON Schema was enforced, where it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiPromptFeedback {
    /// Always `OTHER`: the provider, or the model, would say nothing.
    #[schema(example = "OTHER")]
    pub block_reason: String,
}

/// Tokens taken, as Google's clients read them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiUsage {
    /// Tokens of the prompt.
    pub prompt_token_count: u32,
    /// Tokens of the answers, without thoughts.
    pub candidates_token_count: u32,
    /// Tokens of thoughts.
    #[serde(skip_serializing_if = "is_zero")]
    pub thoughts_token_count: u32,
    /// All of them.
    pub total_token_count: u32,
    /// Tokens of the prompt that needed no computing.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_content_token_count: u32,
}

/// How likely the model held its tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiLogprobs {
    /// Each token of the text.
    pub chosen_candidates: Vec<GeminiTokenLogprob>,
    /// The likeliest tokens in the place of each.
    pub top_candidates: Vec<GeminiTopCandidates>,
}

/// The likeliest tokens in one place, likeliest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct GeminiTopCandidates {
    /// The tokens.
    pub candidates: Vec<GeminiTokenLogprob>,
}

/// A token and how likely it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiTokenLogprob {
    /// The token's text; what is no whole character is U+FFFD.
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
    /// Of these tokens; none if there are none.
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

/// The finish reasons that Google's clients know. An answer that calls functions has none of its own.
pub(super) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Cancelled => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ContentFilter => "SAFETY",
    }
}
