//! Errors as clients see them: one envelope on every route.

mod code;
mod retry_after;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use code::ErrorCode;

/// An error with what a client needs to act on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct ApiError {
    /// What kind of error it is.
    pub code: ErrorCode,
    /// What happened and what to do, for people. Never holds a secret or a client's text.
    pub message: String,
    /// The field or parameter that is at fault.
    #[serde(default)]
    pub param: Option<String>,
    /// Further facts for programs.
    #[serde(default)]
    pub details: Box<Map<String, Value>>,
    /// The time until the same request may succeed, where it is known. In the body it is
    /// `details.retry_after_seconds`, in the head `retry-after`.
    #[serde(
        default,
        rename = "retry_after_ms",
        with = "retry_after",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<Duration>,
}

/// The name in `details` of the seconds until the same request may succeed.
const RETRY_AFTER_SECONDS: &str = "retry_after_seconds";

impl ApiError {
    /// An error of `code` that says `message`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, details: Box::default(), retry_after: None }
    }

    /// A bad request, naming the field at fault.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message).at(param)
    }

    /// A task that can't be carried out; `param` is what the dialect calls the field at fault.
    #[must_use]
    pub fn unfit(param: String, error: &hearth_domain::InvalidTask) -> Self {
        let message = format!("{param} {}", error.problem);
        Self::invalid(param, message)
    }

    /// Names the field at fault.
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

    /// The time until the same request may succeed, in whole seconds: rounded up, since an earlier request fails.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// The facts for programs, with the time until the same request may succeed.
    #[must_use]
    pub fn public_details(&self) -> Map<String, Value> {
        let mut details = (*self.details).clone();
        if let Some(seconds) = self.retry_after_seconds() {
            details.insert(RETRY_AFTER_SECONDS.to_owned(), seconds.into());
        }
        details
    }

    /// The body of the answer.
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

/// The body of every error answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorEnvelope {
    /// The error.
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// A stable code, documented in `docs/errors`.
    #[schema(example = "model_not_found")]
    pub code: String,
    /// The family of the code, as OpenAI's clients know it.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    pub kind: String,
    /// What happened and what to do.
    pub message: String,
    /// The field or parameter at fault.
    pub param: Option<String>,
    /// Further facts for programs.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// The request's id, to look for in logs.
    pub request_id: String,
    /// Whether the same request may succeed later.
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
