//! Errors as responses. The body needs the request's id, which only the outermost layer has: a handler's error travels
//! there as an extension of an empty response.

use axum::response::{IntoResponse, Response};
use hearth_wire::{ApiError, ErrorCode, anthropic::MessagesError, gemini::GeminiError, ollama::OllamaError};
use http::{HeaderValue, StatusCode, header};

use crate::{error_format::ErrorFormat, rate_headers, request_id::RequestId};

/// Bytes of a message in a response, at most. A longer one quotes what the client has sent, such as a name; its middle is left out.
const MESSAGE_MAX_BYTES: usize = 4096;

/// Error that a handler returns.
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

/// Writes the body of a response that carries an error.
pub(crate) fn write_body(response: Response, id: RequestId) -> Response {
    let Some(HttpError(mut error)) = response.extensions().get::<HttpError>().cloned() else {
        return response;
    };
    shorten(&mut error.message);
    let format = response.extensions().get::<ErrorFormat>().copied().unwrap_or_default();
    let body = body_of(&error, format, id);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The SDKs of OpenAI and Anthropic read this header before they retry.
    let retry = if error.code.retryable() { "true" } else { "false" };
    parts.headers.insert("x-should-retry", HeaderValue::from_static(retry));
    rate_headers::write_error(&mut parts.headers, &error, format);
    if let Some(after) = retry_after(&error) {
        parts.headers.insert(header::RETRY_AFTER, after);
    }
    Response::from_parts(parts, body.into())
}

/// Leaves out the middle of a long message.
fn shorten(message: &mut String) {
    if message.len() > MESSAGE_MAX_BYTES {
        let begin = message.floor_char_boundary(MESSAGE_MAX_BYTES / 2);
        let end = message.ceil_char_boundary(message.len() - MESSAGE_MAX_BYTES / 2);
        message.replace_range(begin..end, " ... ");
    }
}

fn body_of(error: &ApiError, format: ErrorFormat, id: RequestId) -> Vec<u8> {
    let id = id.0.to_string();
    let body = match format {
        ErrorFormat::OpenAi => serde_json::to_vec(&error.envelope(&id)),
        ErrorFormat::Anthropic => serde_json::to_vec(&MessagesError::new(error, &id)),
        ErrorFormat::Gemini => serde_json::to_vec(&GeminiError::new(error, &id)),
        ErrorFormat::Ollama => serde_json::to_vec(&OllamaError::new(error, &id)),
    };
    body.unwrap_or_default()
}

/// Returns the seconds to wait before a retry: those of the error, else one second for conditions that pass by themselves,
/// such as a full queue.
fn retry_after(error: &ApiError) -> Option<HeaderValue> {
    let passes = matches!(
        error.code,
        ErrorCode::QueueFull | ErrorCode::RateLimited | ErrorCode::Overloaded | ErrorCode::IssuerUnavailable
    );
    error.retry_after_seconds().or(passes.then_some(1)).map(HeaderValue::from)
}

fn status_of(error: &ApiError) -> StatusCode {
    StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
