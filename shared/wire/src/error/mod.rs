//! Errors as clients see them: one envelope on every route.

mod code;

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
}

impl ApiError {
    /// An error of `code` that says `message`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, details: Box::default() }
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

    /// The body of the answer.
    #[must_use]
    pub fn envelope(&self, request_id: &str) -> ErrorEnvelope {
        ErrorEnvelope {
            error: ErrorBody {
                code: self.code.as_str().to_owned(),
                kind: self.code.kind().to_owned(),
                message: self.message.clone(),
                param: self.param.clone(),
                details: (*self.details).clone(),
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
