//! Rules for JSON, and JSON Schemas, of answers and tools.

use hearth_domain::{Field, Message, ResponseFormat, Role};
use hearth_wire::ApiError;
use serde_json::Value;

use super::{
    draft::Draft,
    rule::{JsonObject, Refused, Rules},
};
use crate::strict_schema::is_strict;

/// Instruction for JSON without a schema.
const OBJECT_INSTRUCTION: &str = "Answer with one JSON object and with nothing before or after it.";
/// Instruction for JSON with a schema, before the schema.
const SCHEMA_INSTRUCTION: &str =
    "Answer with one JSON object and with nothing before or after it. It must fit this JSON Schema:";
/// Keywords that combine schemas.
const UNIONS: [&str; 3] = ["oneOf", "anyOf", "allOf"];

pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) -> Result<(), ApiError> {
    refuse_unions(rules.schema_unions, draft)?;
    refuse_loose_tools(rules.loose_strict_schemas, draft)?;
    let task = draft.task();
    if let Some(source) = rules.format_with_tools
        && task.response_format != ResponseFormat::Text
        && !task.tools.is_empty()
    {
        let problem = "must be left out where there are tools: this model supports one or the other";
        return Err(draft.refuse(Field::ResponseFormat, problem, source));
    }
    if let ResponseFormat::JsonSchema(schema) = &task.response_format {
        if let (Some(source), Some(true)) = (rules.loose_strict_schemas, task.schema_label.strict)
            && !is_strict(schema)
        {
            return Err(draft.refuse(Field::ResponseSchema, NOT_STRICT, source));
        }
        if rules.response_schemas.is_some() {
            let text = format!("{SCHEMA_INSTRUCTION}\n{schema}");
            draft.edit().response_format = ResponseFormat::JsonObject;
            add_instruction(draft, &text);
            return Ok(());
        }
    }
    if draft.task().response_format == ResponseFormat::JsonObject {
        match rules.json_object.value {
            JsonObject::Field => {}
            JsonObject::FieldWithWord if has_word_json(&draft.task().messages) => {}
            JsonObject::FieldWithWord => add_instruction(draft, OBJECT_INSTRUCTION),
            JsonObject::Instruction => {
                draft.edit().response_format = ResponseFormat::Text;
                add_instruction(draft, OBJECT_INSTRUCTION);
            }
        }
    }
    Ok(())
}

fn has_word_json(messages: &[Message]) -> bool {
    messages.iter().any(|message| message.content.to_ascii_lowercase().contains("json"))
}

/// Adds a system message after the leading ones.
fn add_instruction(draft: &mut Draft<'_>, text: &str) {
    let messages = &draft.task().messages;
    let place = messages.iter().take_while(|message| message.role == Role::System).count();
    draft.edit().messages.insert(place, Message::new(Role::System, text));
}

/// Refuses tools whose schema combines others at its top level.
fn refuse_unions(refused: Refused, draft: &Draft<'_>) -> Result<(), ApiError> {
    let Some(source) = refused else { return Ok(()) };
    let is_union = |schema: &Value| UNIONS.iter().any(|keyword| schema.get(keyword).is_some());
    match draft.task().tools.iter().position(|tool| is_union(&tool.parameters)) {
        Some(index) => {
            let field = Field::ToolParameters(index);
            let problem = "must not have oneOf, anyOf or allOf at its top level; put them into a property";
            Err(draft.refuse(field, problem, source))
        }
        None => Ok(()),
    }
}

/// The problem of a schema with `strict` that isn't strict.
const NOT_STRICT: &str = "is not strict, though strict is true: each object must have additionalProperties false, and \
                          all of its properties in required; leave strict out, or change the schema";

/// Refuses tools with `strict` whose schema isn't strict.
fn refuse_loose_tools(refused: Refused, draft: &Draft<'_>) -> Result<(), ApiError> {
    let Some(source) = refused else { return Ok(()) };
    let tools = draft.task().tools.iter();
    match tools.clone().position(|tool| tool.strict && !is_strict(&tool.parameters)) {
        Some(index) => {
            let field = Field::ToolParameters(index);
            Err(draft.refuse(field, NOT_STRICT, source))
        }
        None => Ok(()),
    }
}
