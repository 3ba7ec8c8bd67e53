//! The answer of `POST /v1/completions`, and the chunks of a streamed one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::openai::chat::ChatUsage;

/// A completion, or a chunk of a streamed one.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Completion {
    /// The run's id.
    pub id: String,
    /// Always `text_completion`.
    pub object: String,
    /// Creation time, in seconds since 1970.
    pub created: i64,
    /// The model that served it.
    pub model: String,
    /// The answers, as many as `n`; in a chunk the one that it continues.
    pub choices: Vec<CompletionChoice>,
    /// Token counts; in a stream in the last chunk, if `include_usage` is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ChatUsage>,
}

/// One of several answers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CompletionChoice {
    /// Index of the answer.
    pub index: u32,
    /// The text, or a piece of it in a chunk.
    pub text: String,
    /// Log-probabilities of the text's tokens, if the request asked for them.
    pub logprobs: Option<CompletionLogprobs>,
    /// `stop`, `length` or `content_filter`, once it has ended.
    pub finish_reason: Option<String>,
}

/// Log-probabilities of a text's tokens. Each token has the same index in every list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionLogprobs {
    /// The tokens' texts.
    pub tokens: Vec<String>,
    /// Natural logarithms of the tokens' probabilities, at least -9999.
    pub token_logprobs: Vec<f32>,
    /// The most likely tokens at each position, by their texts.
    pub top_logprobs: Vec<BTreeMap<String, f32>>,
    /// Offset of each token in the text, in characters.
    pub text_offset: Vec<usize>,
}
