use std::sync::Mutex;

use serde_json::json;

use super::{super::AnswerSchema, *};

fn check(schema: &Value, answer: &str) -> CheckResult {
    AnswerSchema::parse(schema).unwrap().checker().unwrap().check(answer)
}

fn soon() -> Instant {
    Instant::now() + WORK_TIMEOUT
}

#[test]
fn error_has_the_path_in_the_answer() {
    let schema = json!({"properties": {"a": {"items": {"not": {"const": 2}}}}});
    assert_eq!(check(&schema, r#"{"a":[1]}"#), CheckResult { valid: true, errors: vec![] });
    let result = check(&schema, r#"{"a":[1,2]}"#);
    assert!(!result.valid && result.errors[0].path == "/a/1", "{result:?}");
    assert_eq!(check(&schema, "{"), CheckResult::invalid("the answer isn't JSON"));
}

/// The count of abandoned threads is the process'.
static ABANDONING: Mutex<()> = Mutex::new(());

#[test]
fn check_stops_at_the_step_limit() {
    let _abandoning = ABANDONING.lock();
    // Each level of the answer doubles the number of steps.
    let schema = json!({"allOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/a"}}], "$defs": {
        "a": {"allOf": [{"items": {"$ref": "#/$defs/b"}}, {"items": {"$ref": "#/$defs/b"}}]},
        "b": {"allOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/a"}}], "minItems": 0},
    }});
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let checker = AnswerSchema::parse(&schema).unwrap().checker().unwrap();
    // As in a process where a panic would abort.
    for ending in [Ending::Unwind, Ending::Abandon] {
        let result = checker.check_with(ending, serde_json::from_str(&deep).unwrap(), soon());
        assert!(result.errors[0].reason.contains("too many steps"), "{ending:?}");
        assert!(checker.check_with(ending, json!([[]]), soon()).valid, "{ending:?}");
    }
}

#[test]
fn check_goes_on_when_no_further_thread_may_be_abandoned() {
    let _abandoning = ABANDONING.lock();
    ABANDONED_COUNT.store(ABANDONED_MAX_COUNT, Ordering::Relaxed);
    let checker = AnswerSchema::parse(&json!({"type": "array"})).unwrap().checker().unwrap();
    assert!(checker.check_with(Ending::Abandon, json!([]), soon()).valid);
    assert!(!checker.check_with(Ending::Abandon, json!({}), soon()).valid);
    // Where a panic aborts, this ends the process.
    let exhausting = || {
        STEPS.set(STEPS_MAX_COUNT);
        count_steps(1);
    };
    assert!(on_deep_stack(Ending::Abandon, soon(), exhausting).is_err());
    assert!(checker.check_with(Ending::Abandon, json!([]), soon()).valid);
    ABANDONED_COUNT.store(0, Ordering::Relaxed);
}

#[test]
fn steps_of_failing_alternatives_are_counted() {
    // No leaf fits, so no other keyword of its schema is reached.
    let mut definitions: Map<String, Value> = (0..22)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/a{}", n + 1)});
            (format!("a{n}"), json!({"anyOf": [next, next]}))
        })
        .collect();
    definitions.insert("a22".to_owned(), json!({"type": "string"}));
    let result = check(&json!({"$ref": "#/$defs/a0", "$defs": definitions}), "1");
    assert!(result.errors[0].reason.contains("too many steps"), "{result:?}");
}

/// Reports when it is dropped, with a thread that ends.
struct Dropped(mpsc::Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn thread_ends_soon_after_the_deadline() {
    let (sender, ended) = mpsc::channel();
    let work = move || {
        let _dropped = Dropped(sender);
        loop {
            STEPS.set(0);
            count_steps(1);
        }
    };
    let result: Result<(), Unfinished> =
        on_deep_stack(Ending::Unwind, Instant::now() + Duration::from_millis(50), work);
    assert_eq!(result, Err(Unfinished::Time));
    ended.recv_timeout(Duration::from_secs(5)).unwrap();
}

#[test]
fn caller_does_not_wait_for_a_step_that_takes_too_long() {
    let (release, released) = mpsc::channel::<()>();
    let began = Instant::now();
    let work = move || {
        let _ = released.recv();
    };
    let result = on_deep_stack(Ending::Unwind, began + Duration::from_millis(50), work);
    assert_eq!(result, Err(Unfinished::Time));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(release);
}

#[test]
fn patterns_of_many_names_stop_at_the_deadline() {
    // Each match takes all of its backtracking steps.
    let pattern = |n: usize| (format!("^(a|aa)+\\1x{n}$"), json!({}));
    let patterns: Map<String, Value> = (0..50).map(pattern).collect();
    let schema = json!({"patternProperties": patterns, "additionalProperties": {"type": "null"}});
    let checker = AnswerSchema::parse(&schema).unwrap().checker().unwrap();
    let names: Map<String, Value> =
        (0..500).map(|n| (format!("{}{n}b", "a".repeat(40)), Value::Null)).collect();
    let began = Instant::now();
    let result = checker.check_until(names.into(), began + Duration::from_secs(1));
    assert!(result.errors[0].reason.contains("too long"), "{result:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // More names than steps.
    let names: Map<String, Value> = (0..50_000).map(|n| (n.to_string(), Value::Null)).collect();
    let result = checker.check_value(names.into());
    assert!(result.errors[0].reason.contains("too many steps"), "{result:?}");
}

#[test]
fn names_of_properties_are_matched_within_the_time_of_the_build() {
    let pattern = |n: usize| (format!("^(a|aa)+\\1x{n}$"), json!({}));
    let patterns: Map<String, Value> = (0..400).map(pattern).collect();
    let properties: Map<String, Value> =
        (0..1500).map(|n| (format!("{}{n}b", "a".repeat(40)), json!({}))).collect();
    let schema =
        json!({"properties": properties, "patternProperties": patterns, "additionalProperties": false});
    let began = Instant::now();
    let problem = AnswerSchema::parse(&schema).unwrap().checker().err().unwrap();
    assert!(problem.contains("too complex"), "{problem}");
    assert!(began.elapsed() < WORK_TIMEOUT + Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn pattern_that_backtracks_is_not_matched_with_a_long_text() {
    let text = |length: usize| json!("a".repeat(length)).to_string();
    for (schema, length, fits) in [
        (json!({"pattern": "^(?!b)"}), 1_000, true),
        (json!({"pattern": "^(?!b)"}), 20_000, false),
        (json!({"pattern": "^(a)\\1"}), 20_000, false),
        (json!({"pattern": "^[a-z]+$"}), 20_000, true),
    ] {
        let result = check(&schema, &text(length));
        assert_eq!(result.valid, fits, "{schema} {length}: {result:?}");
    }
    let named = |length: usize| json!({"a".repeat(length): 1}).to_string();
    let schema = json!({"patternProperties": {"^(?!b)": {"type": "integer"}}});
    assert!(check(&schema, &named(1_000)).valid && !check(&schema, &named(20_000)).valid);
}

#[test]
fn names_are_checked_by_many_patterns() {
    let patterns: Map<String, Value> =
        (0..20).map(|n| (format!("^(?!x)n{n}-"), json!({"type": "integer"}))).collect();
    let schema = json!({"patternProperties": patterns, "additionalProperties": false});
    let names =
        |value: Value| -> Value { (0..200).map(|n| (format!("n{}-{n}", n % 20), value.clone())).collect() };
    assert!(check(&schema, &names(json!(1)).to_string()).valid);
    assert!(!check(&schema, &names(json!("a")).to_string()).valid);
    assert!(!check(&schema, r#"{"other": 1}"#).valid);
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
    let large = "over 1024 KiB";
    let invalid = "isn't a regular expression";
    for (pattern, part) in [
        ("(a{1000}){1000}", large),
        ("^(([a-z]{50}){50}){50}$", large),
        ("(", invalid),
        ("[z-a]", invalid),
        ("a{2,1}", invalid),
    ] {
        for schema in [json!({"pattern": pattern}), json!({"patternProperties": {pattern: {}}})] {
            let problem =
                AnswerSchema::parse(&schema).and_then(|schema| schema.checker().map(drop)).unwrap_err();
            assert!(problem.contains(part), "{pattern}: {problem}");
        }
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
