//! Definitions that no value fits.
//!
//! Such a definition may stand where it isn't needed, as the schema of an optional property or as one of several alternatives. A
//! grammar's compiler refuses the whole schema for it, so references to it are replaced by `false`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    document::{Document, referenced},
    keywords,
    relax::RelaxedSchema,
};

impl RelaxedSchema {
    /// Replaces references to definitions that no value fits by `false`. `is_empty` returns whether no value fits a schema, which
    /// has no references.
    ///
    /// Returns `None` if no value fits the whole schema.
    #[must_use]
    pub fn without_empty_definitions(self, mut is_empty: impl FnMut(&Value) -> bool) -> Option<Self> {
        let mut definitions = numbered(&self.schema);
        // The root of a schema without definitions is the schema.
        if definitions.is_empty() {
            return (!is_empty(&self.schema)).then_some(self);
        }
        let mut unchecked: Vec<usize> = definitions.keys().copied().collect();
        while !unchecked.is_empty() {
            let is_empty = |number: &usize| is_empty(&alone(&definitions[number]));
            let empty: Vec<usize> = unchecked.into_iter().filter(is_empty).collect();
            if empty.contains(&0) {
                return None;
            }
            for number in &empty {
                definitions.remove(number);
            }
            // What refers to an empty definition may now be empty too.
            unchecked = Vec::new();
            for (number, schema) in &mut definitions {
                if replace_empty(schema, &empty) {
                    unchecked.push(*number);
                }
            }
        }
        let schema = Document::to_schema(definitions);
        Some(Self { schema, keywords: self.keywords })
    }
}

/// The definitions of a schema by their numbers.
fn numbered(schema: &Value) -> BTreeMap<usize, Value> {
    let definitions = schema.get("$defs").and_then(Value::as_object).into_iter().flatten();
    let number = |name: &str| referenced(&format!("#/$defs/{name}").into());
    definitions.filter_map(|(name, schema)| Some((number(name)?, schema.clone()))).collect()
}

/// The schema without its references: any value fits what they refer to.
fn alone(schema: &Value) -> Value {
    let mut schema = schema.clone();
    keywords::visit_mut(&mut schema, &mut |members| drop(members.shift_remove("$ref")));
    schema
}

/// Replaces schemas with a reference to one of these definitions by `false`. Returns whether there are any.
fn replace_empty(schema: &mut Value, empty: &[usize]) -> bool {
    let Value::Object(members) = schema else { return false };
    let is_empty = |members: &Map<String, Value>| {
        let number = members.get("$ref").and_then(referenced);
        number.is_some_and(|number| empty.contains(&number))
    };
    if is_empty(members) {
        *schema = Value::Bool(false);
        return true;
    }
    let mut is_replaced = false;
    keywords::each_subschema_mut(members, &mut |schema| is_replaced |= replace_empty(schema, empty));
    is_replaced
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::document::reference, *};

    fn relaxed(definitions: &[Value]) -> RelaxedSchema {
        let schema = Document::to_schema(definitions.iter().cloned().enumerate());
        RelaxedSchema { schema, keywords: Vec::new() }
    }

    /// No value fits a schema that requires a value of the schema `false`.
    fn is_empty(schema: &Value) -> bool {
        let property = &schema["properties"]["a"];
        *schema == json!(false) || (*property == json!(false) && schema.get("required").is_some())
    }

    #[test]
    fn references_to_empty_definitions_become_false() {
        let to = |number| json!({"$ref": reference(number)});
        let optional = json!({"properties": {"a": to(1)}});
        let required = json!({"properties": {"a": to(2)}, "required": ["a"]});
        let definitions = [optional, required, json!(false), json!({"items": to(3)})];
        let pruned = relaxed(&definitions).without_empty_definitions(is_empty).unwrap();
        let expected = json!({"$ref": "#/$defs/d0", "$defs": {
            "d0": {"properties": {"a": false}}, "d3": {"items": {"$ref": "#/$defs/d3"}}
        }});
        assert_eq!(pruned.schema, expected);
    }

    #[test]
    fn schema_that_no_value_fits_is_none() {
        let required = json!({"properties": {"a": {"$ref": reference(1)}}, "required": ["a"]});
        assert_eq!(relaxed(&[required, json!(false)]).without_empty_definitions(is_empty), None);
        assert_eq!(relaxed(&[json!(false)]).without_empty_definitions(is_empty), None);
    }

    #[test]
    fn schema_without_empty_definitions_is_unchanged() {
        let schema = relaxed(&[json!({"items": {"$ref": reference(0)}})]);
        assert_eq!(schema.clone().without_empty_definitions(is_empty), Some(schema));
    }
}
