//! JSON, and JSON Schemas, in the form that a vendor takes.

use hearth_domain::{Field, Message, ResponseFormat, Role};
use hearth_wire::ApiError;
use serde_json::Value;

use super::{Refused, Rules, draft::Draft};

/// How an answer in JSON is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonObject {
    /// With a field of the request.
    Asked,
    /// The same, and the conversation must have the word JSON.
    AskedWithWord,
    /// With an instruction.
    Instructed,
}

const OBJECT: &str = "Answer with one JSON object and with nothing before or after it.";
const FITS: &str =
    "Answer with one JSON object and with nothing before or after it. It must fit this JSON Schema:";
/// Keywords that join schemas.
const UNIONS: [&str; 3] = ["oneOf", "anyOf", "allOf"];

pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) -> Result<(), ApiError> {
    unions(rules.schema_unions, draft)?;
    strict_tools(rules.strict_schemas, draft)?;
    let task = draft.task();
    if let Some(source) = rules.format_with_tools
        && task.response_format != ResponseFormat::Text
        && !task.tools.is_empty()
    {
        let problem = "must be left out where there are tools: this model takes one or the other";
        return Err(draft.refuse(Field::ResponseFormat, problem, source));
    }
    if let ResponseFormat::JsonSchema(schema) = &task.response_format {
        if let (Some(source), Some(true)) = (rules.strict_schemas, task.schema_label.strict)
            && !is_strict(schema)
        {
            return Err(draft.refuse(Field::ResponseSchema, NOT_STRICT, source));
        }
        if rules.response_schemas.is_some() {
            let words = format!("{FITS}\n{schema}");
            draft.edit().response_format = ResponseFormat::JsonObject;
            instruct(draft, &words);
            return Ok(());
        }
    }
    if draft.task().response_format == ResponseFormat::JsonObject {
        match rules.json_object.is {
            JsonObject::Asked => {}
            JsonObject::AskedWithWord if says_json(&draft.task().messages) => {}
            JsonObject::AskedWithWord => instruct(draft, OBJECT),
            JsonObject::Instructed => {
                draft.edit().response_format = ResponseFormat::Text;
                instruct(draft, OBJECT);
            }
        }
    }
    Ok(())
}

fn says_json(messages: &[Message]) -> bool {
    messages.iter().any(|message| message.content.to_ascii_lowercase().contains("json"))
}

/// Adds an instruction behind those that there are.
fn instruct(draft: &mut Draft<'_>, words: &str) {
    let messages = &draft.task().messages;
    let place = messages.iter().take_while(|message| message.role == Role::System).count();
    draft.edit().messages.insert(place, Message::new(Role::System, words));
}

/// The arguments of a tool are an object; some vendors take no choice of several.
fn unions(refused: Refused, draft: &Draft<'_>) -> Result<(), ApiError> {
    let Some(source) = refused else { return Ok(()) };
    let joins = |schema: &Value| UNIONS.iter().any(|keyword| schema.get(keyword).is_some());
    match draft.task().tools.iter().position(|tool| joins(&tool.parameters)) {
        Some(index) => {
            let field = Field::ToolParameters(index);
            let problem = "must not have oneOf, anyOf or allOf at its top level; put them into a property";
            Err(draft.refuse(field, problem, source))
        }
        None => Ok(()),
    }
}

const NOT_STRICT: &str = "is not strict, though strict is true: each object must have additionalProperties false, and \
                          all of its properties in required; leave strict out, or close the schema";

fn strict_tools(refused: Refused, draft: &Draft<'_>) -> Result<(), ApiError> {
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

/// Keywords that OpenAI does not take in a strict schema.
const NOT_IN_STRICT: [&str; 11] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
];

/// A schema as OpenAI takes it with `strict`: what fits it fits the schema. `None`: there is no such schema.
pub(crate) fn made_strict(schema: &Value) -> Option<Value> {
    let mut closed = schema.clone();
    close_objects(&mut closed);
    (is_object(&closed) && is_strict(&closed) && !uses(&closed, &NOT_IN_STRICT)).then_some(closed)
}

fn uses(schema: &Value, keywords: &[&str]) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(|item| uses(item, keywords)),
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            keywords.contains(&name.as_str()) || !VALUES.contains(&name.as_str()) && uses(value, keywords)
        }),
        _ => false,
    }
}

/// Says of each object of a schema that it has no further properties, where the schema leaves it open.
fn close_objects(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close_objects),
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "object") {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            let values = fields.iter_mut().filter(|(name, _)| !VALUES.contains(&name.as_str()));
            values.for_each(|(_, value)| close_objects(value));
        }
        _ => {}
    }
}

/// Whether each object of a schema is closed, and requires all its properties, as OpenAI asks for it where `strict` is
/// true (<https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>).
pub(super) fn is_strict(schema: &Value) -> bool {
    let closed = match schema.get("properties") {
        Some(Value::Object(properties)) => {
            let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
            schema["additionalProperties"] == false
                && properties.keys().all(|name| required.iter().any(|one| one == name))
                && properties.values().all(is_strict)
        }
        _ => !is_object(schema) || schema["additionalProperties"] == false,
    };
    let each = |keyword: &str| match schema.get(keyword) {
        Some(Value::Array(schemas)) => schemas.iter().all(is_strict),
        Some(Value::Object(schemas)) if keyword.ends_with("efs") || keyword == "definitions" => {
            schemas.values().all(is_strict)
        }
        Some(schema) => is_strict(schema),
        None => true,
    };
    closed && ["items", "anyOf", "$defs", "definitions"].into_iter().all(each)
}

fn is_object(schema: &Value) -> bool {
    match &schema["type"] {
        Value::String(kind) => kind == "object",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    }
}

/// The bounds of a schema that Anthropic's structured outputs do not take
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>).
const BOUNDS: [&str; 13] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "contentEncoding",
];

/// Keywords of a schema that hold values, which only look like schemas.
const VALUES: [&str; 4] = ["const", "enum", "default", "examples"];

/// Makes a schema one that Anthropic takes for structured outputs, as its SDKs do: objects are closed, and bounds are
/// told in the description. What fits then fits the schema that was
/// asked for, but for the bounds, which the model is only told.
pub(crate) fn close_for_claude(schema: &mut Value) {
    close_objects(schema);
    tell_bounds(schema);
}

fn tell_bounds(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tell_bounds),
        Value::Object(fields) => {
            let is_bound = |name: &str, value: &Value| {
                BOUNDS.contains(&name) && !(name == "minItems" && matches!(value.as_u64(), Some(0 | 1)))
            };
            // A property may be called like a keyword: then it has a schema and no plain value.
            let told: Vec<String> = fields
                .iter()
                .filter(|(name, value)| is_bound(name, value) && !value.is_object())
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            if !told.is_empty() {
                fields.retain(|name, value| !is_bound(name, value) || value.is_object());
                let told = format!("{{{}}}", told.join(", "));
                let description = match fields.get("description").and_then(Value::as_str) {
                    Some(text) => format!("{text}\n\n{told}"),
                    None => told,
                };
                fields.insert("description".to_owned(), Value::String(description));
            }
            let values = fields.iter_mut().filter(|(name, _)| !VALUES.contains(&name.as_str()));
            values.for_each(|(_, value)| tell_bounds(value));
        }
        _ => {}
    }
}
