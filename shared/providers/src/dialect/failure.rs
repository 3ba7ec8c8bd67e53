//! Errors that a provider states inside an answer of status 200.

use hearth_wire::{ApiError, ErrorCode};
use serde_json::Value;

use crate::lenient::says_something;

/// The most of a provider's own words that are shown, in characters.
const WORDS_MAX_CHARS: usize = 500;

/// The error that a frame states whose event is named `error`, whatever its data is.
pub(crate) fn named_failure(data: &str) -> ApiError {
    let stated = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()));
    let error = &stated["error"];
    failure(if says_something(error) { error } else { &stated })
}

/// The error that a frame states which has nothing of an answer: in an envelope, or as its own fields.
pub(crate) fn stated_failure(data: &str) -> Option<ApiError> {
    let stated: Value = serde_json::from_str(data).ok()?;
    if says_something(&stated["error"]) {
        return Some(failure(&stated["error"]));
    }
    let is_error = stated["object"] == "error" || stated["type"] == "error" || words(&stated).is_some();
    is_error.then(|| failure(&stated))
}

/// What an error means. Of those that pass others' errors on, OpenRouter for one, the code is a status, of which 529 is
/// Anthropic's for being overloaded.
pub(crate) fn failure(error: &Value) -> ApiError {
    let status = error["code"].as_u64().or_else(|| error["code"].as_str()?.parse().ok());
    let mut names = ["code", "type", "status"].iter().filter_map(|field| error[field].as_str());
    let code = of_status(status).or_else(|| names.find_map(|name| of_name(&name.to_lowercase())));
    let code = code.unwrap_or(ErrorCode::ProviderError);
    let words = match code {
        // Its words may show a part of the key.
        ErrorCode::ProviderAuth => "it refused the gateway's key".to_owned(),
        _ => words(error).unwrap_or_else(|| "it says nothing more".to_owned()),
    };
    ApiError::new(code, format!("the provider failed: {words}"))
}

fn of_status(status: Option<u64>) -> Option<ErrorCode> {
    match status? {
        401 => Some(ErrorCode::ProviderAuth),
        402 => Some(ErrorCode::QuotaExceeded),
        408 | 504 => Some(ErrorCode::ProviderTimeout),
        429 | 529 => Some(ErrorCode::ProviderRateLimited),
        _ => None,
    }
}

/// The names of OpenAI, Anthropic (<https://platform.claude.com/docs/en/api/errors>) and Google
/// (<https://cloud.google.com/apis/design/errors>).
fn of_name(name: &str) -> Option<ErrorCode> {
    Some(match name {
        "context_length_exceeded" => ErrorCode::ContextLengthExceeded,
        "authentication_error" | "permission_error" | "invalid_api_key" | "unauthenticated" => {
            ErrorCode::ProviderAuth
        }
        "billing_error" | "insufficient_quota" => ErrorCode::QuotaExceeded,
        "invalid_request_error" | "invalid_prompt" | "invalid_argument" => ErrorCode::InvalidRequest,
        "not_found_error" | "model_not_found" => ErrorCode::ModelNotFound,
        "request_too_large" => ErrorCode::PayloadTooLarge,
        "timeout_error" | "deadline_exceeded" => ErrorCode::ProviderTimeout,
        name if ["rate_limit", "overloaded", "resource_exhausted"].iter().any(|word| name.contains(word)) => {
            ErrorCode::ProviderRateLimited
        }
        _ => return None,
    })
}

/// The provider's own words, in whichever of the usual places.
fn words(error: &Value) -> Option<String> {
    let places =
        [error, &error["message"], &error["Message"], &error["detail"], &error["error"], &error["msg"]];
    let words = places.iter().find_map(|place| place.as_str().filter(|words| !words.is_empty()))?;
    Some(words.chars().take(WORDS_MAX_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_stated_error_has_its_code_and_keeps_its_words() {
        let cases = [
            (json!("boom"), ErrorCode::ProviderError),
            (json!({"message": "boom"}), ErrorCode::ProviderError),
            (json!({"message": "boom", "code": 429}), ErrorCode::ProviderRateLimited),
            (json!({"message": "boom", "code": "529"}), ErrorCode::ProviderRateLimited),
            (json!({"message": "boom", "type": "overloaded_error"}), ErrorCode::ProviderRateLimited),
            (json!({"message": "boom", "status": "RESOURCE_EXHAUSTED"}), ErrorCode::ProviderRateLimited),
            (json!({"message": "boom", "code": "context_length_exceeded"}), ErrorCode::ContextLengthExceeded),
            (json!({"message": "boom", "code": 504}), ErrorCode::ProviderTimeout),
            (json!({"message": "boom", "type": "billing_error"}), ErrorCode::QuotaExceeded),
        ];
        for (error, code) in cases {
            let failed = failure(&error);
            assert_eq!((failed.code, failed.message.contains("boom")), (code, true), "{error}");
        }
        let refused = failure(&json!({"message": "key sk-12 is wrong", "code": "invalid_api_key"}));
        assert_eq!((refused.code, refused.message.contains("sk-12")), (ErrorCode::ProviderAuth, false));
    }

    #[test]
    fn errors_without_an_envelope_are_known_by_their_words() {
        for text in [
            r#"{"detail":"no"}"#,
            r#"{"object":"error","message":"no","code":400}"#,
            r#"{"error":"no"}"#,
            r#"{"message":"no"}"#,
        ] {
            assert!(stated_failure(text).unwrap().message.ends_with(": no"), "{text}");
        }
        for text in ["{}", r#"{"error":null,"id":"x"}"#, "[]", "null"] {
            assert_eq!(stated_failure(text), None, "{text}");
        }
        assert!(named_failure("it broke").message.contains("it broke"));
    }
}
