//! Reads a provider's error response: the error, and the time until the same request may succeed.

use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use hearth_wire::{ApiError, ErrorCode};
use http::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::{decompress, endpoint::Endpoint, json_document, retry_after, transport::HttpResponse};

/// Maximum length of the provider's message in an error, in characters.
const MESSAGE_MAX_CHARS: usize = 500;
/// Maximum number of bytes of the body that are read.
const BODY_MAX_BYTES: usize = 64 << 10;
/// Timeout for the whole body. After it only the status counts: a body that stalls, or arrives byte by byte, must not
/// hold up the client or the connection.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the error that a response of `endpoint` states. The provider's message in it may contain the key.
pub(crate) async fn read(endpoint: &Endpoint, response: HttpResponse) -> ApiError {
    let name = endpoint.name.as_str();
    let (status, headers) = (response.status, response.headers.clone());
    let limit = endpoint.timeouts.between_bytes.min(BODY_TIMEOUT);
    let body = json_document::parse_error(&read_body(response, limit).await);
    let wait = retry_after::of_response(status, &headers, &body, SystemTime::now());
    classify(name, status, &body)
        .with_retry_after(wait)
        .with("provider", name)
        .with("provider_status", status.as_u16())
}

/// Reads the beginning of the body that arrives within `timeout`.
async fn read_body(response: HttpResponse, timeout: Duration) -> Vec<u8> {
    let (mut body, deadline) = (Vec::new(), Instant::now() + timeout);
    let Ok(mut pieces) = decompress::body_of(response) else { return body };
    while let Ok(Some(Ok(piece))) = timeout_at(deadline, pieces.next()).await {
        let room = BODY_MAX_BYTES - body.len();
        body.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if body.len() == BODY_MAX_BYTES {
            break;
        }
    }
    body
}

/// Classifies an error by its status and body.
fn classify(name: &str, status: StatusCode, body: &Value) -> ApiError {
    let message = provider_message(body);
    let kind = body["error"]["code"].as_str().or(body["error"]["type"].as_str()).unwrap_or_default();
    let error = |code, problem: &str| {
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        ApiError::new(code, format!("the provider {name} {problem}{message}"))
    };
    match status.as_u16() {
        // A message about the key itself often has a part of it that is too short for the redactor.
        _ if refuses_key(status, body) => ApiError::new(
            ErrorCode::ProviderAuth,
            format!(
                "the provider {name} refused the gateway's key; set another with `hearth key set {name}`"
            ),
        ),
        403 if !is_moderation(body) => {
            error(ErrorCode::ProviderAuth, "doesn't permit the request with the gateway's key")
        }
        402 => error(ErrorCode::QuotaExceeded, "has no credit left"),
        404 => error(ErrorCode::ModelNotFound, "has no such model").at("model"),
        408 | 504 => error(ErrorCode::ProviderTimeout, "took too long"),
        413 => error(ErrorCode::PayloadTooLarge, "refuses a request of this size"),
        429 if kind.contains("quota") || kind.contains("billing") => {
            error(ErrorCode::QuotaExceeded, "has no credit left")
        }
        // Bedrock's status for a model that failed.
        424 => error(ErrorCode::ProviderError, "failed"),
        429 | 529 => error(ErrorCode::ProviderRateLimited, "limits the rate of requests"),
        400 if message.contains("credit balance") => error(ErrorCode::QuotaExceeded, "has no credit left"),
        400 | 422 if is_too_long(kind, &message) => {
            error(ErrorCode::ContextLengthExceeded, "has a context too short for the conversation")
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
        .any(|phrase| message.contains(phrase))
}

/// Returns whether the provider refuses the key. Google's status for that is 400.
fn refuses_key(status: StatusCode, body: &Value) -> bool {
    status == StatusCode::UNAUTHORIZED
        || retry_after::google_details(body).any(|detail| detail["reason"] == "API_KEY_INVALID")
}

/// Returns whether Stability refuses the content of a request. Its status for that is 403, others' for a missing permission.
fn is_moderation(body: &Value) -> bool {
    body["name"] == "content_moderation"
}

/// Returns the provider's message, from the first of the usual fields that has one.
fn provider_message(body: &Value) -> String {
    let error = &body["error"];
    let fields = [
        &error["message"],
        error,
        &body["message"],
        &body["Message"],
        &body["detail"],
        &body[0]["error"]["message"],
        &body["errors"][0],
        &error[0],
    ];
    let message = fields.iter().find_map(|field| field.as_str()).unwrap_or_default();
    message.chars().take(MESSAGE_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_and_body_map_to_a_code() {
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
            (403, json!({"Message": "The security token is invalid"}), ErrorCode::ProviderAuth),
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

    #[test]
    fn missing_permission_keeps_its_reason() {
        let body =
            json!({"error": {"message": "this project has no access to o3", "code": "model_not_found"}});
        let error = classify("acme", StatusCode::FORBIDDEN, &body);
        let message = "the provider acme doesn't permit the request with the gateway's key: this project has no access to o3";
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::ProviderAuth, message));
    }
}
