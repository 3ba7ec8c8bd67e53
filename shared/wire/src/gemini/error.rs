//! Errors in Google's format (<https://cloud.google.com/apis/design/errors>), with the fields of the gateway's own in the
//! details.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{ApiError, ErrorCode};

/// Domain of the reasons in `ErrorInfo`.
const DOMAIN: &str = "hearth";

/// The body of an error response, and the last frame of a stream that fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GeminiError {
    /// The error.
    pub error: GeminiErrorBody,
}

/// An error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GeminiErrorBody {
    /// The HTTP status.
    #[schema(example = 404)]
    pub code: u16,
    /// Description of the error, and how to avoid it.
    pub message: String,
    /// Google's name for the status.
    #[schema(example = "NOT_FOUND")]
    pub status: String,
    /// Data for programs. `ErrorInfo` has the code of `docs/errors` in capitals as `reason`, and the request's id, the field
    /// that caused the error and further data in `metadata`; `RetryInfo` has the time until a retry.
    #[schema(value_type = Vec<Object>)]
    pub details: Vec<Value>,
}

impl GeminiError {
    /// Creates the body of `error`.
    #[must_use]
    pub fn new(error: &ApiError, request_id: &str) -> Self {
        Self {
            error: GeminiErrorBody {
                code: error.code.status(),
                message: error.message.clone(),
                status: status(error.code).to_owned(),
                details: details(error, request_id),
            },
        }
    }
}

fn details(error: &ApiError, request_id: &str) -> Vec<Value> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // The values of Google's metadata are strings.
    let mut metadata = json!({"request_id": request_id, "retryable": error.code.retryable().to_string()});
    for (name, value) in error.public_details() {
        metadata[name] = json!(text(&value));
    }
    if let Some(param) = &error.param {
        metadata["param"] = json!(param);
    }
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.code.as_str().to_ascii_uppercase(),
        "domain": DOMAIN,
        "metadata": metadata,
    })];
    if let Some(param) = &error.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": param, "description": error.message}],
        }));
    }
    if let Some(seconds) = error.retry_after_seconds() {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{seconds}s"),
        }));
    }
    details
}

/// Google's name of a code's status (<https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>).
fn status(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest
        | ErrorCode::ContextLengthExceeded
        | ErrorCode::PayloadTooLarge
        | ErrorCode::MethodNotAllowed
        | ErrorCode::UnsupportedMediaType => "INVALID_ARGUMENT",
        ErrorCode::Conflict | ErrorCode::InvalidAnswer | ErrorCode::NotCached => "FAILED_PRECONDITION",
        ErrorCode::Unauthorized => "UNAUTHENTICATED",
        ErrorCode::Forbidden => "PERMISSION_DENIED",
        ErrorCode::NotFound | ErrorCode::ModelNotFound => "NOT_FOUND",
        ErrorCode::RateLimited
        | ErrorCode::QuotaExceeded
        | ErrorCode::QueueFull
        | ErrorCode::ProviderRateLimited => "RESOURCE_EXHAUSTED",
        ErrorCode::Cancelled => "CANCELLED",
        ErrorCode::RequestTimeout
        | ErrorCode::ProviderTimeout
        | ErrorCode::RunTimeout
        | ErrorCode::DeadlineExceeded => "DEADLINE_EXCEEDED",
        ErrorCode::Internal | ErrorCode::ProviderError | ErrorCode::ProviderAuth => "INTERNAL",
        ErrorCode::Overloaded
        | ErrorCode::IssuerUnavailable
        | ErrorCode::NoModelAvailable
        | ErrorCode::NodeOffline
        | ErrorCode::NodeLost
        | ErrorCode::GatewayStopped
        | ErrorCode::ModelLoadFailed => "UNAVAILABLE",
    }
}
