//! Errors of an analysis with the names that its request has for the fields.

use hearth_domain::Field;
use hearth_wire::{ApiError, ErrorCode};

/// Ends of the names that the dialects have for the schema.
const RESPONSE_SCHEMA: &str = "response_format.json_schema.schema";
const RESPONSE_FORMAT: &str = "response_format";

/// The request's name of a field of the task.
pub(super) fn field_of(field: Field) -> String {
    match field {
        Field::Sampling(name) => format!("options.{name}"),
        Field::ResponseFormat | Field::ResponseSchema => "schema".to_owned(),
        _ => "prompt".to_owned(),
    }
}

/// The error with the request's name of the field. Below, fields have the names of the native dialect, or those of chat
/// completions.
pub(super) fn with_own_field(error: ApiError) -> ApiError {
    let Some(param) = error.param.clone() else { return error };
    let own = if param.ends_with(RESPONSE_SCHEMA) || param.ends_with(RESPONSE_FORMAT) {
        "schema".to_owned()
    } else if let Some(name) = param.strip_prefix("parameters.") {
        format!("options.{name}")
    } else if matches!(param.as_str(), "model" | "provider") {
        format!("options.{param}")
    } else if param.starts_with("input") || param.starts_with("messages") {
        "prompt".to_owned()
    } else {
        return error;
    };
    let message = match error.message.strip_prefix(&param) {
        Some(rest) => format!("{own}{rest}"),
        None => error.message.clone(),
    };
    ApiError { message, ..error }.at(own)
}

/// The error of a prompt with a pattern of an attack, where the operator refuses these.
pub(super) fn suspicious(patterns: &[hearth_wire::native::analyze::SuspicionBody]) -> ApiError {
    let field = patterns.first().map_or("prompt", |suspicion| suspicion.field.as_str());
    let message = format!(
        "{field} has a pattern of an attack, which the operator of this gateway refuses; details.suspicious names each one"
    );
    ApiError::new(ErrorCode::InvalidRequest, message)
        .at(field)
        .with("suspicious", serde_json::to_value(patterns).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_names_of_the_request() {
        for (native, own) in [
            ("parameters.response_format.json_schema.schema", "schema"),
            ("response_format.json_schema.schema", "schema"),
            ("parameters.max_tokens", "options.max_tokens"),
            ("model", "options.model"),
            ("provider", "options.provider"),
            ("input.messages", "prompt"),
            ("schema_id", "schema_id"),
        ] {
            let error = with_own_field(ApiError::invalid(native, format!("{native} is bad")));
            assert_eq!((error.param.as_deref(), error.message), (Some(own), format!("{own} is bad")));
        }
    }
}
