use serde_json::json;

use super::{super::AnswerSchema, *};

fn check(schema: &Value, answer: &str) -> Verdict {
    AnswerSchema::read(schema).unwrap().checker().unwrap().check(answer)
}

#[test]
fn errors_name_the_place() {
    let schema = json!({"properties": {"a": {"items": {"not": {"const": 2}}}}});
    assert_eq!(check(&schema, r#"{"a":[1]}"#), Verdict { valid: true, errors: vec![] });
    let verdict = check(&schema, r#"{"a":[1,2]}"#);
    assert!(!verdict.valid && verdict.errors[0].starts_with("/a/1: "), "{verdict:?}");
    assert_eq!(check(&schema, "{").errors, ["the answer isn't JSON"]);
}

#[test]
fn a_check_has_an_end() {
    // Each level of the answer doubles what is to be done.
    let schema = json!({"allOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/a"}}], "$defs": {
        "a": {"allOf": [{"items": {"$ref": "#/$defs/b"}}, {"items": {"$ref": "#/$defs/b"}}]},
        "b": {"allOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/a"}}], "minItems": 0},
    }});
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    assert!(check(&schema, &deep).errors[0].contains("too many steps"));
    assert!(check(&schema, "[[]]").valid);
}

#[test]
fn references_that_multiply_are_built_once() {
    let mut definitions: Map<String, Value> = (0..40)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/a{}", n + 1)});
            (format!("a{n}"), json!({"properties": {"x": next, "y": next}}))
        })
        .collect();
    definitions.insert("a40".to_owned(), json!({"type": "string"}));
    assert!(check(&json!({"$ref": "#/$defs/a0", "$defs": definitions}), "{}").valid);
    let mut definitions: Map<String, Value> = (0..25)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/a{}", n + 1)});
            (format!("a{n}"), json!({"allOf": [next, next]}))
        })
        .collect();
    definitions.insert("a25".to_owned(), json!({"type": "string"}));
    let verdict = check(&json!({"$ref": "#/$defs/a0", "$defs": definitions}), "\"a\"");
    assert!(verdict.errors[0].contains("too many steps"));
}

#[test]
fn backtracking_patterns_give_up() {
    let text = format!("\"{}b\"", "a".repeat(2000));
    let verdict = check(&json!({"pattern": "^(?=(a+)+$)(a+)+$"}), &text);
    assert!(!verdict.valid, "{verdict:?}");
}

#[test]
fn formats_are_annotations_and_meta_schemas_check_schemas() {
    assert!(check(&json!({"format": "email"}), "\"nobody\"").valid);
    let schema = json!({"$ref": "http://json-schema.org/draft-07/schema#"});
    assert!(check(&schema, r#"{"type":"string"}"#).valid);
    assert!(!check(&schema, r#"{"type":"text"}"#).valid);
    let newest = json!({"$ref": "https://json-schema.org/draft/2020-12/schema"});
    assert!(check(&newest, r#"{"properties":{"a":{"minLength":1}}}"#).valid);
    assert!(!check(&newest, r#"{"properties":{"a":{"minLength":-1}}}"#).valid);
}
