//! Schemas that are combined, and schemas that depend on others.

use serde_json::{Value, json};

use super::Sample;

/// A closed object with a kind and a value.
fn variant(kind: &str, value: &Value) -> Value {
    json!({
        "type": "object", "properties": {"kind": {"const": kind}, "value": value}, "required": ["kind", "value"],
        "additionalProperties": false,
    })
}

/// `anyOf`, `oneOf`, `allOf` and `not`, alone and within each other.
pub(super) fn combination(number: usize) -> Sample {
    let size = number / 5;
    let integer = json!({"type": "integer", "minimum": 0, "maximum": 9 + size});
    match number % 5 {
        0 => (
            json!({"anyOf": [variant("count", &integer), variant("flag", &json!({"type": "boolean"}))]}),
            json!({"kind": "flag", "value": true}),
            json!({"kind": "flag", "value": 1}),
        ),
        1 => (
            json!({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {"a": {"oneOf": [
                integer, {"type": "boolean"}, {"type": "null"},
            ]}}}),
            json!({"a": null}),
            json!({"a": "x"}),
        ),
        2 => (
            json!({"allOf": [
                {"type": "object", "properties": {"a": integer}, "required": ["a"]},
                {"type": "object", "properties": {"b": {"type": "boolean"}}, "required": ["b"]},
            ]}),
            json!({"a": 1, "b": true}),
            json!({"a": 1}),
        ),
        3 => (
            json!({
                "type": "object", "properties": {"a": {"enum": ["x", "y", format!("z{size}")], "not": {"const": "y"}}},
                "required": ["a"], "additionalProperties": false,
            }),
            json!({"a": "x"}),
            json!({"a": "y"}),
        ),
        _ => (
            json!({"oneOf": [
                {"type": "integer", "multipleOf": 3, "minimum": 0, "maximum": 30},
                {"type": "integer", "multipleOf": 5 + 2 * size, "minimum": 0, "maximum": 30},
            ]}),
            json!(3),
            json!(1),
        ),
    }
}

/// `if`, `then`, `else`, and properties that depend on others.
pub(super) fn condition(number: usize) -> Sample {
    let size = number / 5;
    let base = json!({
        "country": {"enum": ["de", "us"]}, "code": {"type": "integer", "minimum": 0, "maximum": 99},
        "note": {"type": "string", "maxLength": 4 + size},
    });
    match number % 5 {
        0 => (
            json!({
                "type": "object", "properties": base, "required": ["country", "code"], "additionalProperties": false,
                "if": {"properties": {"country": {"const": "de"}}},
                "then": {"properties": {"code": {"maximum": 50 + size}}}, "else": {"properties": {"code": {"minimum": 10}}},
            }),
            json!({"country": "de", "code": 5}),
            json!({"country": "us", "code": 5}),
        ),
        1 => (
            json!({
                "type": "object", "properties": base, "additionalProperties": false, "required": ["country"],
                "dependentRequired": {"code": ["note"]},
            }),
            json!({"country": "us"}),
            json!({"country": "us", "code": 1}),
        ),
        2 => (
            json!({
                "type": "object", "properties": base, "additionalProperties": false, "required": ["country"],
                "dependentSchemas": {"note": {"required": ["code"]}},
            }),
            json!({"country": "us", "code": 1, "note": "a"}),
            json!({"country": "us", "note": "a"}),
        ),
        3 => (
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": base,
                "additionalProperties": false, "required": ["code"], "dependencies": {"note": ["country"]},
            }),
            json!({"code": 2, "note": "b", "country": "de"}),
            json!({"code": 2, "note": "b"}),
        ),
        _ => (
            json!({
                "type": "object", "properties": base, "additionalProperties": false, "required": ["country", "code"],
                "if": {"properties": {"code": {"maximum": 9}}}, "then": {"required": ["note"]},
            }),
            json!({"country": "de", "code": 10}),
            json!({"country": "de", "code": 9}),
        ),
    }
}
