use std::sync::Arc;

use hearth_domain::{Enforcement, FinishReason};
use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie},
};
use serde_json::json;

use super::{
    cache::with_schema,
    compile::{Compiler, Cost},
    *,
};

fn bytes() -> TokEnv {
    let mut words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    words.push(b"\xff<|end|>".to_vec());
    Arc::new(ApproximateTokEnv::new(TokTrie::from(&TokRxInfo::new(257, 256), &words)))
}

/// What compiles grammars for a vocabulary.
pub(in crate::engines::llama) fn factory(vocabulary: &TokEnv) -> Result<ParserFactory, String> {
    compile::factory(vocabulary)
}

/// The matcher of a grammar, or the reason that a client is told.
pub(in crate::engines::llama) fn compile(
    factory: &Arc<ParserFactory>,
    grammar: TopLevelGrammar,
) -> Result<Matcher, String> {
    let compiled = Compiler::default().compile(factory, grammar, Cost::Unknown);
    compiled.map_err(|refusal| format!("the JSON Schema can't be held to: {refusal}"))
}

/// The matcher of a schema, as a client sends it.
pub(super) fn matcher_of(schema: &Value) -> Matcher {
    held_to(schema).unwrap().0
}

fn held_to(schema: &Value) -> Result<(Matcher, Arc<Structure>), String> {
    let (compiler, factory) = (Compiler::default(), Arc::new(factory(&bytes()).unwrap()));
    let compile = |answer: Option<&Value>, cost| {
        let grammar = TopLevelGrammar::from_json_schema(answer.unwrap().clone());
        compiler.compile(&factory, grammar, cost).map(Some)
    };
    let (matcher, structure) = with_schema(schema, compile)?.unwrap();
    Ok((matcher, structure.unwrap()))
}

fn takes(mut matcher: Matcher, text: &str) -> bool {
    let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
    matcher.try_consume_tokens(&tokens).unwrap() == tokens.len() && matcher.is_accepting().unwrap()
}

#[test]
fn answers_are_held_to_their_form() {
    let object = compact(json!({"type": "object"}), true);
    let factory = Arc::new(factory(&bytes()).unwrap());
    let object = || compile(&factory, TopLevelGrammar::from_json_schema(object.clone())).unwrap();
    let schema = json!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}}},
        "required": ["name"],
        "additionalProperties": false,
    });
    let schema = || matcher_of(&schema);
    for (matcher, text, taken) in [
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
        assert_eq!(takes(matcher, text), taken, "{text}");
    }
}

#[test]
fn inexpressible_keywords_are_relaxed_and_checked() {
    // What the grammar takes and the whole schema doesn't.
    for (schema, taken, relaxed) in [
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
        let (matcher, structure) = held_to(&schema).unwrap();
        assert!(takes(matcher, taken), "{schema}");
        let structured = structure.check(taken, FinishReason::Stop, 1);
        assert_eq!((structured.enforced, structured.valid), (Enforcement::GrammarAndValidated, false));
        assert_eq!(structured.relaxed, relaxed, "{schema}");
        assert!(!structured.errors.is_empty());
    }
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
        let (matcher, structure) = held_to(&schema).unwrap();
        assert!(takes(matcher, fits), "{schema}");
        let structured = structure.check(fits, FinishReason::Stop, 2);
        assert_eq!(
            (structured.enforced, structured.valid, structured.attempts),
            (Enforcement::Grammar, true, 2)
        );
        let cut = structure.check("{", FinishReason::Length, 1);
        assert!(!cut.valid && cut.errors[0].contains("token limit"));
    }
}

#[test]
fn refusals_are_in_our_words() {
    for (schema, part) in [
        (json!({"type": "nonsense"}), "isn't a valid JSON Schema"),
        (json!({"$ref": "#/$defs/missing"}), "put that schema into its $defs"),
        (json!({"$ref": "http://localhost/schema"}), "another document"),
        (json!({"$ref": "#"}), "refers to itself"),
        (json!({"not": {}}), "no JSON value"),
        (json!({"pattern": "("}), "isn't a"),
    ] {
        let refusal = held_to(&schema).err().unwrap_or_else(|| panic!("{schema} is taken"));
        assert!(refusal.contains(part) && !refusal.contains('\n'), "{schema}: {refusal}");
    }
}

#[test]
fn costly_patterns_are_left_to_the_check() {
    let patterns: Vec<Value> =
        (1..60).map(|n| json!({"type": "string", "pattern": format!("^(.{{0,{n}}}a)*")})).collect();
    let (_, structure) = held_to(&json!({"allOf": patterns})).unwrap();
    assert!(structure.check("\"a\"", FinishReason::Stop, 1).valid);
    assert_eq!(structure.relaxed, ["pattern"]);
}

#[test]
fn schemas_of_tools_have_bounds() {
    let nested =
        |levels: usize| (1..levels).fold(json!({"type": "string"}), |inner, _| json!({"items": inner}));
    assert_eq!(check_schema(&nested(MOST_LEVELS)), Ok(()));
    assert!(check_schema(&nested(MOST_LEVELS + 1)).unwrap_err().contains("64 levels"));
    let wide = |members: usize| (0..members).map(|n| (n.to_string(), json!({}))).collect::<Value>();
    assert_eq!(check_schema(&wide(MOST_MEMBERS)), Ok(()));
    assert!(check_schema(&wide(MOST_MEMBERS + 1)).unwrap_err().contains("500 members"));
    let long = |bytes: usize| json!({"description": "x".repeat(bytes)});
    assert_eq!(check_schema(&long(MOST_BYTES - 100)), Ok(()));
    assert!(check_schema(&long(MOST_BYTES)).unwrap_err().contains("128 KiB"));
    // What is within the bounds compiles.
    let factory = Arc::new(factory(&bytes()).unwrap());
    for schema in [json!({"properties": wide(MOST_MEMBERS)}), nested(MOST_LEVELS)] {
        assert!(compile(&factory, TopLevelGrammar::from_json_schema(compact(schema, true))).is_ok());
    }
    // So deep that a walk by recursion would end the process.
    let mut deep = Value::Null;
    for _ in 0..1_000_000 {
        deep = Value::Array(vec![deep]);
    }
    assert!(check_schema(&deep).is_err());
    std::mem::forget(deep);
}
