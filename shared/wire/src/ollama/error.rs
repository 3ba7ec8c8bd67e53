//! Errors in Ollama's shape: the message stands in `error` itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{ApiError, ErrorCode};

/// The body of an error answer, and the line that ends a stream which fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaError {
    /// What happened and what to do.
    #[schema(example = "model 'none' not found")]
    pub error: String,
    /// A stable code, documented in `docs/errors`.
    #[schema(example = "model_not_found")]
    pub code: String,
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

impl OllamaError {
    /// The body of `error`.
    #[must_use]
    pub fn new(error: &ApiError, request_id: &str) -> Self {
        Self {
            error: error.message.clone(),
            code: error.code.as_str().to_owned(),
            param: error.param.clone(),
            details: error.public_details(),
            request_id: request_id.to_owned(),
            retryable: error.code.retryable(),
        }
    }

    /// The error of a request for `model`, in the words that Ollama's clients look for where there is no such model.
    #[must_use]
    pub fn in_its_words(mut error: ApiError, model: &str) -> ApiError {
        if error.code == ErrorCode::ModelNotFound {
            // A name comes from the client: as much of it is repeated as of any other.
            let model: String = model.chars().take(100).collect();
            error.message = format!("model '{model}' not found: {}", error.message);
        }
        error
    }
}
