use std::sync::Arc;

use hearth_domain::{Enforcement, FinishReason, StructuredOptions, StructuredStatus};
use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie},
};
use serde_json::{Value, json};

use super::{
    cache::compile_schema,
    compilation::CompileError,
    compile::{CompileCost, Compiler},
    *,
};
use crate::engines::llama::{
    grammar_schema::{
        OBJECT_MAX_MEMBERS, SCHEMA_MAX_BYTES, SCHEMA_MAX_DEPTH, check_schema_size, single_line_schema,
    },
    preparation::Preparation,
};

/// A vocabulary of all bytes.
pub(super) fn bytes() -> TokEnv {
    let mut words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    words.push(b"\xff<|end|>".to_vec());
    Arc::new(ApproximateTokEnv::new(TokTrie::from(&TokRxInfo::new(257, 256), &words)))
}

/// A parser factory for a vocabulary.
pub(in crate::engines::llama) fn factory(vocabulary: &TokEnv) -> Result<ParserFactory, String> {
    compile::factory(vocabulary)
}

/// The matcher of a grammar, or the reason in a client's error.
pub(in crate::engines::llama) fn compile(
    factory: &Arc<ParserFactory>,
    grammar: TopLevelGrammar,
) -> Result<Matcher, String> {
    let compiled =
        Compiler::default().compile(factory, grammar, CompileCost::Unbounded, &Preparation::default());
    compiled.map_err(|error| format!("the JSON Schema can't be enforced: {error}"))
}

/// The matcher of a schema, as a client sends it.
pub(super) fn matcher_of(schema: &Value) -> Matcher {
    compile_with_check(schema).unwrap().0
}

fn compile_with_check(schema: &Value) -> Result<(Matcher, Arc<SchemaCheck>), String> {
    let (compiler, factory) = (Compiler::default(), Arc::new(factory(&bytes()).unwrap()));
    let compile = |answer: Option<&Value>, cost| {
        let grammar = TopLevelGrammar::from_json_schema(answer.unwrap().clone());
        compiler.compile(&factory, grammar, cost, &Preparation::default()).map(Some)
    };
    let (matcher, check) = compile_schema(schema, compile)?.unwrap();
    Ok((matcher, check.unwrap()))
}

#[test]
fn schema_whose_compilation_cannot_begin_is_refused_and_not_relaxed() {
    let compile = |_: Option<&Value>, cost| match cost {
        CompileCost::Unbounded => Err(CompileError::Busy),
        CompileCost::Bounded => panic!("it was relaxed to any JSON"),
    };
    let error = compile_schema(&json!({"type": "string", "maxLength": 3}), compile).err().unwrap();
    assert!(error.contains("try again"), "{error}");
}

#[test]
fn schema_whose_own_compilations_hold_the_places_is_relaxed() {
    let (compiler, factory) = (Compiler::default(), Arc::new(factory(&bytes()).unwrap()));
    let count = std::cell::Cell::new(0);
    let compile = |answer: Option<&Value>, cost| {
        count.set(count.get() + 1);
        match (cost, count.get()) {
            (CompileCost::Unbounded, 1) => Err(CompileError::Timeout),
            (CompileCost::Unbounded, _) => Err(CompileError::Busy),
            (CompileCost::Bounded, _) => {
                let grammar = TopLevelGrammar::from_json_schema(answer.unwrap().clone());
                compiler.compile(&factory, grammar, cost, &Preparation::default()).map(Some)
            }
        }
    };
    let (matcher, _) = compile_schema(&json!({"type": "string", "maxLength": 3}), compile).unwrap().unwrap();
    assert!(accepts(matcher, "7"));
}

fn accepts(mut matcher: Matcher, text: &str) -> bool {
    let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
    matcher.try_consume_tokens(&tokens).unwrap() == tokens.len() && matcher.is_accepting().unwrap()
}

#[test]
fn matcher_accepts_only_json_of_the_schema() {
    let object = single_line_schema(json!({"type": "object"}), true);
    let factory = Arc::new(factory(&bytes()).unwrap());
    let object = || compile(&factory, TopLevelGrammar::from_json_schema(object.clone())).unwrap();
    let schema = json!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}}},
        "required": ["name"],
        "additionalProperties": false,
    });
    let schema = || matcher_of(&schema);
    for (matcher, text, accepted) in [
        (object(), r#"{"a":[1,{"b":null}]}"#, true),
        (object(), r#"{"a": 1, "b": 2}"#, true),
        (object(), r#"{"a":  1}"#, false),
        (object(), "[1]", false),
        (object(), "Here: {}", false),
        (schema(), r#"{"name":"é","tags":["a","b"]}"#, true),
        (schema(), r#"{"name":"x","tags":["c"]}"#, false),
        (schema(), r#"{"tags":[]}"#, false),
        (schema(), r#"{"name":"x","more":1}"#, false),
        (matcher_of(&json!({})), "[]", true),
    ] {
        assert_eq!(accepts(matcher, text), accepted, "{text}");
    }
}

#[test]
fn inexpressible_keywords_are_relaxed_and_checked() {
    // Texts that the grammar accepts and the whole schema doesn't.
    for (schema, accepted, relaxed) in [
        (json!({"type": "array", "uniqueItems": true}), "[1,1]", vec!["uniqueItems"]),
        (json!({"type": "string", "not": {"enum": ["a"]}}), "\"a\"", vec!["not"]),
        (json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "1", vec!["oneOf"]),
        (
            json!({"type": "object", "properties": {"a": {}}, "minProperties": 2, "additionalProperties": false}),
            r#"{"a":1}"#,
            vec!["minProperties"],
        ),
        (
            json!({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}}),
            r#"{"a":1}"#,
            vec!["if", "then"],
        ),
        (json!({"type": "string", "pattern": "^(?=b)"}), "\"a\"", vec!["pattern"]),
    ] {
        let (matcher, check) = compile_with_check(&schema).unwrap();
        assert!(accepts(matcher, accepted), "{schema}");
        let structured = check.check(accepted, FinishReason::Stop, 1, StructuredOptions::default());
        assert_eq!((structured.enforced, structured.valid), (Enforcement::GrammarAndValidated, false));
        assert_eq!(structured.relaxed, relaxed, "{schema}");
        assert!(!structured.errors.is_empty());
    }
}

#[test]
fn answer_outside_the_grammar_is_relaxed_or_unchecked_where_the_request_says_so() {
    let schema = json!({"type": "array", "items": {"type": "integer"}, "uniqueItems": true});
    let (_, check) = compile_with_check(&schema).unwrap();
    let status = |text, allow_relaxed, bypass_validation| {
        let options = StructuredOptions { allow_relaxed, bypass_validation, ..StructuredOptions::default() };
        check.check(text, FinishReason::Stop, 1, options).status()
    };
    assert_eq!(status("[1,2]", true, false), StructuredStatus::Passed);
    assert_eq!(status("[1,1]", false, false), StructuredStatus::Failed);
    assert_eq!(status("[1,1]", true, false), StructuredStatus::Relaxed);
    assert_eq!(status("[\"a\"]", true, false), StructuredStatus::Failed);
    assert_eq!(status("[1,1]", false, true), StructuredStatus::Bypassed);
}

#[test]
fn expressible_schemas_are_enforced_by_the_grammar_alone() {
    for (schema, fits) in [
        (json!({"type": "string", "format": "date"}), "\"2026-11-28\""),
        // An unknown format is an annotation.
        (json!({"type": "string", "format": "no-such-format"}), "\"x\""),
        (json!({"$ref": "#/definitions/a%20b", "definitions": {"a b": {"enum": [1]}}}), "1"),
        (json!({"items": [{"const": 1}], "additionalItems": false, "type": "array"}), "[1]"),
    ] {
        let (matcher, check) = compile_with_check(&schema).unwrap();
        assert!(accepts(matcher, fits), "{schema}");
        let structured = check.check(fits, FinishReason::Stop, 2, StructuredOptions::default());
        assert_eq!(
            (structured.enforced, structured.valid, structured.attempts),
            (Enforcement::Grammar, true, 2)
        );
        let cut = check.check("{", FinishReason::Length, 1, StructuredOptions::default());
        assert!(!cut.valid && cut.errors[0].reason.contains("token limit"));
    }
}

#[test]
fn invalid_schema_is_refused_with_our_own_message() {
    for (schema, part) in [
        (json!({"type": "nonsense"}), "is not a valid JSON Schema"),
        (json!({"$ref": "#/$defs/missing"}), "put that schema into its $defs"),
        (json!({"$ref": "http://localhost/schema"}), "another document"),
        (json!({"$ref": "#"}), "refers to itself"),
        (json!({"not": {}}), "no JSON value"),
        (json!({"pattern": "("}), "isn't a"),
    ] {
        let error = compile_with_check(&schema).err().unwrap_or_else(|| panic!("{schema} is accepted"));
        assert!(error.contains(part) && !error.contains('\n'), "{schema}: {error}");
    }
}

#[test]
fn expensive_patterns_are_relaxed_and_checked() {
    let patterns: Vec<Value> =
        (1..60).map(|n| json!({"type": "string", "pattern": format!("^(.{{0,{n}}}a)*")})).collect();
    let (_, check) = compile_with_check(&json!({"allOf": patterns})).unwrap();
    assert!(check.check("\"a\"", FinishReason::Stop, 1, StructuredOptions::default()).valid);
    assert_eq!(check.relaxed, ["pattern"]);
}

#[test]
fn tool_schema_beyond_the_limits_is_refused() {
    let nested =
        |levels: usize| (1..levels).fold(json!({"type": "string"}), |inner, _| json!({"items": inner}));
    assert_eq!(check_schema_size(&nested(SCHEMA_MAX_DEPTH)), Ok(()));
    assert!(check_schema_size(&nested(SCHEMA_MAX_DEPTH + 1)).unwrap_err().contains("64 levels"));
    let wide = |members: usize| (0..members).map(|n| (n.to_string(), json!({}))).collect::<Value>();
    assert_eq!(check_schema_size(&wide(OBJECT_MAX_MEMBERS)), Ok(()));
    assert!(check_schema_size(&wide(OBJECT_MAX_MEMBERS + 1)).unwrap_err().contains("500 members"));
    let long = |bytes: usize| json!({"description": "x".repeat(bytes)});
    assert_eq!(check_schema_size(&long(SCHEMA_MAX_BYTES - 100)), Ok(()));
    assert!(check_schema_size(&long(SCHEMA_MAX_BYTES)).unwrap_err().contains("128 KiB"));
    // Schemas within the limits compile.
    let factory = Arc::new(factory(&bytes()).unwrap());
    for schema in [json!({"properties": wide(OBJECT_MAX_MEMBERS)}), nested(SCHEMA_MAX_DEPTH)] {
        assert!(
            compile(&factory, TopLevelGrammar::from_json_schema(single_line_schema(schema, true))).is_ok()
        );
    }
    // So deep that recursion would overflow the stack.
    let mut deep = Value::Null;
    for _ in 0..1_000_000 {
        deep = Value::Array(vec![deep]);
    }
    assert!(check_schema_size(&deep).is_err());
    std::mem::forget(deep);
}
