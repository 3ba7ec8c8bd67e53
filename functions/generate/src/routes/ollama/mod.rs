//! Ollama's dialect, one file per route.

pub(crate) mod chat;
pub(crate) mod embed;
pub(crate) mod embeddings;
pub(crate) mod generate;
mod load;

use axum::{http::HeaderValue, response::Response};
use hearth_http::{HttpError, head};
use hearth_wire::{ApiError, ollama::OllamaError};

/// The error of a request for `model`, as Ollama's clients expect it.
fn in_its_words(error: HttpError, model: &str) -> HttpError {
    HttpError(OllamaError::in_its_words(error.0, model))
}

/// The same of an error that isn't on its way out yet.
fn failed(error: ApiError, model: &str) -> HttpError {
    in_its_words(HttpError(error), model)
}

/// The answer, with the names of options that had no effect.
fn with_ignored(mut response: Response, ignored: &str) -> Response {
    if !ignored.is_empty()
        && let Ok(value) = HeaderValue::from_str(ignored)
    {
        response.headers_mut().insert(head::IGNORED_OPTIONS, value);
    }
    response
}
