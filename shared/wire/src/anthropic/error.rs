//! Errors in Anthropic's format (<https://platform.claude.com/docs/en/api/errors>), with the fields of the gateway's own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{ApiError, ErrorCode};

/// The body of an error response, and the data of an `error` event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessagesError {
    /// Always `error`.
    #[serde(rename = "type")]
    #[schema(example = "error")]
    pub kind: String,
    /// The error.
    pub error: MessagesErrorBody,
    /// The request's id, which is also in the logs.
    pub request_id: String,
}

/// An error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessagesErrorBody {
    /// Anthropic's type of the error.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    pub kind: String,
    /// Description of the error, and how to avoid it.
    pub message: String,
    /// A stable code, documented in `docs/errors`.
    #[schema(example = "model_not_found")]
    pub code: String,
    /// The field or parameter that caused the error.
    pub param: Option<String>,
    /// Further data for programs.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// True if the same request may succeed later.
    pub retryable: bool,
}

impl MessagesError {
    /// Creates the body of `error`.
    #[must_use]
    pub fn new(error: &ApiError, request_id: &str) -> Self {
        Self {
            kind: "error".to_owned(),
            error: MessagesErrorBody {
                kind: error_type(error.code).to_owned(),
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

/// Anthropic's type of a code.
fn error_type(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest
        | ErrorCode::ContextLengthExceeded
        | ErrorCode::Conflict
        | ErrorCode::InvalidAnswer
        | ErrorCode::NotCached
        | ErrorCode::MethodNotAllowed
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
        ErrorCode::ProviderTimeout
        | ErrorCode::RequestTimeout
        | ErrorCode::RunTimeout
        | ErrorCode::DeadlineExceeded => "timeout_error",
        ErrorCode::Cancelled
        | ErrorCode::Internal
        | ErrorCode::ProviderError
        | ErrorCode::ProviderAuth
        | ErrorCode::IssuerUnavailable
        | ErrorCode::NoModelAvailable
        | ErrorCode::NodeOffline
        | ErrorCode::NodeLost
        | ErrorCode::GatewayStopped
        | ErrorCode::ModelLoadFailed => "api_error",
    }
}
