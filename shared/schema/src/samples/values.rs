//! Lists, enumerations, numbers and texts.

use serde_json::{Value, json};

use super::Sample;

/// Returns a schema in an object, for every second number, or as the root.
fn placed(number: usize, (schema, fitting, unfit): Sample) -> Sample {
    if number.is_multiple_of(2) {
        return (schema, fitting, unfit);
    }
    let object = json!({
        "type": "object", "properties": {"value": schema}, "required": ["value"], "additionalProperties": false,
    });
    (object, json!({"value": fitting}), json!({"value": unfit}))
}

/// Lists with bounds, unique items, places with schemas of their own, and items that must occur.
pub(super) fn list(number: usize) -> Sample {
    let count = 1 + number / 5;
    let items = |item: Value| Value::from(vec![item; count]);
    let sample = match number % 5 {
        0 => (
            json!({"type": "array", "items": {"type": "integer", "maximum": 9}, "minItems": count, "maxItems": count + 1}),
            items(json!(1)),
            json!([]),
        ),
        1 => (
            json!({"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": true, "minItems": 1, "maxItems": 1 + count}),
            json!(["a", "b"]),
            json!(["a", "a"]),
        ),
        2 => (
            json!({
                "type": "array", "prefixItems": [{"type": "integer", "maximum": 9}, {"type": "boolean"}], "items": false,
                "minItems": 2, "description": format!("A pair of {count}."),
            }),
            json!([1, true]),
            json!([true, 1]),
        ),
        3 => (
            json!({
                "type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "contains": {"const": 7},
                "minItems": 1, "maxItems": count,
            }),
            json!([7]),
            json!([1]),
        ),
        _ => (
            json!({
                "type": "array", "items": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}, "minItems": 1,
                "maxItems": count,
            }),
            json!([[true]]),
            json!([[1]]),
        ),
    };
    placed(number, sample)
}

/// Enumerations of 1 to 1,000 values of several types, and constants.
pub(super) fn enumeration(number: usize) -> Sample {
    let size = [1, 2, 5, 40, 1000][number / 4 % 5];
    let names =
        |start: &str| -> Vec<Value> { (0..size).map(|value| json!(format!("{start}{value}"))).collect() };
    let sample = match number % 4 {
        0 => (json!({"type": "string", "enum": names("name_")}), json!("name_0"), json!("none")),
        1 => (json!({"enum": (0..size).collect::<Vec<usize>>()}), json!(0), json!(-1)),
        2 => {
            let mut mixed = names("m");
            mixed.extend([json!(true), Value::Null, json!(1.5)]);
            (json!({"enum": mixed}), Value::Null, json!(false))
        }
        _ => (json!({"const": format!("only {size}")}), json!(format!("only {size}")), json!("other")),
    };
    placed(number / 4 + number, sample)
}

/// Numbers with bounds and multiples.
pub(super) fn number(number: usize) -> Sample {
    let size = number / 5;
    let sample = match number % 5 {
        0 => (json!({"type": "integer", "minimum": -3, "maximum": size}), json!(0), json!(-4)),
        1 => (
            json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 + size}),
            json!(0.5),
            json!(0),
        ),
        2 => (
            json!({"type": "integer", "multipleOf": 3 + size, "minimum": 0, "maximum": 100}),
            json!(3 + size),
            json!(1),
        ),
        3 => (json!({"type": ["integer", "null"], "minimum": 10, "maximum": 19 + size}), json!(11), json!(9)),
        _ => (
            json!({"type": "number", "multipleOf": 0.5, "minimum": 0, "maximum": 4 + size}),
            json!(1.5),
            json!(0.7),
        ),
    };
    placed(number, sample)
}

/// Texts with lengths, patterns and formats.
pub(super) fn text(number: usize) -> Sample {
    let size = 1 + number / 10;
    let sample = match number % 10 {
        0 => (json!({"type": "string", "minLength": size, "maxLength": 5 + size}), json!("abcd"), json!("")),
        1 => (
            json!({"type": "string", "pattern": format!("^[A-Z]{{2}}-[0-9]{{{size}}}$")}),
            json!(format!("AB-{}", "1".repeat(size))),
            json!("ab-1"),
        ),
        2 => (
            json!({"type": "string", "format": "date", "title": format!("Day {size}")}),
            json!("2026-11-29"),
            json!(1),
        ),
        3 => (
            json!({"type": "string", "format": "uuid", "title": format!("Id {size}")}),
            json!("3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
            json!(2),
        ),
        4 => (
            json!({"type": "string", "pattern": format!("^(yes|no){{{size}}}$")}),
            json!("yes".repeat(size)),
            json!("maybe"),
        ),
        5 => (
            json!({"type": "string", "pattern": "^(?!no)[a-z]+$", "maxLength": 3 + size}),
            json!("yes"),
            json!("no"),
        ),
        6 => (
            json!({"type": "string", "format": "ipv4", "title": format!("Address {size}")}),
            json!("192.0.2.1"),
            json!(null),
        ),
        7 => (
            json!({"type": "string", "format": "time", "title": format!("Time {size}")}),
            json!("10:00:00Z"),
            json!({}),
        ),
        8 => (json!({"type": "string", "pattern": format!("^a{{1,{size}}}b?$")}), json!("ab"), json!("c")),
        _ => (json!({"type": ["string", "null"], "maxLength": size}), Value::Null, json!("too long a text")),
    };
    placed(number / 10 + number, sample)
}
