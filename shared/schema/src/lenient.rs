//! The lenient form of a schema, for a second validation of an answer that doesn't fit the whole schema.
//!
//! It keeps the answer's shape: types, names, enumerated values and the combination of schemas. It drops bounds, patterns,
//! required properties, closed objects and conditions, which an answer may break by little.

use serde_json::{Map, Value};

use super::{document::Document, keywords};

/// Keywords that the lenient form drops.
const DROPPED: [&str; 27] = [
    "required",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
];

/// Returns the lenient form of `document`: each answer that fits the document fits it too.
pub(super) fn lenient(document: &Document) -> Document {
    let mut definitions = document.definitions.clone();
    for schema in &mut definitions {
        keywords::visit_mut(schema, &mut loosen);
    }
    Document { definitions }
}

fn loosen(members: &mut Map<String, Value>) {
    members.retain(|keyword, value| {
        let closes = keyword == "additionalProperties" && *value == Value::Bool(false);
        !closes && !DROPPED.contains(&keyword.as_str())
    });
    if let Some(one_of) = members.shift_remove("oneOf") {
        let any_of = Map::from_iter([("anyOf".to_owned(), one_of)]);
        match members.get_mut("allOf").and_then(Value::as_array_mut) {
            Some(all) => all.push(any_of.into()),
            None => drop(members.insert("allOf".to_owned(), Value::Array(vec![any_of.into()]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::AnswerSchema;

    #[test]
    fn lenient_form_keeps_the_shape_and_drops_the_bounds() {
        let schema = json!({
            "type": "object", "required": ["name", "age"], "additionalProperties": false,
            "properties": {
                "name": {"type": "string", "pattern": "^[A-Z]"},
                "age": {"type": "integer", "minimum": 0},
                "kind": {"oneOf": [{"const": "a"}, {"enum": ["a", "b"]}]},
            },
        });
        let schema = AnswerSchema::parse(&schema).unwrap();
        let (whole, lenient) = (schema.checker().unwrap(), schema.lenient_checker().unwrap());
        // An answer, and whether it fits the lenient form.
        for (answer, fits) in [
            (json!({"name": "ada"}), true),
            (json!({"name": "Ada", "age": -1, "more": 1}), true),
            (json!({"name": "Ada", "age": 3, "kind": "a"}), true),
            (json!({"name": "Ada", "age": 3, "kind": "c"}), false),
            (json!({"name": 1}), false),
            (json!([]), false),
        ] {
            assert!(!whole.check_value(answer.clone()).valid, "{answer}");
            assert_eq!(lenient.check_value(answer.clone()).valid, fits, "{answer}");
        }
    }
}
