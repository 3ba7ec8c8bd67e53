//! Errors in Anthropic's shape (<https://platform.claude.com/docs/en/api/errors>), with what the gateway's
//! own envelope tells.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{ApiError, ErrorCode};

/// The body of an error answer, and what an `error` event has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessagesError {
    /// Always `error`.
    #[serde(rename = "type")]
    #[schema(example = "error")]
    pub kind: String,
    /// The error.
    pub error: MessagesErrorBody,
    /// The request's id, to look for in logs.
    pub request_id: String,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessagesErrorBody {
    /// The family of the code, as Anthropic's clients know it.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    pub kind: String,
    /// What happened and what to do.
    pub message: String,
    /// A stable code, documented in `docs/errors`.
    #[schema(example = "model_not_found")]
    pub code: String,
    /// The field or parameter at fault.
    pub param: Option<String>,
    /// Further facts for programs.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl MessagesError {
    /// The body that tells `error`.
    #[must_use]
    pub fn new(error: &ApiError, request_id: &str) -> Self {
        Self {
            kind: "error".to_owned(),
            error: MessagesErrorBody {
                kind: kind(error.code).to_owned(),
                message: error.message.clone(),
                code: error.code.as_str().to_owned(),
                param: error.param.clone(),
                details: error.public_details(),
                retryable: error.code.retryable(),
            },
            request_id: request_id.to_owned(),
        }
    }
}

/// The family of a code.
fn kind(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest
        | ErrorCode::ContextLengthExceeded
        | ErrorCode::Conflict
        | ErrorCode::NotCached
        | ErrorCode::UnsupportedMediaType => "invalid_request_error",
        ErrorCode::Unauthorized => "authentication_error",
        ErrorCode::Forbidden => "permission_error",
        ErrorCode::NotFound | ErrorCode::ModelNotFound => "not_found_error",
        ErrorCode::PayloadTooLarge => "request_too_large",
        ErrorCode::RateLimited
        | ErrorCode::QuotaExceeded
        | ErrorCode::QueueFull
        | ErrorCode::ProviderRateLimited => "rate_limit_error",
        ErrorCode::Overloaded => "overloaded_error",
        ErrorCode::ProviderTimeout | ErrorCode::RequestTimeout => "timeout_error",
        ErrorCode::Cancelled
        | ErrorCode::Internal
        | ErrorCode::ProviderError
        | ErrorCode::ProviderAuth
        | ErrorCode::NoModelAvailable
        | ErrorCode::NodeOffline
        | ErrorCode::NodeLost
        | ErrorCode::ModelLoadFailed => "api_error",
    }
}
