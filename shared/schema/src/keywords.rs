//! Keywords of draft 2020-12 that have subschemas.

use serde_json::{Map, Value};

/// Form of a keyword's subschemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubschemaForm {
    /// One schema.
    One,
    /// A list of schemas.
    List,
    /// A schema for each name.
    ByName,
}

/// Returns the form of a keyword's subschemas; `None` if it has none.
pub(super) fn subschema_form(keyword: &str) -> Option<SubschemaForm> {
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
        | "unevaluatedProperties" => Some(SubschemaForm::One),
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Some(SubschemaForm::List),
        "properties" | "patternProperties" | "dependentSchemas" => Some(SubschemaForm::ByName),
        _ => None,
    }
}

/// Returns whether a keyword's subschemas apply to the same value as the schema itself.
pub(super) fn applies_in_place(keyword: &str) -> bool {
    matches!(keyword, "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas")
}

/// Returns the subschemas in the `value` of a keyword.
pub(super) fn subschemas<'a>(keyword: &str, value: &'a Value) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
    match (subschema_form(keyword), value) {
        (Some(SubschemaForm::One), schema) => Box::new(std::iter::once(schema)),
        (Some(SubschemaForm::List), Value::Array(schemas)) => Box::new(schemas.iter()),
        (Some(SubschemaForm::ByName), Value::Object(schemas)) => Box::new(schemas.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Calls `change` with `schema` and all its subschemas, the outermost first.
pub(super) fn visit_mut(schema: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(members) = schema else { return };
    change(members);
    each_subschema_mut(members, &mut |schema| visit_mut(schema, change));
}

/// Calls `change` with the subschemas of a schema, but not with those below them.
pub(super) fn each_subschema_mut(members: &mut Map<String, Value>, change: &mut impl FnMut(&mut Value)) {
    for (keyword, value) in members.iter_mut() {
        match (subschema_form(keyword), value) {
            (Some(SubschemaForm::One), schema) => change(schema),
            (Some(SubschemaForm::List), Value::Array(schemas)) => schemas.iter_mut().for_each(&mut *change),
            (Some(SubschemaForm::ByName), Value::Object(schemas)) => {
                schemas.values_mut().for_each(&mut *change);
            }
            _ => {}
        }
    }
}
