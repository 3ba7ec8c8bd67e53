use std::sync::Arc;

use llguidance::toktrie::{ApproximateTokEnv, TokRxInfo, TokTrie};

use super::*;

fn bytes() -> TokEnv {
    let mut words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    words.push(b"\xff<|end|>".to_vec());
    Arc::new(ApproximateTokEnv::new(TokTrie::from(&TokRxInfo::new(257, 256), &words)))
}

fn grammar(format: &ResponseFormat) -> TopLevelGrammar {
    TopLevelGrammar::from_json_schema(answer_schema(format).unwrap().unwrap())
}

fn takes(format: &ResponseFormat, text: &str) -> bool {
    let factory = factory(&bytes()).unwrap();
    let mut matcher = compile(&factory, grammar(format)).unwrap();
    let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
    matcher.try_consume_tokens(&tokens).unwrap() == tokens.len() && matcher.is_accepting().unwrap()
}

#[test]
fn answers_are_held_to_their_form() {
    let schema = ResponseFormat::JsonSchema(json!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}}},
        "required": ["name"],
        "additionalProperties": false,
    }));
    for (format, text, taken) in [
        (&ResponseFormat::JsonObject, r#"{"a":[1,{"b":null}]}"#, true),
        (&ResponseFormat::JsonObject, r#"{"a": 1, "b": 2}"#, true),
        (&ResponseFormat::JsonObject, r#"{"a":  1}"#, false),
        (&ResponseFormat::JsonObject, "[1]", false),
        (&ResponseFormat::JsonObject, "Here: {}", false),
        (&schema, r#"{"name":"é","tags":["a","b"]}"#, true),
        (&schema, r#"{"name":"x","tags":["c"]}"#, false),
        (&schema, r#"{"tags":[]}"#, false),
        (&schema, r#"{"name":"x","more":1}"#, false),
        (&ResponseFormat::JsonSchema(json!(true)), "[]", true),
    ] {
        assert_eq!(takes(format, text), taken, "{format:?}: {text}");
    }
    assert!(answer_schema(&ResponseFormat::Text).unwrap().is_none());
}

#[test]
fn what_cannot_be_kept_to_is_refused_with_a_reason() {
    let factory = factory(&bytes()).unwrap();
    for (schema, part) in [
        (json!({"type": "array", "uniqueItems": true}), "uniqueItems"),
        (json!({"type": "nonsense"}), "nonsense"),
        (json!({"$ref": "#/$defs/missing"}), "missing"),
        (json!(false), "false"),
        (json!({"$ref": "#"}), "nothing fits"),
        (json!({"$ref": "http://localhost/schema"}), "localhost"),
        (json!({"type": "integer", "multipleOf": 999_999_937}), "can't be held to"),
    ] {
        let grammar = grammar(&ResponseFormat::JsonSchema(schema.clone()));
        let refusal = compile(&factory, grammar).err().unwrap();
        assert!(refusal.contains(part) && !refusal.contains('\n'), "{schema}: {refusal}");
        // What isn't strict does without.
        assert!(
            part != "uniqueItems"
                || compile(&factory, TopLevelGrammar::from_json_schema(compact(schema, false))).is_ok()
        );
    }
}

#[test]
fn schemas_have_bounds() {
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
    let factory = factory(&bytes()).unwrap();
    for schema in [json!({"properties": wide(MOST_MEMBERS)}), nested(MOST_LEVELS)] {
        let grammar = grammar(&ResponseFormat::JsonSchema(schema));
        assert!(compile(&factory, grammar).is_ok());
    }
    // So deep that a walk by recursion would end the process.
    let mut deep = Value::Null;
    for _ in 0..1_000_000 {
        deep = Value::Array(vec![deep]);
    }
    assert!(check_schema(&deep).is_err());
    std::mem::forget(deep);
}
