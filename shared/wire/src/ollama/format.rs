//! The form of the answer, and how much to think before it. Both can be of several types.

use hearth_domain::{ReasoningEffort, ResponseFormat};
use serde_json::Value;

use crate::ApiError;

/// The form of the answer: `"json"`, or a JSON Schema.
///
/// # Errors
/// `invalid_request` for anything else.
pub(super) fn response_format(format: Option<Value>) -> Result<ResponseFormat, ApiError> {
    match format {
        None | Some(Value::Null) => Ok(ResponseFormat::Text),
        Some(Value::String(word)) if word.is_empty() => Ok(ResponseFormat::Text),
        Some(Value::String(word)) if word == "json" => Ok(ResponseFormat::JsonObject),
        Some(schema @ Value::Object(_)) => Ok(ResponseFormat::JsonSchema(schema)),
        Some(_) => {
            Err(ApiError::invalid("format", "format must be \"json\", or a JSON Schema, which is an object"))
        }
    }
}

/// How much to think: a boolean, or a level. Absent: as the model does by itself.
///
/// # Errors
/// `invalid_request` for anything else.
pub(super) fn effort(think: Option<&Value>) -> Result<Option<ReasoningEffort>, ApiError> {
    let effort = match think {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Bool(false)) => ReasoningEffort::None,
        Some(Value::Bool(true)) => ReasoningEffort::Medium,
        Some(Value::String(level)) => match level.as_str() {
            "low" => ReasoningEffort::Low,
            "medium" => ReasoningEffort::Medium,
            "high" | "max" => ReasoningEffort::High,
            _ => return Err(no_level()),
        },
        Some(_) => return Err(no_level()),
    };
    Ok(Some(effort))
}

fn no_level() -> ApiError {
    ApiError::invalid("think", "think must be true, false, \"low\", \"medium\", \"high\" or \"max\"")
}

/// Whether `keep_alive` asks for the model to be unloaded: it is a number of seconds, or a duration such as `5m`.
pub(super) fn is_zero(keep_alive: Option<&Value>) -> bool {
    match keep_alive {
        Some(Value::Number(seconds)) => seconds.as_f64() == Some(0.0),
        Some(Value::String(duration)) => {
            let digits = duration.chars().filter(char::is_ascii_digit);
            digits.clone().count() > 0 && digits.into_iter().all(|digit| digit == '0')
        }
        _ => false,
    }
}
