//! Keywords of JSON Schema, as the comparison reads them.

use std::{
    collections::{BTreeSet, HashSet},
    sync::LazyLock,
};

use serde_json::{Map, Value};

/// Keywords that say nothing about which values fit.
const ANNOTATIONS: [&str; 13] = [
    "title",
    "description",
    "default",
    "examples",
    "$comment",
    "$schema",
    "$id",
    "$anchor",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
];
/// Keywords whose larger value accepts fewer values.
pub(super) const LOWER_BOUNDS: [&str; 6] =
    ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"];
/// Keywords whose smaller value accepts fewer values.
pub(super) const UPPER_BOUNDS: [&str; 6] =
    ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"];
/// Keywords that are compared with others, or lead to definitions.
const COMPARED: [&str; 18] = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "anyOf",
    "oneOf",
    "allOf",
    "uniqueItems",
    "multipleOf",
    "pattern",
    "format",
    "$ref",
    "$defs",
    "definitions",
];
/// Depth of the comparison. Schemas that are stored are nested 64 levels at most, and references lead to each pair once.
pub(super) const DEPTH_MAX: usize = 200;

/// A schema without its annotations. `is_named`: the fields are names of schemas.
pub(super) fn stripped(value: &Value, is_named: bool) -> Value {
    match value {
        Value::Object(fields) => {
            let relevant =
                fields.iter().filter(|(name, _)| is_named || !ANNOTATIONS.contains(&name.as_str()));
            let has_names = |name: &str| {
                !is_named && matches!(name, "properties" | "patternProperties" | "$defs" | "definitions")
            };
            Value::Object(
                relevant.map(|(name, value)| (name.clone(), stripped(value, has_names(name)))).collect(),
            )
        }
        Value::Array(items) => items.iter().map(|item| stripped(item, false)).collect(),
        plain => plain.clone(),
    }
}

/// True if all schemas are among others, and none has a reference, which may lead to another definition there.
pub(super) fn all_stay(schemas: &[Value], others: &[Value]) -> bool {
    let others: HashSet<&Value> = others.iter().collect();
    schemas.iter().all(|schema| others.contains(schema) && !has_reference(schema))
}

pub(super) static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

pub(super) fn is_compared(name: &str) -> bool {
    [&ANNOTATIONS[..], &LOWER_BOUNDS, &UPPER_BOUNDS, &COMPARED].iter().any(|names| names.contains(&name))
}

/// True for a keyword that says nothing about which values fit.
pub(super) fn is_annotation(name: &str) -> bool {
    ANNOTATIONS.contains(&name)
}

/// True for a schema that every value fits.
pub(super) fn is_everything(schema: &Value) -> bool {
    match schema {
        Value::Bool(all) => *all,
        Value::Object(fields) => fields.keys().all(|name| ANNOTATIONS.contains(&name.as_str())),
        _ => false,
    }
}

/// True for a lower bound that excludes nothing.
pub(super) fn is_no_bound(name: &str, value: &Value) -> bool {
    matches!(name, "minLength" | "minItems" | "minProperties") && number(value) == Some(0.0)
}

/// The type of a value.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

pub(super) fn types(schema: &Map<String, Value>) -> Option<BTreeSet<&str>> {
    match schema.get("type")? {
        Value::String(kind) => Some(BTreeSet::from([kind.as_str()])),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

pub(super) fn values(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(values)) => Some(values.iter().collect()),
        (None, None) => None,
    }
}

pub(super) fn properties(schema: &Map<String, Value>) -> &Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).unwrap_or(&EMPTY)
}

pub(super) fn list<'a>(words: impl IntoIterator<Item = &'a &'a str>) -> String {
    words.into_iter().copied().collect::<Vec<_>>().join(" or ")
}

pub(super) fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str)
}

pub(super) fn has_reference(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields.contains_key("$ref") || fields.values().any(has_reference),
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}

/// The schema that a local reference leads to, through other references; itself without one.
pub(super) fn resolve<'a>(root: &'a Value, mut schema: &'a Value) -> Option<&'a Value> {
    for _ in 0..DEPTH_MAX {
        let Some(reference) = reference(schema) else { return Some(schema) };
        // Keywords beside a reference would have to be compared with both.
        let others =
            schema.as_object()?.keys().any(|name| name != "$ref" && !ANNOTATIONS.contains(&name.as_str()));
        if others && !std::ptr::eq(root, schema) {
            return None;
        }
        schema = match reference {
            "#" => root,
            pointer => root.pointer(pointer.strip_prefix('#')?)?,
        };
    }
    None
}
