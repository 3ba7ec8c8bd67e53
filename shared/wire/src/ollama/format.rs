//! The fields `format`, `think` and `keep_alive`, which may have several types.

use hearth_domain::{ReasoningEffort, ResponseFormat};
use serde_json::Value;

use crate::ApiError;

/// Parses `format`: `"json"`, or a JSON Schema.
///
/// # Errors
/// `invalid_request` for anything else.
pub(super) fn parse_format(format: Option<Value>) -> Result<ResponseFormat, ApiError> {
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

/// Parses `think`: a boolean or a level; `None` if the model decides.
///
/// # Errors
/// `invalid_request` for anything else.
pub(super) fn parse_think(think: Option<&Value>) -> Result<Option<ReasoningEffort>, ApiError> {
    let effort = match think {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Bool(false)) => ReasoningEffort::None,
        Some(Value::Bool(true)) => ReasoningEffort::Medium,
        Some(Value::String(level)) => match level.as_str() {
            "low" => ReasoningEffort::Low,
            "medium" => ReasoningEffort::Medium,
            "high" | "max" => ReasoningEffort::High,
            _ => return Err(invalid_think()),
        },
        Some(_) => return Err(invalid_think()),
    };
    Ok(Some(effort))
}

fn invalid_think() -> ApiError {
    ApiError::invalid("think", "think must be true, false, \"low\", \"medium\", \"high\" or \"max\"")
}

/// Returns whether `keep_alive` is 0, which unloads the model. It is a number of seconds, or a duration such as `5m`.
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
