//! Buffered bodies as text. API Gateway decodes base64 only for clients that accept a binary media type first; the others
//! would receive the base64.

use axum::{
    http::{HeaderName, HeaderValue, header::CONTENT_TYPE},
    response::Response,
};

/// Header by which `lambda_http` returns a body as text, whose media type it doesn't know as one.
const ENCODING: HeaderName = HeaderName::from_static("x-lambda-http-content-encoding");
/// Lines of JSON, as Ollama's clients receive them.
const LINES: &str = "application/x-ndjson";

/// Marks a body of lines as text. All other buffered bodies have a media type that `lambda_http` knows as text.
pub(crate) fn with_text_body(mut response: Response) -> Response {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|name| name.starts_with(LINES)) {
        response.headers_mut().insert(ENCODING, HeaderValue::from_static("text"));
    }
    response
}
