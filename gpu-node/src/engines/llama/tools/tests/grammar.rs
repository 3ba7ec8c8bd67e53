use std::{cell::Cell, sync::Arc};

use llguidance::{
    Matcher, ParserFactory,
    toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie, TokenId},
};

use super::*;
use crate::engines::llama::{grammar, grammar_schema::single_line_schema};

const SPECIAL: &[&str] = &[
    "<|python_tag|>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "</arg_value>",
    "<|tool_call_start|>",
    "<|message|>",
];

/// A vocabulary of all bytes, the special tokens, and an end token.
fn vocabulary() -> TokEnv {
    let mut words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    words.extend(SPECIAL.iter().map(|marker| [b"\xff", marker.as_bytes()].concat()));
    words.push(b"\xff<|end|>".to_vec());
    let end = words.len() as TokenId - 1;
    Arc::new(ApproximateTokEnv::new(TokTrie::from(&TokRxInfo::new(words.len() as u32, end), &words)))
}

struct GrammarBench {
    vocabulary: TokEnv,
    factory: Arc<ParserFactory>,
}

impl GrammarBench {
    fn new() -> Self {
        let vocabulary = vocabulary();
        let factory = Arc::new(grammar::tests::factory(&vocabulary).unwrap());
        Self { vocabulary, factory }
    }

    fn special(&self, marker: &str) -> Option<TokenId> {
        self.vocabulary.tok_trie().get_special_token(marker)
    }

    fn matcher(&self, format: ToolFormat, tools: &[Tool], choice: &ToolChoice, parallel: bool) -> Matcher {
        self.answering(format, tools, choice, parallel, None)
    }

    fn answering(
        &self,
        format: ToolFormat,
        tools: &[Tool],
        choice: &ToolChoice,
        parallel: bool,
        answer: Option<&Value>,
    ) -> Matcher {
        let special = |marker: &str| self.special(marker);
        let grammar = call_grammar(format, tools, choice, parallel, answer, &special);
        grammar::tests::compile(&self.factory, grammar.unwrap().unwrap())
            .unwrap_or_else(|error| panic!("{format:?}: {error}"))
    }

    /// Tokens of `text`: special tokens where they occur, otherwise bytes.
    fn tokens(&self, text: &str) -> Vec<TokenId> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let special = SPECIAL.iter().find(|marker| rest.starts_with(**marker));
            let length = special.map_or(c.len_utf8(), |marker| marker.len());
            match special {
                Some(marker) => tokens.extend(self.special(marker)),
                None => tokens.extend(rest[..length].bytes().map(TokenId::from)),
            }
            rest = &rest[length..];
        }
        tokens
    }

    fn text(&self, tokens: &[TokenId]) -> String {
        let bytes = tokens.iter().flat_map(|token| {
            let word = self.vocabulary.tok_trie().token(*token);
            word.strip_prefix(b"\xff").unwrap_or(word).to_vec()
        });
        String::from_utf8(bytes.collect()).unwrap()
    }

    fn accepts(&self, matcher: &Matcher, text: &str) -> bool {
        let mut matcher = matcher.deep_clone();
        let tokens = self.tokens(text);
        matcher.validate_tokens(&tokens).unwrap() == tokens.len()
            && matcher.try_consume_tokens(&tokens).unwrap() == tokens.len()
            && matcher.is_accepting().unwrap()
    }

    /// A random text that the matcher accepts: mostly tokens that close something, and sometimes all of `first`.
    fn walk(&self, matcher: &Matcher, seed: u64, first: &str) -> String {
        let mut matcher = matcher.deep_clone();
        let random = Cell::new(seed * 2 + 1);
        let below = |most: usize| {
            random.set(
                random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407),
            );
            (random.get() >> 33) as usize % most
        };
        let mut tokens = Vec::new();
        while !matcher.is_stopped() {
            let mask = matcher.compute_mask().unwrap();
            let end = self.vocabulary.tok_trie().eos_token();
            let ascii = |token: &TokenId| *token < 128 || *token >= 256;
            let mut allowed: Vec<TokenId> = mask.iter().filter(ascii).collect();
            if allowed.is_empty() {
                // In the middle of a character.
                allowed = mask.iter().collect();
            }
            if mask.is_allowed(end) && below(3) == 0 {
                break;
            }
            // A random walk doesn't find the end of free text.
            let marker = self.tokens(if below(2) == 0 { "</parameter>" } else { first });
            if below(8) == 0 && matcher.validate_tokens(&marker).unwrap() == marker.len() {
                matcher.consume_tokens(&marker).unwrap();
                tokens.extend(marker);
                continue;
            }
            let closing = |token: &&TokenId| {
                matches!(u8::try_from(**token), Ok(b'"' | b'}' | b'<' | b'/') | Err(_)) && **token != end
            };
            let closing: Vec<TokenId> = allowed.iter().filter(closing).copied().collect();
            let choice = if closing.is_empty() || below(3) == 0 { &allowed } else { &closing };
            let token = choice[below(choice.len())];
            if token == end {
                break;
            }
            matcher.consume_token(token).unwrap();
            tokens.push(token);
            assert!(tokens.len() < 5_000, "no end: {}", self.text(&tokens));
        }
        assert!(matcher.is_accepting().unwrap());
        self.text(&tokens)
    }
}

/// Returns whether arguments fit the tool's schema.
fn arguments_fit(name: &str, json: &str) -> bool {
    let Ok(Value::Object(arguments)) = serde_json::from_str(json) else { return false };
    match name {
        "now" => arguments.is_empty(),
        _ => {
            arguments.contains_key("city")
                && arguments.iter().all(|(key, value)| match key.as_str() {
                    "city" => value.is_string(),
                    "days" => value.as_i64().is_some_and(|days| (1..=7).contains(&days)),
                    "unit" => value == "c" || value == "f",
                    "note" => value.is_string() || value.is_null(),
                    _ => false,
                })
        }
    }
}

#[test]
fn required_call_accepts_calls_in_the_models_format_only() {
    let bench = GrammarBench::new();
    let call = |name: &str, arguments: &str| ToolCall {
        id: String::new(),
        name: name.into(),
        arguments: arguments.into(),
    };
    let good = call("weather", r#"{"city": "Ulm", "days": 3}"#);
    for format in FORMATS {
        let matcher = |choice, parallel| bench.matcher(*format, &tools(), &choice, parallel);
        let required = matcher(ToolChoice::Required, true);
        let one = format.write_calls(std::slice::from_ref(&good));
        assert!(bench.accepts(&required, &one), "{format:?} refuses {one}");
        let two = format.write_calls(&[call("now", "{}"), good.clone()]);
        assert_eq!(bench.accepts(&required, &two), !format.has_single_call_turns(), "{format:?}: {two}");
        let single = matcher(ToolChoice::Required, false);
        assert!(!bench.accepts(&single, &two), "{format:?} accepts two: {two}");
        let now = matcher(ToolChoice::Named("now".into()), true);
        assert!(!bench.accepts(&now, &one), "{format:?} accepts another tool: {one}");
        assert!(
            bench.accepts(&now, &format.write_calls(&[call("now", "{}")])),
            "{format:?} refuses the named tool"
        );
        for bad in [
            call("other", r#"{"city": "Ulm"}"#),
            call("weather", "{}"),
            call("weather", r#"{"city": "Ulm", "days": 9}"#),
            call("weather", r#"{"city": "Ulm", "more": 1}"#),
            call("now", r#"{"city": "Ulm"}"#),
        ] {
            let text = format.write_calls(&[bad]);
            assert!(!bench.accepts(&required, &text), "{format:?} accepts {text}");
        }
        for text in ["", "Sure.", &format!("Sure. {one}"), &format!("{one} Done.")] {
            assert!(!bench.accepts(&required, text), "{format:?} accepts {text:?}");
        }
    }
    let compact = r#"<tool_call>{"name":"weather","arguments":{"city":"Paris"}}</tool_call>"#;
    let required = bench.matcher(ToolFormat::Hermes, &tools(), &ToolChoice::Required, true);
    assert!(bench.accepts(&required, compact));
    assert!(!bench.accepts(&required, &compact.replace(',', ",  ")), "white space has a bound");
}

#[test]
fn accepted_texts_parse_as_calls_that_fit_the_schema() {
    let bench = GrammarBench::new();
    let named = ToolChoice::Named("weather".into());
    for format in FORMATS {
        for (choice, parallel) in [(&ToolChoice::Required, true), (&named, false)] {
            let matcher = bench.matcher(*format, &tools(), choice, parallel);
            for seed in 0..5 {
                let text = bench.walk(&matcher, seed, "</parameter>");
                let calls = calls(*format, &text);
                let prose = pieces(*format, [text.as_str()])
                    .iter()
                    .any(|piece| matches!(piece, OutputPiece::Text(_)));
                assert!(
                    !prose && !calls.is_empty() && (parallel || calls.len() == 1),
                    "{format:?}: {text:?}"
                );
                assert!(*choice != named || calls == ["weather"], "{format:?}: {text:?}");
            }
        }
    }
}

#[test]
fn automatic_choice_accepts_prose_and_strict_calls() {
    let bench = GrammarBench::new();
    let strict: Vec<Tool> = tools().into_iter().map(|tool| Tool { strict: true, ..tool }).collect();
    let free =
        bench.matcher(ToolFormat::Hermes, &[strict[0].clone(), tools()[1].clone()], &ToolChoice::Auto, true);
    assert!(
        bench.accepts(&free, r#"<tool_call>{"name":"now","arguments":{"a":1}}</tool_call>"#),
        "not strict"
    );
    let call = |name: &str, arguments: &str| ToolCall {
        id: String::new(),
        name: name.into(),
        arguments: arguments.into(),
    };
    for format in FORMATS.iter().filter(|format| **format != ToolFormat::Harmony) {
        let matcher = bench.matcher(*format, &strict, &ToolChoice::Auto, true);
        let accepts = |text: &str| bench.accepts(&matcher, text);
        let good = format.write_calls(&[call("weather", r#"{"city": "Ulm", "days": 3}"#)]);
        for text in ["", "Sure. a < b {\n", &good, &format.write_calls(&[call("now", "{}")])] {
            assert!(accepts(text), "{format:?} refuses {text:?}");
        }
        let leading = format!("<think>\nhm {{ </think>\n\n{good}");
        assert!(accepts(&leading) || format.markup().bare, "{format:?} refuses {leading:?}");
        for bad in
            [call("weather", r#"{"city": "Ulm", "days": 9}"#), call("weather", "{}"), call("other", "{}")]
        {
            let text = format.write_calls(&[bad]);
            assert!(!accepts(&text), "{format:?} accepts {text:?}");
        }
        let first = format.markup().opening().next().unwrap();
        for seed in 0..5 {
            calls(*format, &bench.walk(&matcher, seed, first));
        }
    }
}

/// The names of the calls in `text`, whose arguments must fit.
fn calls(format: ToolFormat, text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for piece in pieces(format, [text]) {
        match piece {
            OutputPiece::Text(_) => {}
            OutputPiece::Begin { name, .. } => names.push(name),
            OutputPiece::Arguments { json, .. } => {
                let name = names.last().unwrap();
                assert!(arguments_fit(name, &json), "{format:?}: {text:?} calls {name} with {json}");
            }
        }
    }
    names
}

#[test]
fn unusual_schemas_compile() {
    let bench = GrammarBench::new();
    for parameters in [
        json!({}),
        json!(null),
        json!(true),
        json!({"type": "object"}),
        json!({"type": "object", "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {}, "b": true, "c": {"type": ["string", "null"]}, "d": {"type": "array", "items": {"type": "string"}}}}),
        json!({"properties": {"a/\"b": {"type": "string"}, "é": {"type": "number"}}, "required": ["é"]}),
        json!({"type": "object", "properties": {"a": {"type": "string", "x-note": 1, "uniqueItems": true}}, "anyOf": [{"required": ["a"]}]}),
    ] {
        let tools = [Tool { name: "t".into(), description: None, parameters, strict: false }];
        // One format for each kind of body.
        for format in [ToolFormat::Hermes, ToolFormat::MistralArgs, ToolFormat::QwenCoder, ToolFormat::Lfm2] {
            let mut matcher = bench.matcher(format, &tools, &ToolChoice::Required, true);
            assert!(matcher.compute_mask().is_ok());
        }
    }
}

#[test]
fn turn_is_a_call_or_an_answer_of_the_schema() {
    let bench = GrammarBench::new();
    let schema = json!({"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]});
    let schema = single_line_schema(schema, true);
    let arguments = r#"{"city": "Ulm"}"#.to_owned();
    let call = ToolCall { id: String::new(), name: "weather".into(), arguments };
    for format in FORMATS.iter().filter(|format| **format != ToolFormat::Harmony) {
        let matcher = bench.answering(*format, &tools(), &ToolChoice::Auto, true, Some(&schema));
        let call = format.write_calls(std::slice::from_ref(&call));
        assert!(bench.accepts(&matcher, &call), "{format:?} refuses {call}");
        assert!(bench.accepts(&matcher, r#"{"sum": 3}"#), "{format:?} refuses the answer");
        for text in ["Sure.", r#"{"sum": "x"}"#, &format!("Sure. {call}"), &format!("{{\"sum\": 3}}{call}")] {
            assert!(!bench.accepts(&matcher, text), "{format:?} accepts {text:?}");
        }
    }
}

#[test]
fn missing_tool_and_unsupported_schema_are_refused() {
    let grammar =
        |tools: &[Tool], choice| call_grammar(ToolFormat::Hermes, tools, &choice, true, None, &|_| None);
    assert!(grammar(&tools(), ToolChoice::Auto).unwrap().is_none());
    assert!(grammar(&tools(), ToolChoice::None).unwrap().is_none());
    assert!(grammar(&tools(), ToolChoice::Named("other".into())).is_err());
    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({"items": deep});
    }
    let tool = Tool { name: "deep".into(), description: None, parameters: deep, strict: false };
    let refusal = grammar(&[tool], ToolChoice::Required).unwrap_err();
    assert!(refusal.starts_with("the tool deep: "), "{refusal}");
    // A strict schema is enforced completely or refused.
    let parameters = json!({"properties": {"a": {"type": "array", "uniqueItems": true}}});
    let tool = Tool { name: "set".into(), description: None, parameters, strict: true };
    let grammar = grammar(&[tool], ToolChoice::Required).unwrap().unwrap();
    let refusal = grammar::tests::compile(&GrammarBench::new().factory, grammar).err().unwrap();
    assert_eq!(refusal, "the JSON Schema can't be enforced: Unimplemented keys: [\"uniqueItems\"]");
}
