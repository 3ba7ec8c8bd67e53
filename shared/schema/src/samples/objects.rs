//! Records, objects within each other, and objects with names that the schema doesn't list.

use serde_json::{Map, Value, json};

use super::Sample;

/// Small schemas of properties, each with a value.
fn property(number: usize) -> (Value, Value) {
    match number % 6 {
        0 => (json!({"type": "string", "maxLength": 8}), json!("ada")),
        1 => (json!({"type": "integer", "minimum": 0, "maximum": 99}), json!(7)),
        2 => (json!({"type": "boolean"}), json!(true)),
        3 => (json!({"enum": ["low", "high"]}), json!("low")),
        4 => (json!({"type": ["integer", "null"], "maximum": 9}), Value::Null),
        _ => (json!({"type": "array", "items": {"type": "boolean"}, "maxItems": 2}), json!([false])),
    }
}

/// An object of one to five properties, some of which are optional.
pub(super) fn record(number: usize) -> Sample {
    let count = 1 + number % 5;
    let (mut properties, mut fitting, mut required) = (Map::new(), Map::new(), Vec::new());
    for index in 0..count {
        let name = format!("field_{index}");
        let (schema, value) = property(number + index);
        properties.insert(name.clone(), schema);
        let is_optional = index > 0 && (number + index).is_multiple_of(3);
        if !is_optional {
            required.push(name.clone());
        }
        if !is_optional || number.is_multiple_of(2) {
            fitting.insert(name, value);
        }
    }
    let mut unfit = fitting.clone();
    if number < 10 {
        unfit.shift_remove("field_0");
    } else {
        unfit.insert("more".to_owned(), json!(1));
    }
    let schema = json!({
        "type": "object", "title": format!("Record {number}"), "properties": properties, "required": required,
        "additionalProperties": false,
    });
    (schema, fitting.into(), unfit.into())
}

/// Objects within each other, one to four levels, some of them in lists.
pub(super) fn nested(number: usize) -> Sample {
    let levels = 1 + number % 4;
    let (leaf, value) = property(number);
    let mut schema = json!({
        "type": "object", "properties": {"leaf": leaf}, "required": ["leaf"], "additionalProperties": false,
    });
    let (mut fitting, mut unfit) = (json!({"leaf": value}), json!({}));
    for level in 0..levels {
        let name = format!("level_{level}");
        if (number / 4 + level).is_multiple_of(2) {
            schema = json!({"type": "array", "items": schema, "minItems": 1, "maxItems": 2});
            (fitting, unfit) = (json!([fitting]), json!([unfit]));
        }
        schema = json!({
            "type": "object", "properties": {&name: schema}, "required": [name], "additionalProperties": false,
            "description": format!("Level {level} of {number}."),
        });
        (fitting, unfit) = (json!({&name: fitting}), json!({&name: unfit}));
    }
    (schema, fitting, unfit)
}

/// Objects whose names are open: by a schema for further ones, by patterns, by counts, or by schemas of names.
pub(super) fn open(number: usize) -> Sample {
    let limit = 1 + number / 5;
    match number % 5 {
        0 => (
            json!({"type": "object", "additionalProperties": {"type": "integer", "maximum": 9}, "maxProperties": limit}),
            json!({"a": 1}),
            json!({"a": "x"}),
        ),
        1 => (
            json!({
                "type": "object", "patternProperties": {format!("^x{limit}_"): {"type": "boolean"}},
                "additionalProperties": false, "maxProperties": 2,
            }),
            json!({format!("x{limit}_a"): true}),
            json!({"y": true}),
        ),
        2 => (
            json!({
                "type": "object", "properties": {"id": {"type": "integer", "maximum": 99}}, "required": ["id"],
                "additionalProperties": {"type": "boolean"}, "maxProperties": 1 + limit,
            }),
            json!({"id": 1, "b": true}),
            json!({"id": 1, "b": 2}),
        ),
        3 => (
            json!({
                "type": "object", "propertyNames": {"maxLength": limit}, "additionalProperties": {"const": 1},
                "minProperties": 1, "maxProperties": 2,
            }),
            json!({"a": 1}),
            json!({"a_long_name": 1}),
        ),
        _ => (
            json!({
                "type": "object", "properties": {"a": {"type": "integer", "maximum": limit}},
                "unevaluatedProperties": false, "required": ["a"],
            }),
            json!({"a": 1}),
            json!({"a": 1, "b": 2}),
        ),
    }
}
