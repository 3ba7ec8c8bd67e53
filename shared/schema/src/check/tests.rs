use serde_json::json;

use super::{super::AnswerSchema, *};

fn check(schema: &Value, answer: &str) -> CheckResult {
    AnswerSchema::parse(schema).unwrap().checker().unwrap().check(answer)
}

#[test]
fn error_has_the_path_in_the_answer() {
    let schema = json!({"properties": {"a": {"items": {"not": {"const": 2}}}}});
    assert_eq!(check(&schema, r#"{"a":[1]}"#), CheckResult { valid: true, errors: vec![] });
    let result = check(&schema, r#"{"a":[1,2]}"#);
    assert!(!result.valid && result.errors[0].path == "/a/1", "{result:?}");
    assert_eq!(check(&schema, "{"), CheckResult::invalid("the answer isn't JSON"));
}

#[test]
fn check_stops_at_the_step_limit() {
    // Each level of the answer doubles the number of steps.
    let schema = json!({"allOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/a"}}], "$defs": {
        "a": {"allOf": [{"items": {"$ref": "#/$defs/b"}}, {"items": {"$ref": "#/$defs/b"}}]},
        "b": {"allOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/a"}}], "minItems": 0},
    }});
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let checker = AnswerSchema::parse(&schema).unwrap().checker().unwrap();
    // As in a process where a panic would abort.
    for ending in [Ending::Unwind, Ending::Abandon] {
        let result = checker.check_until(ending, serde_json::from_str(&deep).unwrap());
        assert!(result.errors[0].reason.contains("too many steps"), "{ending:?}");
        assert!(checker.check_until(ending, json!([[]])).valid, "{ending:?}");
    }
}

#[test]
fn check_goes_on_when_no_further_thread_may_be_abandoned() {
    ABANDONED_COUNT.store(ABANDONED_MAX_COUNT, Ordering::Relaxed);
    let checker = AnswerSchema::parse(&json!({"type": "array"})).unwrap().checker().unwrap();
    assert!(checker.check_until(Ending::Abandon, json!([])).valid);
    assert!(!checker.check_until(Ending::Abandon, json!({})).valid);
    // Where a panic aborts, this ends the process.
    let exhausting = || {
        STEPS.set(STEPS_MAX_COUNT);
        count_step();
    };
    assert_eq!(on_deep_stack(Ending::Abandon, exhausting), None);
    assert!(checker.check_until(Ending::Abandon, json!([])).valid);
}

#[test]
fn repeated_references_are_built_once() {
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
    let result = check(&json!({"$ref": "#/$defs/a0", "$defs": definitions}), "\"a\"");
    assert!(result.errors[0].reason.contains("too many steps"));
}

#[test]
fn pattern_stops_at_the_backtracking_limit() {
    let text = format!("\"{}b\"", "a".repeat(2000));
    let result = check(&json!({"pattern": "^(?=(a+)+$)(a+)+$"}), &text);
    assert!(!result.valid, "{result:?}");
}

#[test]
fn pattern_of_a_large_automaton_is_refused() {
    for pattern in ["(a{1000}){1000}", "^(([a-z]{50}){50}){50}$", "("] {
        let schema = json!({"pattern": pattern});
        let problem = AnswerSchema::parse(&schema).and_then(|schema| schema.checker().map(drop)).unwrap_err();
        assert!(!problem.is_empty(), "{pattern}");
    }
}

#[test]
fn formats_are_ignored_and_meta_schemas_are_supported() {
    assert!(check(&json!({"format": "email"}), "\"nobody\"").valid);
    let schema = json!({"$ref": "http://json-schema.org/draft-07/schema#"});
    assert!(check(&schema, r#"{"type":"string"}"#).valid);
    assert!(!check(&schema, r#"{"type":"text"}"#).valid);
    let newest = json!({"$ref": "https://json-schema.org/draft/2020-12/schema"});
    assert!(check(&newest, r#"{"properties":{"a":{"minLength":1}}}"#).valid);
    assert!(!check(&newest, r#"{"properties":{"a":{"minLength":-1}}}"#).valid);
}
