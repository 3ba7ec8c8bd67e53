//! Where a schema of draft 2020-12 has schemas of its own.

use serde_json::{Map, Value};

/// How a keyword holds its schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// One schema.
    One,
    /// A list of schemas.
    List,
    /// A schema for each name.
    ByName,
}

/// How `keyword` holds schemas, if it does.
pub(super) fn holds(keyword: &str) -> Option<Holds> {
    match keyword {
        "additionalProperties"
        | "contains"
        | "else"
        | "if"
        | "items"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Some(Holds::One),
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Some(Holds::List),
        "properties" | "patternProperties" | "dependentSchemas" => Some(Holds::ByName),
        _ => None,
    }
}

/// Whether the schemas of `keyword` apply to the same value as the schema around them.
pub(super) fn applies_in_place(keyword: &str) -> bool {
    matches!(keyword, "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas")
}

/// The schemas that `keyword` holds in `value`.
pub(super) fn held<'a>(keyword: &str, value: &'a Value) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
    match (holds(keyword), value) {
        (Some(Holds::One), schema) => Box::new(std::iter::once(schema)),
        (Some(Holds::List), Value::Array(schemas)) => Box::new(schemas.iter()),
        (Some(Holds::ByName), Value::Object(schemas)) => Box::new(schemas.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Calls `change` with each schema object in `schema`, the outermost first.
pub(super) fn visit_mut(schema: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(members) = schema else { return };
    change(members);
    for (keyword, value) in members.iter_mut() {
        match (holds(keyword), value) {
            (Some(Holds::One), schema) => visit_mut(schema, change),
            (Some(Holds::List), Value::Array(schemas)) => {
                schemas.iter_mut().for_each(|schema| visit_mut(schema, change));
            }
            (Some(Holds::ByName), Value::Object(schemas)) => {
                schemas.values_mut().for_each(|schema| visit_mut(schema, change));
            }
            _ => {}
        }
    }
}
