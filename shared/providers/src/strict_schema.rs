//! JSON Schemas in the forms that vendors require for strict structured outputs: OpenAI's and Anthropic's.

use serde_json::Value;

/// Keywords whose values are data that may look like a schema.
const DATA_KEYWORDS: [&str; 4] = ["const", "enum", "default", "examples"];

/// Keywords that OpenAI doesn't support in a strict schema.
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

/// Bounds that Anthropic's structured outputs don't support
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

/// Returns a schema that OpenAI accepts with `strict`, and whose instances all fit `schema`; `None` if there is none.
pub(crate) fn to_strict(schema: &Value) -> Option<Value> {
    let mut closed = schema.clone();
    close_objects(&mut closed);
    (is_object(&closed) && is_strict(&closed) && !uses(&closed, &NOT_IN_STRICT)).then_some(closed)
}

/// Returns whether each object of a schema is closed and requires all its properties, as OpenAI demands where `strict` is
/// true (<https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>).
pub(crate) fn is_strict(schema: &Value) -> bool {
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

/// Changes a schema to one that Anthropic accepts for structured outputs, as its SDKs do: objects are closed, and bounds
/// move into the description. An instance then fits the original schema but for the bounds, which the model may break.
pub(crate) fn close_for_claude(schema: &mut Value) {
    close_objects(schema);
    describe_bounds(schema);
}

fn uses(schema: &Value, keywords: &[&str]) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(|item| uses(item, keywords)),
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            keywords.contains(&name.as_str())
                || !DATA_KEYWORDS.contains(&name.as_str()) && uses(value, keywords)
        }),
        _ => false,
    }
}

/// Adds `additionalProperties: false` to each object of a schema that leaves it open.
fn close_objects(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close_objects),
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "object") {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            let schemas = fields.iter_mut().filter(|(name, _)| !DATA_KEYWORDS.contains(&name.as_str()));
            schemas.for_each(|(_, schema)| close_objects(schema));
        }
        _ => {}
    }
}

fn is_object(schema: &Value) -> bool {
    match &schema["type"] {
        Value::String(kind) => kind == "object",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    }
}

/// Moves the bounds of a schema into its description.
fn describe_bounds(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(describe_bounds),
        Value::Object(fields) => {
            let is_bound = |name: &str, value: &Value| {
                BOUNDS.contains(&name) && !(name == "minItems" && matches!(value.as_u64(), Some(0 | 1)))
            };
            // A property may have a keyword's name: then its value is a schema, an object.
            let bounds: Vec<String> = fields
                .iter()
                .filter(|(name, value)| is_bound(name, value) && !value.is_object())
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            if !bounds.is_empty() {
                fields.retain(|name, value| !is_bound(name, value) || value.is_object());
                let bounds = format!("{{{}}}", bounds.join(", "));
                let description = match fields.get("description").and_then(Value::as_str) {
                    Some(text) => format!("{text}\n\n{bounds}"),
                    None => bounds,
                };
                fields.insert("description".to_owned(), Value::String(description));
            }
            let schemas = fields.iter_mut().filter(|(name, _)| !DATA_KEYWORDS.contains(&name.as_str()));
            schemas.for_each(|(_, schema)| describe_bounds(schema));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strict_schema_is_closed_and_requires_all_properties() {
        let closed = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
        let text = json!({"type": "string"});
        let inner = closed(json!({"b": text}), json!(["b"]));
        // A schema, whether it is strict, and whether it can be made strict.
        let cases = [
            (closed(json!({"a": text}), json!(["a"])), true, true),
            (closed(json!({"a": text}), json!([])), false, false),
            (json!({"type": "object", "properties": {}}), false, true),
            (closed(json!({"a": {"type": "array", "items": inner}}), json!(["a"])), true, true),
            (closed(json!({"a": {"type": "array", "items": {"type": "object"}}}), json!(["a"])), false, true),
            (closed(json!({"a": {"anyOf": [inner, {"type": "null"}]}}), json!(["a"])), true, true),
            (closed(json!({"a": {"not": text}}), json!(["a"])), true, false),
            (json!({"type": "object", "additionalProperties": text}), false, false),
            (text, true, false),
        ];
        for (schema, strict, can_be) in cases {
            assert_eq!(is_strict(&schema), strict, "{schema}");
            assert_eq!(to_strict(&schema).is_some(), can_be, "{schema}");
        }
    }

    #[test]
    fn bounds_move_into_the_description_for_claude() {
        let mut schema = json!({"type": "object", "properties": {
            "age": {"type": "integer", "minimum": 0, "maximum": 150, "description": "Years."},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 1, "maxItems": 3},
            "minimum": {"type": "integer"},
        }});
        close_for_claude(&mut schema);
        let expected = json!({"type": "object", "properties": {
            "age": {"type": "integer", "description": "Years.\n\n{minimum: 0, maximum: 150}"},
            "tags": {"type": "array", "items": {"type": "string", "description": "{maxLength: 9}"}, "minItems": 1, "description": "{maxItems: 3}"},
            "minimum": {"type": "integer"},
        }, "additionalProperties": false});
        assert_eq!(schema, expected);
    }
}
