//! Reads errors that a provider states in an answer of status 200.

use hearth_wire::{ApiError, ErrorCode};
use serde_json::Value;

use crate::lenient::is_present;

/// Maximum length of the provider's message in an error, in characters.
const MESSAGE_MAX_CHARS: usize = 500;
/// Anthropic's and Google's names of an error about a missing permission.
const PERMISSION_NAMES: [&str; 2] = ["permission_error", "permission_denied"];

/// Reads the error of a frame whose event is named `error`; its data may be any text.
pub(crate) fn named_failure(data: &str) -> ApiError {
    let stated = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()));
    let error = &stated["error"];
    failure(if is_present(error) { error } else { &stated })
}

/// Reads the error of a frame that has no part of an answer: from its field `error`, or from its own fields.
pub(crate) fn stated_failure(data: &str) -> Option<ApiError> {
    let stated: Value = serde_json::from_str(data).ok()?;
    if is_present(&stated["error"]) {
        return Some(failure(&stated["error"]));
    }
    let is_error = stated["object"] == "error" || stated["type"] == "error" || message(&stated).is_some();
    is_error.then(|| failure(&stated))
}

/// Converts an error object. Its code may be a status, as at OpenRouter, which passes on other vendors' errors; 529 is
/// Anthropic's status for overload.
pub(crate) fn failure(error: &Value) -> ApiError {
    let status = error["code"].as_u64().or_else(|| error["code"].as_str()?.parse().ok());
    let mut names = ["code", "type", "status"].iter().filter_map(|field| error[field].as_str());
    let code = of_status(status).or_else(|| names.find_map(|name| of_name(&name.to_lowercase())));
    let code = code.unwrap_or(ErrorCode::ProviderError);
    let message = match code {
        // A message about the key itself often has a part of it that is too short for the redactor.
        ErrorCode::ProviderAuth if !is_missing_permission(error) => "it refused the gateway's key".to_owned(),
        _ => message(error).unwrap_or_else(|| "its error has no message".to_owned()),
    };
    ApiError::new(code, format!("the provider failed: {message}"))
}

/// Returns whether an error is about a permission of the key.
fn is_missing_permission(error: &Value) -> bool {
    let mut names = ["code", "type", "status"].iter().filter_map(|field| error[field].as_str());
    names.any(|name| PERMISSION_NAMES.contains(&name.to_lowercase().as_str()))
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

/// Codes by the names of OpenAI, Anthropic (<https://platform.claude.com/docs/en/api/errors>) and Google
/// (<https://cloud.google.com/apis/design/errors>).
fn of_name(name: &str) -> Option<ErrorCode> {
    Some(match name {
        "context_length_exceeded" => ErrorCode::ContextLengthExceeded,
        "authentication_error" | "invalid_api_key" | "unauthenticated" => ErrorCode::ProviderAuth,
        name if PERMISSION_NAMES.contains(&name) => ErrorCode::ProviderAuth,
        "billing_error" | "insufficient_quota" => ErrorCode::QuotaExceeded,
        "invalid_request_error" | "invalid_prompt" | "invalid_argument" => ErrorCode::InvalidRequest,
        "not_found_error" | "model_not_found" => ErrorCode::ModelNotFound,
        "request_too_large" => ErrorCode::PayloadTooLarge,
        "timeout_error" | "deadline_exceeded" => ErrorCode::ProviderTimeout,
        name if ["rate_limit", "overloaded", "resource_exhausted"].iter().any(|part| name.contains(part)) => {
            ErrorCode::ProviderRateLimited
        }
        _ => return None,
    })
}

/// Returns the provider's message, from the first of the usual fields that has one.
fn message(error: &Value) -> Option<String> {
    let fields =
        [error, &error["message"], &error["Message"], &error["detail"], &error["error"], &error["msg"]];
    let message = fields.iter().find_map(|field| field.as_str().filter(|text| !text.is_empty()))?;
    Some(message.chars().take(MESSAGE_MAX_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn error_object_maps_to_a_code_and_its_message() {
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
            (json!({"message": "boom", "type": "permission_error"}), ErrorCode::ProviderAuth),
            (json!({"message": "boom", "status": "PERMISSION_DENIED", "code": 403}), ErrorCode::ProviderAuth),
        ];
        for (error, code) in cases {
            let failed = failure(&error);
            assert_eq!((failed.code, failed.message.contains("boom")), (code, true), "{error}");
        }
        let refused = failure(&json!({"message": "key sk-12 is wrong", "code": "invalid_api_key"}));
        assert_eq!((refused.code, refused.message.contains("sk-12")), (ErrorCode::ProviderAuth, false));
    }

    #[test]
    fn error_without_an_envelope_is_detected_by_its_fields() {
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
