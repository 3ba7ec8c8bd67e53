//! What a provider's error answer means.

use std::time::Duration;

use hearth_wire::{ApiError, ErrorCode};
use reqwest::{Response, StatusCode, header::HeaderMap};
use serde_json::Value;

/// How much of a provider's own words is told, in characters.
const SHOWN: usize = 500;
/// How much of an error's body is read, in bytes.
const READ: usize = 64 << 10;

/// The error that `response` is. `name` is what the operator calls the provider.
pub(crate) async fn of(name: &str, mut response: Response) -> ApiError {
    let (status, wait) = (response.status(), retry_after(response.headers()));
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > READ {
            break;
        }
    }
    let said = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut error = judge(name, status, &said);
    if let Some(wait) = wait.or_else(|| retry_delay(&said)).or_else(|| loading_time(&said)) {
        error = error.with("retry_after_seconds", wait.as_secs());
    }
    error.with("provider", name).with("provider_status", status.as_u16())
}

/// What a status and a body mean.
fn judge(name: &str, status: StatusCode, said: &Value) -> ApiError {
    let message = words(said);
    let kind = said["error"]["code"].as_str().or(said["error"]["type"].as_str()).unwrap_or_default();
    let told = |code, what: &str| {
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        ApiError::new(code, format!("the provider {name} {what}{message}"))
    };
    match status.as_u16() {
        // Its words may show a part of the key.
        _ if is_about_the_key(status, said) => ApiError::new(
            ErrorCode::ProviderAuth,
            format!(
                "the provider {name} refused the gateway's key; set another with `hearth key set {name}`"
            ),
        ),
        402 => told(ErrorCode::QuotaExceeded, "has no credit left"),
        404 => told(ErrorCode::ModelNotFound, "has no such model").at("model"),
        408 | 504 => told(ErrorCode::ProviderTimeout, "took too long"),
        413 => told(ErrorCode::PayloadTooLarge, "takes no request so large"),
        429 if kind.contains("quota") || kind.contains("billing") => {
            told(ErrorCode::QuotaExceeded, "has no credit left")
        }
        // Bedrock's word for a model that failed.
        424 => told(ErrorCode::ProviderError, "failed"),
        429 | 529 => told(ErrorCode::ProviderRateLimited, "limits its requests"),
        400 if message.contains("credit balance") => told(ErrorCode::QuotaExceeded, "has no credit left"),
        400 | 422 if is_too_long(kind, &message) => {
            told(ErrorCode::ContextLengthExceeded, "has no room for so long a conversation")
        }
        400..500 => told(ErrorCode::InvalidRequest, "refused the request"),
        _ => told(ErrorCode::ProviderError, &format!("failed with status {}", status.as_u16())),
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

/// Google calls it a bad request when it doesn't know the key.
fn is_about_the_key(status: StatusCode, said: &Value) -> bool {
    // Stability's word for what it won't make.
    let refused = said["name"] == "content_moderation";
    matches!(status.as_u16(), 401 | 403) && !refused
        || details(said).any(|detail| detail["reason"] == "API_KEY_INVALID")
}

/// The further facts of an error of Google's (<https://cloud.google.com/apis/design/errors>).
fn details(said: &Value) -> impl Iterator<Item = &Value> {
    said["error"]["details"].as_array().into_iter().flatten()
}

/// The provider's own words, in whichever of the usual places.
fn words(said: &Value) -> String {
    let error = &said["error"];
    let places = [
        &error["message"],
        error,
        &said["message"],
        &said["Message"],
        &said["detail"],
        &said[0]["error"]["message"],
        &said["errors"][0],
        &error[0],
    ];
    let words = places.iter().find_map(|place| place.as_str()).unwrap_or_default();
    words.chars().take(SHOWN).collect()
}

/// How long a provider asks to wait: in seconds, or as a date (RFC 9110, section 10.2.3), or in OpenAI's
/// milliseconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse::<u64>().ok()) {
        return Some(Duration::from_millis(milliseconds).max(Duration::from_secs(1)));
    }
    whole_seconds(text("retry-after")?)
}

/// The same in Google's words, such as `39.5s`.
fn retry_delay(said: &Value) -> Option<Duration> {
    whole_seconds(details(said).find_map(|detail| detail["retryDelay"].as_str())?.strip_suffix('s')?)
}

/// How long a model of Hugging Face's will take to load.
fn loading_time(said: &Value) -> Option<Duration> {
    let seconds = said["estimated_time"].as_f64()?;
    whole_seconds(&seconds.to_string())
}

fn whole_seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    (0.0..86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds.ceil()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_refusal_has_its_code() {
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
            let error = judge("acme", StatusCode::from_u16(status).unwrap(), &body);
            assert_eq!(error.code, code, "{status} {body}");
            assert!(!error.message.contains("sk-12"), "{error}");
        }
    }

    #[test]
    fn waits_are_read_in_every_form() {
        let wait = |name: &'static str, text: &str| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), text.parse().unwrap())]);
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("retry-after", "7"), Some(7));
        assert_eq!(wait("retry-after", "0.2"), Some(1));
        assert_eq!(wait("retry-after-ms", "2500"), Some(2));
        assert_eq!(wait("retry-after", "soon"), None);
        let said = |delay: &str| json!({"error": {"details": [{"reason": "x"}, {"retryDelay": delay}]}});
        assert_eq!(retry_delay(&said("38.5s")).map(|wait| wait.as_secs()), Some(39));
        assert_eq!(retry_delay(&said("soon")), None);
        let loading = json!({"error": "loading", "estimated_time": 12.3});
        assert_eq!(loading_time(&loading).map(|wait| wait.as_secs()), Some(13));
    }
}
