//! Recognises a provider's refusal of a request's JSON Schema.

use hearth_domain::{ResponseFormat, TextTask};
use hearth_wire::{ApiError, ErrorCode};
use serde_json::Value;

/// Parts of a provider's message about the schema of the answer, or the field that it is in.
const PHRASES: [&str; 8] = [
    "schema",
    "response_format",
    "responseformat",
    "text.format",
    "output_config",
    "outputconfig",
    "structured output",
    "tool_choice",
];

/// Returns whether a provider refuses a request for its schema, so that the model may be given the schema as an instruction. A
/// client that demands `strict` gets the refusal.
pub(super) fn refuses_schema(error: &ApiError, task: &TextTask) -> bool {
    let status = error.details.get("provider_status").and_then(Value::as_u64);
    let message = error.message.to_lowercase();
    matches!(task.response_format, ResponseFormat::JsonSchema(_))
        && task.schema_label.strict != Some(true)
        && error.code == ErrorCode::InvalidRequest
        && matches!(status, Some(400 | 422))
        && PHRASES.iter().any(|phrase| message.contains(phrase))
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Message, Role, Sampling, SchemaLabel};
    use serde_json::json;

    use super::*;

    #[test]
    fn refusal_of_a_schema_is_recognised_by_its_words() {
        let task = TextTask::new(vec![Message::new(Role::User, "Hi")], Sampling::default());
        let task = TextTask { response_format: ResponseFormat::JsonSchema(json!({})), ..task };
        let error = |status: u64, message: &str| {
            ApiError::new(ErrorCode::InvalidRequest, message).with("provider_status", status)
        };
        let refused = error(400, "Invalid schema for response_format 'x': 'oneOf' is not permitted");
        assert!(refuses_schema(&refused, &task));
        assert!(refuses_schema(&error(422, "this model has no Structured Outputs"), &task));
        assert!(!refuses_schema(&error(400, "temperature must be at most 2"), &task));
        assert!(!refuses_schema(&error(403, "the schema is forbidden"), &task));
        let label = SchemaLabel { strict: Some(true), ..SchemaLabel::default() };
        assert!(!refuses_schema(&refused, &TextTask { schema_label: label, ..task.clone() }));
        assert!(!refuses_schema(&refused, &TextTask { response_format: ResponseFormat::Text, ..task }));
    }
}
