//! The answer of `POST /v1/responses`.

use hearth_domain::Usage;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ExtendedOutputItem, RequestEcho};
use crate::structured::StructuredBody;

/// A response.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResponseObject {
    /// The run's id; a next request continues this response by it, in `previous_response_id`.
    pub id: String,
    /// Always `response`.
    pub object: String,
    /// Creation time, in seconds since 1970.
    pub created_at: i64,
    /// End time, once it has ended.
    pub completed_at: Option<i64>,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
    pub status: String,
    /// The error of a failed response.
    pub error: Option<ResponseFailure>,
    /// Reason of an incomplete response.
    pub incomplete_details: Option<IncompleteDetails>,
    /// The model that served it.
    pub model: String,
    /// The items of the answer, in order; of OpenAI's models also the tools that OpenAI ran, as it sent them.
    pub output: Vec<ExtendedOutputItem>,
    /// Token counts, once it has ended.
    pub usage: Option<ResponseUsage>,
    /// Enforcement of the answer's JSON Schema, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
    /// The request's parameters.
    #[serde(flatten)]
    pub request: RequestEcho,
}

/// The error of a failed response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseFailure {
    /// A stable code, documented in `docs/errors`.
    pub code: String,
    /// Description of the error.
    pub message: String,
}

/// Reason of an incomplete response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncompleteDetails {
    /// `max_output_tokens` or `content_filter`.
    pub reason: String,
}

/// Token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseUsage {
    /// Tokens of the rendered prompt.
    pub input_tokens: u32,
    /// Breakdown of the prompt's tokens.
    pub input_tokens_details: InputTokensDetails,
    /// Tokens generated.
    pub output_tokens: u32,
    /// Breakdown of the generated tokens.
    pub output_tokens_details: OutputTokensDetails,
    /// Sum of both.
    pub total_tokens: u32,
}

/// Breakdown of the prompt's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputTokensDetails {
    /// Tokens that came from a cache.
    pub cached_tokens: u32,
}

/// Breakdown of the generated tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputTokensDetails {
    /// Tokens of reasoning.
    pub reasoning_tokens: u32,
}

impl From<Usage> for ResponseUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputTokensDetails { cached_tokens: usage.cached_tokens },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputTokensDetails { reasoning_tokens: usage.reasoning_tokens },
            total_tokens: usage.total_tokens(),
        }
    }
}

/// Options of a read of a stored response.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResponseQuery {
    /// True to receive the response's events, from the first or after `starting_after`.
    #[serde(default)]
    pub stream: bool,
    /// Sequence number of the last event that the client has. Events have their numbers for an hour after the response's end;
    /// later the answer is one event.
    pub starting_after: Option<u64>,
}

/// The answer to a `DELETE`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeletedResponse {
    /// The response's id.
    pub id: String,
    /// Always `response`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

impl DeletedResponse {
    /// The answer for the response `id`.
    #[must_use]
    pub fn new(id: String) -> Self {
        Self { id, object: "response".to_owned(), deleted: true }
    }
}
