//! Errors of the API: one envelope on every route.

mod code;
mod retry_after;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use code::ErrorCode;

/// Error with everything that a client needs to act on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct ApiError {
    /// Error code.
    pub code: ErrorCode,
    /// Message for people: what happened and what to do. It never contains a secret or a client's text.
    pub message: String,
    /// Field or parameter at fault.
    #[serde(default)]
    pub param: Option<String>,
    /// Further facts for programs.
    #[serde(default)]
    pub details: Box<Map<String, Value>>,
    /// Time until the same request may succeed, if it is known. In the body it is `details.retry_after_seconds`, in
    /// the head `retry-after`.
    #[serde(
        default,
        rename = "retry_after_ms",
        with = "retry_after",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<Duration>,
}

/// Name in `details` of the seconds until the same request may succeed.
const RETRY_AFTER_SECONDS: &str = "retry_after_seconds";

impl ApiError {
    /// Creates an error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, details: Box::default(), retry_after: None }
    }

    /// Creates an `invalid_request` error that names the field at fault.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message).at(param)
    }

    /// Creates the error of an invalid task. `param` is the dialect's name of the field at fault.
    #[must_use]
    pub fn unfit(param: String, error: &hearth_domain::InvalidTask) -> Self {
        let message = format!("{param} {}", error.problem);
        Self::invalid(param, message)
    }

    /// Sets the field at fault.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds a fact for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Sets the time until the same request may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Returns the time until the same request may succeed, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// Returns the facts for programs, including the time until the same request may succeed.
    #[must_use]
    pub fn public_details(&self) -> Map<String, Value> {
        let mut details = (*self.details).clone();
        if let Some(seconds) = self.retry_after_seconds() {
            details.insert(RETRY_AFTER_SECONDS.to_owned(), seconds.into());
        }
        details
    }

    /// Returns the body of the response.
    #[must_use]
    pub fn envelope(&self, request_id: &str) -> ErrorEnvelope {
        ErrorEnvelope {
            error: ErrorBody {
                code: self.code.as_str().to_owned(),
                kind: self.code.kind().to_owned(),
                message: self.message.clone(),
                param: self.param.clone(),
                details: self.public_details(),
                request_id: request_id.to_owned(),
                retryable: self.code.retryable(),
            },
        }
    }
}

/// Body of every error response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorEnvelope {
    /// Error.
    pub error: ErrorBody,
}

/// Error of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// Stable code, documented in `docs/errors`.
    #[schema(example = "model_not_found")]
    pub code: String,
    /// Family of the code, as in OpenAI's API.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    pub kind: String,
    /// Message: what happened and what to do.
    pub message: String,
    /// Field or parameter at fault.
    pub param: Option<String>,
    /// Further facts for programs.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// Id of the request, to find it in logs.
    pub request_id: String,
    /// True if the same request may succeed later.
    pub retryable: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn retry_after_is_rounded_up_in_the_body_and_exact_between_processes() {
        let error = ApiError::new(ErrorCode::ProviderRateLimited, "slow down");
        assert_eq!(error.envelope("r").error.details, Map::new());
        let error = error.with("provider", "acme").with_retry_after(Some(Duration::from_millis(1001)));
        let body = error.envelope("r").error;
        assert_eq!(Value::Object(body.details), json!({"provider": "acme", "retry_after_seconds": 2}));
        assert_eq!((body.code.as_str(), body.kind.as_str()), ("provider_rate_limited", "rate_limit_error"));
        let sent = serde_json::to_value(&error).unwrap();
        assert_eq!(sent["retry_after_ms"], 1001);
        assert_eq!(serde_json::from_value::<ApiError>(sent).unwrap(), error);
        let old = json!({"code": "provider_error", "message": "no"});
        assert_eq!(serde_json::from_value::<ApiError>(old).unwrap().retry_after, None);
    }

    #[test]
    fn only_failures_of_a_provider_blame_it() {
        for code in ErrorCode::ALL {
            let expected = code.as_str().starts_with("provider_") || *code == ErrorCode::QuotaExceeded;
            assert_eq!(code.blames_provider(), expected, "{}", code.as_str());
            assert!(!code.retry_same() || code.retryable(), "{}", code.as_str());
        }
    }
}
