//! Reads a provider's error answer: which error it is, and when the same request may succeed.

use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use hearth_wire::{ApiError, ErrorCode};
use http::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::{Endpoint, decompress, retry_after, transport::HttpAnswer};

/// How many characters of the provider's message the error has.
const MESSAGE_MAX_CHARS: usize = 500;
/// How many bytes of the body are read.
const BODY_MAX_BYTES: usize = 64 << 10;
/// The longest time for the whole body. After it the error is made of the status alone: a body that stalls, or comes
/// byte by byte, keeps neither the client nor the connection.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The error that `answer` of `endpoint` is. The provider's message in it may hold the key.
pub(crate) async fn read(endpoint: &Endpoint, answer: HttpAnswer) -> ApiError {
    let name = endpoint.name.as_str();
    let (status, headers) = (answer.status, answer.headers.clone());
    let limit = endpoint.timeouts.between_bytes.min(BODY_TIMEOUT);
    let body = serde_json::from_slice(&read_body(answer, limit).await).unwrap_or(Value::Null);
    let wait = retry_after::of_response(status, &headers, &body, SystemTime::now());
    classify(name, status, &body)
        .with_retry_after(wait)
        .with("provider", name)
        .with("provider_status", status.as_u16())
}

/// The beginning of the body, as far as it comes within `limit`.
async fn read_body(answer: HttpAnswer, limit: Duration) -> Vec<u8> {
    let (mut body, deadline) = (Vec::new(), Instant::now() + limit);
    let Ok(mut pieces) = decompress::body_of(answer) else { return body };
    while let Ok(Some(Ok(piece))) = timeout_at(deadline, pieces.next()).await {
        let room = BODY_MAX_BYTES - body.len();
        body.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if body.len() == BODY_MAX_BYTES {
            break;
        }
    }
    body
}

/// The error that a status and a body mean.
fn classify(name: &str, status: StatusCode, body: &Value) -> ApiError {
    let message = provider_message(body);
    let kind = body["error"]["code"].as_str().or(body["error"]["type"].as_str()).unwrap_or_default();
    let error = |code, what: &str| {
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        ApiError::new(code, format!("the provider {name} {what}{message}"))
    };
    match status.as_u16() {
        // The message of such an error shows a part of the key at some vendors.
        _ if is_about_the_key(status, body) => ApiError::new(
            ErrorCode::ProviderAuth,
            format!(
                "the provider {name} refused the gateway's key; set another with `hearth key set {name}`"
            ),
        ),
        402 => error(ErrorCode::QuotaExceeded, "has no credit left"),
        404 => error(ErrorCode::ModelNotFound, "has no such model").at("model"),
        408 | 504 => error(ErrorCode::ProviderTimeout, "took too long"),
        413 => error(ErrorCode::PayloadTooLarge, "takes no request so large"),
        429 if kind.contains("quota") || kind.contains("billing") => {
            error(ErrorCode::QuotaExceeded, "has no credit left")
        }
        // Bedrock's status for a model that failed.
        424 => error(ErrorCode::ProviderError, "failed"),
        429 | 529 => error(ErrorCode::ProviderRateLimited, "limits its requests"),
        400 if message.contains("credit balance") => error(ErrorCode::QuotaExceeded, "has no credit left"),
        400 | 422 if is_too_long(kind, &message) => {
            error(ErrorCode::ContextLengthExceeded, "has no room for so long a conversation")
        }
        400..500 => error(ErrorCode::InvalidRequest, "refused the request"),
        _ => error(ErrorCode::ProviderError, &format!("failed with status {}", status.as_u16())),
    }
}

fn is_too_long(kind: &str, message: &str) -> bool {
    let message = message.to_lowercase();
    kind == "context_length_exceeded"
        || [
            "maximum context length",
            "prompt is too long",
            "context window",
            "exceeds the maximum number of tokens",
            "input is too long",
            "exceed context limit",
        ]
        .iter()
        .any(|words| message.contains(words))
}

/// Whether the provider refuses the key. Google's status for that is 400, and Stability's 403 may be about the
/// content.
fn is_about_the_key(status: StatusCode, body: &Value) -> bool {
    let moderated = body["name"] == "content_moderation";
    matches!(status.as_u16(), 401 | 403) && !moderated
        || google_details(body).any(|detail| detail["reason"] == "API_KEY_INVALID")
}

/// The further facts of an error of Google's (<https://cloud.google.com/apis/design/errors>).
pub(crate) fn google_details(body: &Value) -> impl Iterator<Item = &Value> {
    body["error"]["details"].as_array().into_iter().flatten()
}

/// The provider's message, in whichever of the usual places.
fn provider_message(body: &Value) -> String {
    let error = &body["error"];
    let places = [
        &error["message"],
        error,
        &body["message"],
        &body["Message"],
        &body["detail"],
        &body[0]["error"]["message"],
        &body["errors"][0],
        &error[0],
    ];
    let message = places.iter().find_map(|place| place.as_str()).unwrap_or_default();
    message.chars().take(MESSAGE_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_status_and_body_has_its_code() {
        let error = |code: &str, message: &str| json!({"error": {"code": code, "message": message}});
        let cases = [
            (401, error("invalid_api_key", "Incorrect API key provided: sk-12"), ErrorCode::ProviderAuth),
            (404, error("model_not_found", "no"), ErrorCode::ModelNotFound),
            (429, error("rate_limit_exceeded", "slow down"), ErrorCode::ProviderRateLimited),
            (429, error("insufficient_quota", "pay"), ErrorCode::QuotaExceeded),
            (400, error("context_length_exceeded", "long"), ErrorCode::ContextLengthExceeded),
            (
                400,
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9"}}),
                ErrorCode::ContextLengthExceeded,
            ),
            (
                400,
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}}),
                ErrorCode::QuotaExceeded,
            ),
            (400, json!({"detail": "no"}), ErrorCode::InvalidRequest),
            (
                400,
                json!({"error": {"code": 400, "message": "API key not valid: sk-12", "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID", "domain": "googleapis.com"}]}}),
                ErrorCode::ProviderAuth,
            ),
            (
                400,
                json!({"message": "Input is too long for requested model."}),
                ErrorCode::ContextLengthExceeded,
            ),
            (403, json!({"name": "content_moderation", "errors": ["no"]}), ErrorCode::InvalidRequest),
            (400, json!({"name": "bad_request", "errors": ["prompt: too long"]}), ErrorCode::InvalidRequest),
            (403, json!({"Message": "The security token is invalid: sk-12"}), ErrorCode::ProviderAuth),
            (424, json!({"message": "The model failed"}), ErrorCode::ProviderError),
            (529, json!({"error": {"type": "overloaded_error"}}), ErrorCode::ProviderRateLimited),
            (500, Value::Null, ErrorCode::ProviderError),
            (503, json!("x"), ErrorCode::ProviderError),
        ];
        for (status, body, code) in cases {
            let error = classify("acme", StatusCode::from_u16(status).unwrap(), &body);
            assert_eq!(error.code, code, "{status} {body}");
            assert!(!error.message.contains("sk-12"), "{error}");
        }
    }
}
