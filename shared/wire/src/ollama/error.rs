//! Errors in Ollama's format: `error` is the message itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{ApiError, ErrorCode};

/// The body of an error response, and the last line of a stream that fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaError {
    /// Description of the error, and how to avoid it.
    #[schema(example = "model 'none' not found")]
    pub error: String,
    /// A stable code, documented in `docs/errors`.
    #[schema(example = "model_not_found")]
    pub code: String,
    /// The field or parameter that caused the error.
    pub param: Option<String>,
    /// Further data for programs.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// The request's id, which is also in the logs.
    pub request_id: String,
    /// True if the same request may succeed later.
    pub retryable: bool,
}

impl OllamaError {
    /// Creates the body of `error`.
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

    /// Adds to the error of an unknown model the text that Ollama's clients search for. `model` is the requested name.
    #[must_use]
    pub fn with_client_wording(mut error: ApiError, model: &str) -> ApiError {
        if error.code == ErrorCode::ModelNotFound {
            // The name is the client's and may be long.
            let model: String = model.chars().take(100).collect();
            error.message = format!("model '{model}' not found: {}", error.message);
        }
        error
    }
}
