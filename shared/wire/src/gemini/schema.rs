//! Converts Google's `Schema` format (<https://ai.google.dev/api/caching#Schema>) to JSON Schema. In Google's format types
//! are in capitals, null is a flag, and numbers may be strings.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// Formats that JSON Schema lacks.
const DROPPED_FORMATS: [&str; 6] = ["enum", "int32", "int64", "uint32", "float", "double"];

/// Converts a schema.
pub(super) fn to_json_schema(schema: Value) -> Value {
    let Value::Object(fields) = schema else { return schema };
    let (mut out, mut order, mut nullable) = (Map::new(), Vec::new(), false);
    for (name, value) in fields {
        match name.as_str() {
            _ if value.is_null() => {}
            "type" => out.extend(convert_type(value).map(|kind| ("type".to_owned(), kind))),
            "format" if value.as_str().is_some_and(|format| DROPPED_FORMATS.contains(&format)) => {}
            "nullable" => nullable = value == true,
            "propertyOrdering" | "property_ordering" => order = strings(value),
            "example" => {}
            "anyOf" | "any_of" => out.extend([("anyOf".to_owned(), convert_list(value))]),
            "oneOf" | "allOf" | "prefixItems" => out.extend([(name, convert_list(value))]),
            "items" | "additionalProperties" | "not" => out.extend([(name, to_json_schema(value))]),
            "properties" | "$defs" | "definitions" => out.extend([(name, convert_values(value))]),
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties"
            | "minimum" | "maximum" => out.extend([(name, parse_number(value))]),
            "min_items" | "max_items" | "min_length" | "max_length" | "min_properties" | "max_properties" => {
                out.extend([(camel_case(&name), parse_number(value))]);
            }
            _ => out.extend([(name, value)]),
        }
    }
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        *properties = sorted(std::mem::take(properties), &order);
    }
    if nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

fn convert_type(value: Value) -> Option<Value> {
    match value {
        Value::String(kind) if kind.eq_ignore_ascii_case("TYPE_UNSPECIFIED") => None,
        Value::String(kind) => Some(json!(kind.to_ascii_lowercase())),
        Value::Array(kinds) => Some(kinds.into_iter().filter_map(convert_type).collect()),
        _ => Some(value),
    }
}

fn strings(value: Value) -> Vec<String> {
    let Value::Array(names) = value else { return Vec::new() };
    names.into_iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn convert_list(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(to_json_schema).collect(),
        _ => value,
    }
}

fn convert_values(value: Value) -> Value {
    match value {
        Value::Object(named) => {
            named.into_iter().map(|(name, schema)| (name, to_json_schema(schema))).collect()
        }
        _ => value,
    }
}

fn parse_number(value: Value) -> Value {
    let parsed = value.as_str().and_then(|text| text.parse::<serde_json::Number>().ok());
    parsed.map_or(value, Value::Number)
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        all + &head.to_ascii_uppercase() + tail
    })
}

/// Sorts properties, since a model writes them in the order of the schema. Properties that are not in `order` come last.
fn sorted(properties: Map<String, Value>, order: &[String]) -> Map<String, Value> {
    let positions: HashMap<&str, usize> = order.iter().map(String::as_str).zip(0..).collect();
    let mut properties: Vec<_> = properties.into_iter().collect();
    properties.sort_by_key(|(name, _)| positions.get(name.as_str()).copied().unwrap_or(usize::MAX));
    properties.into_iter().collect()
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(kinds) = schema.get_mut("type") {
        match kinds {
            Value::Array(kinds) => kinds.push(json!("null")),
            kind => *kind = json!([kind.take(), "null"]),
        }
    } else if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.push(json!({"type": "null"}));
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_of_google_becomes_json_schema() {
        let schema = json!({
            "type": "OBJECT", "description": "A place.", "propertyOrdering": ["b", "a"], "required": ["a"],
            "properties": {
                "a": {"type": "STRING", "nullable": true, "enum": ["x"], "format": "enum", "example": "x"},
                "type": {"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}, "minItems": "1", "max_items": 3},
                "b": {"any_of": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "nullable": true, "title": null},
            },
        });
        let expected = json!({
            "type": "object", "description": "A place.", "required": ["a"],
            "properties": {
                "b": {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "null"}]},
                "a": {"type": ["string", "null"], "enum": ["x", null]},
                "type": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
            },
        });
        let converted = to_json_schema(schema);
        assert_eq!(converted, expected);
        let names: Vec<_> = converted["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["b", "a", "type"]);
    }
}
