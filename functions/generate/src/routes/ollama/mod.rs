//! Ollama's dialect, a file for each route.

pub(crate) mod chat;
pub(crate) mod embed;
pub(crate) mod embeddings;
pub(crate) mod generate;
mod load;

use axum::{http::HeaderValue, response::Response};
use hearth_http::{HttpError, response_headers};
use hearth_wire::{ApiError, ollama::OllamaError};

/// Rewords the error of a request for `model` as Ollama's clients expect it.
fn with_client_wording(error: HttpError, model: &str) -> HttpError {
    HttpError(OllamaError::with_client_wording(error.0, model))
}

/// Converts and rewords an error.
fn failed(error: ApiError, model: &str) -> HttpError {
    with_client_wording(HttpError(error), model)
}

/// Adds a header with the names of ignored options.
fn with_ignored(mut response: Response, ignored: &str) -> Response {
    if !ignored.is_empty()
        && let Ok(value) = HeaderValue::from_str(ignored)
    {
        response.headers_mut().insert(response_headers::IGNORED_OPTIONS, value);
    }
    response
}
