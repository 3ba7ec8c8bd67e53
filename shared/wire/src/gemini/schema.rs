//! Google's `Schema` (<https://ai.google.dev/api/caching#Schema>) as JSON Schema: types are in capitals there, null is a
//! flag, and numbers may be strings.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// Formats that say how a number is stored, or that an enumeration is one: JSON Schema has no such words.
const FORMATS: [&str; 6] = ["enum", "int32", "int64", "uint32", "float", "double"];

/// The JSON Schema that says the same.
pub(super) fn to_json_schema(schema: Value) -> Value {
    let Value::Object(fields) = schema else { return schema };
    let (mut out, mut order, mut nullable) = (Map::new(), Vec::new(), false);
    for (name, value) in fields {
        match name.as_str() {
            _ if value.is_null() => {}
            "type" => out.extend(kind(value).map(|kind| ("type".to_owned(), kind))),
            "format" if value.as_str().is_some_and(|format| FORMATS.contains(&format)) => {}
            "nullable" => nullable = value == true,
            "propertyOrdering" | "property_ordering" => order = names(value),
            "example" => {}
            "anyOf" | "any_of" => out.extend([("anyOf".to_owned(), each(value))]),
            "oneOf" | "allOf" | "prefixItems" => out.extend([(name, each(value))]),
            "items" | "additionalProperties" | "not" => out.extend([(name, to_json_schema(value))]),
            "properties" | "$defs" | "definitions" => out.extend([(name, under_names(value))]),
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties"
            | "minimum" | "maximum" => out.extend([(name, number(value))]),
            "min_items" | "max_items" | "min_length" | "max_length" | "min_properties" | "max_properties" => {
                out.extend([(camel_case(&name), number(value))]);
            }
            _ => out.extend([(name, value)]),
        }
    }
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        *properties = in_order(std::mem::take(properties), &order);
    }
    if nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

fn kind(value: Value) -> Option<Value> {
    match value {
        Value::String(kind) if kind.eq_ignore_ascii_case("TYPE_UNSPECIFIED") => None,
        Value::String(kind) => Some(json!(kind.to_ascii_lowercase())),
        Value::Array(kinds) => Some(kinds.into_iter().filter_map(kind).collect()),
        _ => Some(value),
    }
}

fn names(value: Value) -> Vec<String> {
    let Value::Array(names) = value else { return Vec::new() };
    names.into_iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn each(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(to_json_schema).collect(),
        _ => value,
    }
}

fn under_names(value: Value) -> Value {
    match value {
        Value::Object(named) => {
            named.into_iter().map(|(name, schema)| (name, to_json_schema(schema))).collect()
        }
        _ => value,
    }
}

fn number(value: Value) -> Value {
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

/// A model writes properties in the order in which the schema has them. Those that `order` doesn't name come last.
fn in_order(properties: Map<String, Value>, order: &[String]) -> Map<String, Value> {
    let places: HashMap<&str, usize> = order.iter().map(String::as_str).zip(0..).collect();
    let mut properties: Vec<_> = properties.into_iter().collect();
    properties.sort_by_key(|(name, _)| places.get(name.as_str()).copied().unwrap_or(usize::MAX));
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
    fn googles_words_become_those_of_json_schema() {
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
