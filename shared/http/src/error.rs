//! Errors as answers. The envelope needs the request's id, which only the outermost layer has: a
//! handler's error travels as an extension of an empty answer, and is written there.

use axum::response::{IntoResponse, Response};
use hearth_wire::{ApiError, ErrorCode, anthropic::MessagesError, gemini::GeminiError, ollama::OllamaError};
use http::{HeaderValue, StatusCode, header};

use crate::{RequestId, dialect::ErrorShape};

/// An error on its way out of a handler.
#[derive(Debug, Clone)]
pub struct HttpError(pub ApiError);

impl From<ApiError> for HttpError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = status_of(&self.0).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of an answer that carries an error.
pub(crate) fn write_envelope(response: Response, id: RequestId) -> Response {
    let Some(HttpError(error)) = response.extensions().get::<HttpError>().cloned() else { return response };
    let shape = response.extensions().get::<ErrorShape>().copied().unwrap_or_default();
    let body = body_of(&error, shape, id);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The SDKs of OpenAI and Anthropic look here before they retry.
    let retry = if error.code.retryable() { "true" } else { "false" };
    parts.headers.insert("x-should-retry", HeaderValue::from_static(retry));
    if let Some(after) = retry_after(&error) {
        parts.headers.insert(header::RETRY_AFTER, after);
    }
    Response::from_parts(parts, body.into())
}

fn body_of(error: &ApiError, shape: ErrorShape, id: RequestId) -> Vec<u8> {
    let id = id.0.to_string();
    let body = match shape {
        ErrorShape::Own => serde_json::to_vec(&error.envelope(&id)),
        ErrorShape::Anthropic => serde_json::to_vec(&MessagesError::new(error, &id)),
        ErrorShape::Gemini => serde_json::to_vec(&GeminiError::new(error, &id)),
        ErrorShape::Ollama => serde_json::to_vec(&OllamaError::new(error, &id)),
    };
    body.unwrap_or_default()
}

/// The seconds to wait before the same request: as long as the error says, else a second for what moves by itself, as
/// a queue does.
fn retry_after(error: &ApiError) -> Option<HeaderValue> {
    let moves = matches!(error.code, ErrorCode::QueueFull | ErrorCode::RateLimited | ErrorCode::Overloaded);
    error.retry_after_seconds().or(moves.then_some(1)).map(HeaderValue::from)
}

fn status_of(error: &ApiError) -> StatusCode {
    StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
