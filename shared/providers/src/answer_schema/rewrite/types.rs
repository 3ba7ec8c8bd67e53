//! The types that a schema implies without naming them.

use serde_json::{Map, Value};

use super::OBJECT_KEYWORDS;

/// The type that a schema's keywords imply.
pub(super) fn implied_type(members: &Map<String, Value>) -> Option<Value> {
    if let Some(values) = members.get("enum").and_then(Value::as_array) {
        return type_of_all(values);
    }
    if let Some(value) = members.get("const") {
        return type_of_all(std::slice::from_ref(value));
    }
    let has_any = |keywords: &[&str]| keywords.iter().any(|keyword| members.contains_key(*keyword));
    let kinds = [
        ("object", has_any(&OBJECT_KEYWORDS)),
        ("array", has_any(&["items", "prefixItems", "minItems", "maxItems", "uniqueItems"])),
        ("string", has_any(&["pattern", "format", "minLength", "maxLength"])),
        ("number", has_any(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"])),
    ];
    kinds.into_iter().find(|(_, is_implied)| *is_implied).map(|(kind, _)| kind.into())
}

/// The type of all values; several as a list.
pub(super) fn type_of_all(values: &[Value]) -> Option<Value> {
    let mut kinds: Vec<Value> = Vec::new();
    for value in values {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        if !kinds.iter().any(|one| one == kind) {
            kinds.push(kind.into());
        }
    }
    match <[Value; 1]>::try_from(kinds) {
        Ok([only]) => Some(only),
        Err(several) => (!several.is_empty()).then(|| several.into()),
    }
}
