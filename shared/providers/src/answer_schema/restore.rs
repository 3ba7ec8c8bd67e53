//! Maps an answer to a rewritten schema back to the client's: takes it out of its wrapper, and removes the nulls that stand
//! for absent properties.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{document::SchemaDocument, rewrite::WRAPPER};

/// Largest number of schemas that are followed for one answer.
const STEPS_MAX_COUNT: usize = 200_000;

/// The changes of an answer's form that are undone.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AnswerForm {
    /// The answer is in a property of an object.
    pub(super) is_wrapped: bool,
    /// The client's schema, normalised, if its optional properties may be null in the answer.
    pub(super) optional_as_null: Option<Value>,
}

impl AnswerForm {
    /// Returns whether an answer has the client's form already.
    pub(crate) fn is_unchanged(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the answer in the client's form; `None` if it has that form.
    pub(crate) fn restore(&self, answer: &Value) -> Option<Value> {
        let mut restored = Cow::Borrowed(answer);
        if self.is_wrapped
            && let Value::Object(members) = answer
            && members.len() == 1
            && let Some(inner) = members.get(WRAPPER)
        {
            restored = Cow::Owned(inner.clone());
        }
        if let Some(schema) = &self.optional_as_null
            && has_null(&restored)
        {
            let document = SchemaDocument::new(schema);
            let mut stripper = NullStripper { document: &document, steps: 0 };
            let mut stripped = restored.clone().into_owned();
            stripper.strip(document.inlined_root(), &mut stripped);
            restored = Cow::Owned(stripped);
        }
        match restored {
            Cow::Borrowed(_) => None,
            Cow::Owned(restored) => Some(restored),
        }
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

struct NullStripper<'a> {
    document: &'a SchemaDocument<'a>,
    steps: usize,
}

impl NullStripper<'_> {
    /// Removes the properties of `value` that are null, and that `schema` has as optional ones without null.
    fn strip(&mut self, schema: &Value, value: &mut Value) {
        self.steps += 1;
        if self.steps > STEPS_MAX_COUNT {
            return;
        }
        let Value::Object(members) = schema else { return };
        if let Some(target) =
            members.get("$ref").and_then(Value::as_str).and_then(|text| self.document.target(text))
        {
            self.strip(target, value);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for branch in members.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                self.strip(branch, value);
            }
        }
        match value {
            Value::Object(object) => self.strip_properties(members, object),
            Value::Array(items) => {
                let first = members
                    .get("prefixItems")
                    .and_then(Value::as_array)
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                for (index, item) in items.iter_mut().enumerate() {
                    if let Some(schema) = first.get(index).or_else(|| members.get("items")) {
                        self.strip(schema, item);
                    }
                }
            }
            _ => {}
        }
    }

    fn strip_properties(&mut self, schema: &Map<String, Value>, object: &mut Map<String, Value>) {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            match object.get_mut(name) {
                Some(Value::Null) if !is_required(name) && !self.document.accepts_null(property) => {
                    object.shift_remove(name);
                }
                Some(value) => self.strip(property, value),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_of_optional_properties_are_removed_and_others_stay() {
        let schema = json!({
            "type": "object", "required": ["name"],
            "properties": {
                "name": {"type": ["string", "null"]},
                "note": {"type": "string"},
                "maybe": {"type": ["string", "null"]},
                "next": {"$ref": "#"},
                "list": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/d1"}, {"type": "null"}]}},
            },
            "$defs": {"d1": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        });
        let form = AnswerForm { is_wrapped: false, optional_as_null: Some(schema) };
        let answer = json!({
            "name": null, "note": null, "maybe": null,
            "next": {"name": "x", "note": null, "next": null},
            "list": [{"a": null}, null, {"a": 1}],
        });
        let expected =
            json!({"name": null, "maybe": null, "next": {"name": "x"}, "list": [{}, null, {"a": 1}]});
        assert_eq!(form.restore(&answer), Some(expected));
        assert_eq!(form.restore(&json!({"name": "x"})), None);
    }

    #[test]
    fn wrapped_answer_is_taken_out() {
        let form = AnswerForm { is_wrapped: true, optional_as_null: None };
        assert_eq!(form.restore(&json!({"answer": [1]})), Some(json!([1])));
        assert_eq!(form.restore(&json!([1])), None);
    }
}
