use hearth_domain::{Tool, ToolCall, ToolChoice};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FORMATS: &[ToolFormat] = &[
    ToolFormat::Hermes,
    ToolFormat::Llama3,
    ToolFormat::Llama4,
    ToolFormat::MistralList,
    ToolFormat::MistralArgs,
    ToolFormat::DeepSeekV3,
    ToolFormat::DeepSeekV31,
    ToolFormat::Granite3,
    ToolFormat::Nemotron,
    ToolFormat::Command,
    ToolFormat::Functionary,
    ToolFormat::QwenCoder,
    ToolFormat::Seed,
    ToolFormat::Glm,
    ToolFormat::Lfm2,
    ToolFormat::Harmony,
];

fn tools() -> Vec<Tool> {
    let tool =
        |name: &str, parameters| Tool { name: name.into(), description: None, parameters, strict: false };
    vec![
        tool(
            "weather",
            json!({
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer", "minimum": 1, "maximum": 7},
                    "unit": {"$ref": "#/$defs/unit"},
                    "note": {"type": ["string", "null"]},
                },
                "required": ["city"],
                "$defs": {"unit": {"enum": ["c", "f"]}},
            }),
        ),
        tool("now", json!({"type": "object", "properties": {}})),
    ]
}

/// The pieces of `text` given in `chunks`, with neighbours joined and without ids.
fn pieces<'a>(format: ToolFormat, chunks: impl IntoIterator<Item = &'a str>) -> Vec<Piece> {
    let mut parser = ToolCallParser::new(format, &tools());
    let mut all: Vec<Piece> = chunks.into_iter().flat_map(|chunk| parser.push(chunk)).collect();
    all.extend(parser.finish());
    let mut joined: Vec<Piece> = Vec::new();
    for piece in all {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(text)), Piece::Text(more)) => text.push_str(&more),
            (Some(Piece::Arguments { index, json }), Piece::Arguments { index: of, json: more })
                if *index == of =>
            {
                json.push_str(&more);
            }
            (_, Piece::Begin { index, id, name }) => {
                assert!(id.len() == 29 && id.starts_with("call_"), "{id}");
                joined.push(Piece::Begin { index, id: String::new(), name });
            }
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// Pieces as a line: text as it is, calls as `«name json»`.
fn line(pieces: &[Piece]) -> String {
    let mut out = String::new();
    let mut next = 0;
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Begin { index, name, .. } => {
                assert_eq!(*index, next, "calls are counted");
                next += 1;
                out.push_str(&format!("«{name}"));
            }
            Piece::Arguments { index, json } => {
                assert_eq!(*index + 1, next, "arguments belong to the last call");
                out.push_str(&format!(" {json}»"));
            }
        }
    }
    out
}

fn check(format: ToolFormat, text: &str, expected: &str) {
    assert_eq!(line(&pieces(format, [text])), expected, "{format:?}: {text}");
    let mut buffer = [0; 4];
    let mut parser = ToolCallParser::new(format, &tools());
    let mut out = String::new();
    let mut all = Vec::new();
    for c in text.chars() {
        all.extend(parser.push(c.encode_utf8(&mut buffer)));
    }
    all.extend(parser.finish());
    for piece in all {
        match piece {
            Piece::Text(text) | Piece::Arguments { json: text, .. } => out.push_str(&text),
            Piece::Begin { name, .. } => out.push_str(&name),
        }
    }
    let bare = |text: &str| text.replace(['«', '»', ' '], "");
    assert_eq!(bare(&out), bare(expected), "{format:?}, by characters: {text}");
}

/// Real outputs, and what they say.
const SAMPLES: &[(ToolFormat, &str, &str)] = &[
    (ToolFormat::Hermes, "Just text.\n", "Just text.\n"),
    (
        ToolFormat::Hermes,
        "<tool_call>{\"name\":\"weather\",\"arguments\":{\"city\":\"Paris\"}}</tool_call>",
        "«weather {\"city\":\"Paris\"}»",
    ),
    (
        ToolFormat::Hermes,
        "<think>\nhm </think>\n\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"<}{ \\\"é\\\" 😀\", \"days\": 2}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n",
        "<think>\nhm </think>«weather {\"city\": \"<}{ \\\"é\\\" 😀\", \"days\": 2}»«now {}»",
    ),
    // The other order, an id, a text for an object, nothing at all, and another word for it.
    (
        ToolFormat::Hermes,
        "<tool_call>{\"arguments\": {\"city\": \"a\"}, \"name\": \"weather\"}</tool_call><tool_call>{\"id\": 1, \"name\": \"weather\", \"arguments\": {\"city\": \"b\"}, \"x\": [1]}</tool_call>",
        "«weather {\"city\": \"a\"}»«weather {\"city\": \"b\"}»",
    ),
    (
        ToolFormat::Hermes,
        "<tool_call>{\"name\": \"weather\", \"arguments\": \"{\\\"city\\\": \\\"a\\\"}\"}</tool_call><tool_call>{\"name\": \"now\"}</tool_call> <tool_call>{\"name\": \"now\", \"parameters\": null}</tool_call>",
        "«weather {\"city\": \"a\"}»«now {}»«now {}»",
    ),
    // Unclosed, and cut short.
    (ToolFormat::Hermes, "<tool_call>{\"name\": \"now\", \"arguments\": {}}", "«now {}»"),
    (ToolFormat::Hermes, "<tool_call>{\"name\": \"now\", \"arguments\": {}} and", "«now {}» and"),
    (ToolFormat::Hermes, "<tool_call>{\"name\": \"weather\", \"arguments\": {\"ci", "«weather {\"ci»"),
    // A tool that isn't on offer, in every way to write a call.
    (
        ToolFormat::Hermes,
        "Write <tool_call> around it. <tool_call>{\"name\": \"other\", \"arguments\": {\"a\": 1}}</tool_call>",
        "Write <tool_call> around it.«other {\"a\": 1}»",
    ),
    (ToolFormat::Llama3, "<|python_tag|>{\"name\": \"other\", \"parameters\": {}}", "«other {}»"),
    (ToolFormat::MistralArgs, "[TOOL_CALLS]other[ARGS]{\"a\": 1}", "«other {\"a\": 1}»"),
    (ToolFormat::MistralList, "[TOOL_CALLS][{\"name\": \"other\", \"arguments\": {}}]", "«other {}»"),
    (
        ToolFormat::QwenCoder,
        "<tool_call>\n<function=other>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>",
        "«other {\"a\":1}»",
    ),
    (
        ToolFormat::Glm,
        "<tool_call>other\n<arg_key>a</arg_key>\n<arg_value>b</arg_value>\n</tool_call>",
        "«other {\"a\":\"b\"}»",
    ),
    (ToolFormat::Glm, "Write <tool_call> around it.", "Write <tool_call> around it."),
    (ToolFormat::Lfm2, "<|tool_call_start|>[other(a=1)]<|tool_call_end|>", "«other {\"a\":1}»"),
    // What is no call is text.
    (
        ToolFormat::Llama3,
        "{\"name\": \"other\", \"parameters\": {}}",
        "{\"name\": \"other\", \"parameters\": {}}",
    ),
    (
        ToolFormat::Hermes,
        "<tool_call>{\"name\": \"two words\", \"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": \"two words\", \"arguments\": {}}</tool_call>",
    ),
    (ToolFormat::Hermes, "<tool_call>{\"name\": \"now\"", "<tool_call>{\"name\": \"now\""),
    (ToolFormat::Hermes, "<tool_call>{name: \"now\"}</tool_call>", "<tool_call>{name: \"now\"}</tool_call>"),
    (
        ToolFormat::Hermes,
        "<tool_call>{\"arguments\": 1, \"name\": \"now\"}",
        "<tool_call>{\"arguments\": 1, \"name\": \"now\"}",
    ),
    (ToolFormat::Hermes, "a < b <tool", "a < b <tool"),
    (
        ToolFormat::Hermes,
        "<tool_call><tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>",
        "<tool_call>«now {}»",
    ),
    (
        ToolFormat::Llama3,
        " {\"name\": \"weather\", \"parameters\": {\"city\": \"Ulm\"}}",
        "«weather {\"city\": \"Ulm\"}»",
    ),
    (ToolFormat::Llama3, "<|python_tag|>{\"name\": \"now\", \"parameters\": {}}", "«now {}»"),
    (
        ToolFormat::Llama3,
        "{\"type\": \"function\", \"name\": \"now\", \"parameters\": {}}; {\"name\": \"now\", \"parameters\": {}}",
        "«now {}»«now {}»",
    ),
    (ToolFormat::Llama3, "{\"name\": \"Alice\", \"age\": 3}", "{\"name\": \"Alice\", \"age\": 3}"),
    (ToolFormat::Llama3, "{\"answer\": 42}", "{\"answer\": 42}"),
    (
        ToolFormat::Llama3,
        "See {\"name\": \"now\", \"parameters\": {}}",
        "See {\"name\": \"now\", \"parameters\": {}}",
    ),
    (ToolFormat::Llama3, "{\"name\": \"now\", \"parameters\": {}}; then", "«now {}»; then"),
    (ToolFormat::Llama4, "<|python_start|>{\"name\": \"now\", \"parameters\": {}}<|python_end|>", "«now {}»"),
    (
        ToolFormat::MistralList,
        "[TOOL_CALLS] [{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\"}, \"id\": \"abcdefghi\"}, {\"name\": \"now\", \"arguments\": {}}]",
        "«weather {\"city\": \"Ulm\"}»«now {}»",
    ),
    (
        ToolFormat::MistralList,
        "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"then\", \"arguments\": {}}]",
        "«now {}»«then {}»",
    ),
    (
        ToolFormat::MistralArgs,
        "I look.[TOOL_CALLS]weather[ARGS]{\"city\": \"Ulm\"}[TOOL_CALLS]now[CALL_ID]a1b2c3d4e[ARGS]{}",
        "I look.«weather {\"city\": \"Ulm\"}»«now {}»",
    ),
    (ToolFormat::MistralArgs, "[TOOL_CALLS]never[ARGS]{}", "«never {}»"),
    (
        ToolFormat::DeepSeekV3,
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{\"city\": \"Ulm\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "«weather {\"city\": \"Ulm\"}»«now {}»",
    ),
    (
        ToolFormat::DeepSeekV31,
        "Sure.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{\"city\":\"Ulm\"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "Sure.«weather {\"city\":\"Ulm\"}»«now {}»",
    ),
    // Without what opens them all.
    (ToolFormat::DeepSeekV31, "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜>", "«now {}»"),
    (ToolFormat::Granite3, "<|tool_call|>[{\"name\": \"now\", \"arguments\": {}}]", "«now {}»"),
    (ToolFormat::Nemotron, "<TOOLCALL>[{\"name\": \"now\", \"arguments\": {}}]</TOOLCALL>", "«now {}»"),
    (
        ToolFormat::Command,
        "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"weather\", \"parameters\": {\"city\": \"Ulm\"}}\n]<|END_ACTION|>",
        "«weather {\"city\": \"Ulm\"}»",
    ),
    (
        ToolFormat::Functionary,
        "Yes: <function=weather>{\"city\": \"Ulm\"}</function><function=now>{}</function>",
        "Yes:«weather {\"city\": \"Ulm\"}»«now {}»",
    ),
    (
        ToolFormat::QwenCoder,
        "So:\n<tool_call>\n<function=weather>\n<parameter=city>\nNew\n<b>York</b>\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>",
        "So:«weather {\"city\":\"New\\n<b>York</b>\",\"days\":3}»«now {}»",
    ),
    (ToolFormat::QwenCoder, "<function=now>\n</function>\n</tool_call>", "«now {}»"),
    (
        ToolFormat::Glm,
        "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Ulm</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>now</tool_call>",
        "«weather {\"city\":\"Ulm\",\"days\":2}»«now {}»",
    ),
    (
        ToolFormat::Lfm2,
        "<|tool_call_start|>[weather(city='Ulm', days=2), now()]<|tool_call_end|>Checking.",
        "«weather {\"city\":\"Ulm\",\"days\":2}»«now {}»Checking.",
    ),
    (
        ToolFormat::Lfm2,
        "<|tool_call_start|>[now(1)]<|tool_call_end|>",
        "<|tool_call_start|>[now(1)]<|tool_call_end|>",
    ),
    (
        ToolFormat::Harmony,
        "<|channel|>analysis<|message|>They want rain.<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{\"city\": \"<|e\"}<|call|>",
        "<think>They want rain.</think>\n\n«weather {\"city\": \"<|e\"}»",
    ),
    (ToolFormat::Harmony, " to=functions.now<|channel|>commentary json<|message|>{}<|call|>", "«now {}»"),
    (
        ToolFormat::Harmony,
        "<|channel|>commentary<|message|>I look it up.<|end|><|start|>assistant<|channel|>final<|message|>It <|rains|>.<|return|>",
        "I look it up.It <|rains|>.",
    ),
    (ToolFormat::Harmony, "<|channel|>commentary to=functions.other json<|message|>{}<|call|>", "«other {}»"),
    (ToolFormat::Harmony, "Plain text.", "Plain text."),
];

#[test]
fn calls_are_found_in_what_models_write() {
    for (format, text, expected) in SAMPLES {
        check(*format, text, expected);
    }
}

#[test]
fn prose_and_arguments_go_out_as_they_come() {
    let mut parser = ToolCallParser::new(ToolFormat::Hermes, &tools());
    let text = |text: &str| vec![Piece::Text(text.into())];
    assert_eq!(parser.push("Hello"), text("Hello"));
    assert_eq!(parser.push(" there <"), text(" there"));
    assert_eq!(parser.push("b> "), text(" <b>"));
    assert_eq!(parser.push("<tool_call>\n{\"name\": \"weather\", \"arguments\": "), []);
    let begun = parser.push("{\"ci");
    assert!(
        matches!(&begun[..], [Piece::Begin { name, .. }, Piece::Arguments { json, .. }] if name == "weather" && json == "{\"ci")
    );
    assert_eq!(parser.push("ty\": \"U"), [Piece::Arguments { index: 0, json: "ty\": \"U".into() }]);
    assert_eq!(parser.push("lm\"}}"), [Piece::Arguments { index: 0, json: "lm\"}".into() }]);
    assert_eq!(parser.push("\n</tool_call>\n"), []);
    assert_eq!(parser.finish(), []);
}

#[test]
fn depth_and_length_cost_no_stack_and_little_time() {
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let whole = |text: &str| {
        let chunks: Vec<&str> =
            text.as_bytes().chunks(256).map(|chunk| str::from_utf8(chunk).unwrap()).collect();
        line(&pieces(ToolFormat::Hermes, chunks))
    };
    let text = format!("<tool_call>{{\"name\": \"now\", \"arguments\": {deep}}}</tool_call>");
    assert_eq!(whole(&text), format!("«now {deep}»"));
    // Arguments before the name are held back only so far.
    let endless = format!("<tool_call>{{\"arguments\": {deep}, \"name\": \"now\"}}");
    assert_eq!(whole(&endless), endless);
    let openings = "<tool_call>{\"a\":".repeat(2_000);
    assert_eq!(whole(&openings), openings);
}

#[test]
fn a_written_call_is_read_back() {
    for format in FORMATS {
        let call = |name: &str, arguments: Value| ToolCall {
            id: String::new(),
            name: name.into(),
            arguments: arguments.to_string(),
        };
        let arguments = json!({"city": "a\n\"b\" 'é' \\ </x>", "days": 3});
        let text = format.write(&[call("weather", arguments.clone()), call("now", json!({}))]);
        let read = pieces(*format, [text.as_str()]);
        let [
            Piece::Begin { name, .. },
            Piece::Arguments { json, .. },
            Piece::Begin { name: second, .. },
            Piece::Arguments { json: nothing, .. },
        ] = &read[..]
        else {
            panic!("{format:?} wrote {text} and read {read:?}")
        };
        assert_eq!((name.as_str(), second.as_str(), nothing.as_str()), ("weather", "now", "{}"));
        assert_eq!(serde_json::from_str::<Value>(json).unwrap(), arguments, "{format:?}: {text}");
    }
}

#[test]
fn templates_tell_their_format() {
    let with_tools = |text: &str| format!("{{% if tools %}}{{% endif %}}{text}");
    for (text, format) in [
        ("'<tool_call>\\n' ~ tool_call.arguments", ToolFormat::Hermes),
        ("nothing", ToolFormat::Hermes),
        (
            "{\"name\": function name, \"parameters\": dictionary of argument name and its value}",
            ToolFormat::Llama3,
        ),
        ("{{ '<|python_tag|>' + tool_call.name }}", ToolFormat::Llama3),
        ("<|python_start|>", ToolFormat::Llama4),
        ("[TOOL_CALLS][", ToolFormat::MistralList),
        ("[TOOL_CALLS] name [ARGS]", ToolFormat::MistralArgs),
        ("<｜tool▁calls▁begin｜> '```json'", ToolFormat::DeepSeekV3),
        ("<｜tool▁calls▁begin｜>", ToolFormat::DeepSeekV31),
        ("respond only with <|tool_call|> followed by a JSON list", ToolFormat::Granite3),
        ("<TOOLCALL>[", ToolFormat::Nemotron),
        ("<|START_ACTION|>", ToolFormat::Command),
        ("<function=example> <|python_tag|>", ToolFormat::Functionary),
        ("<tool_call>\\n<function=", ToolFormat::QwenCoder),
        ("<tool_call>{name}\\n<arg_key>", ToolFormat::Glm),
        ("List of tools: <|tool_list_start|>[", ToolFormat::Lfm2),
        ("<seed:tool_call> <function=", ToolFormat::Seed),
        ("<|channel|>commentary <|message|>", ToolFormat::Harmony),
    ] {
        assert_eq!(ToolFormat::detect(Some(&with_tools(text))), format, "{text}");
    }
    assert_eq!(ToolFormat::detect(None), ToolFormat::Hermes);
    // It knows how calls look, and not that there are tools.
    let untaught = "{{ message['tools'] }}{{ xml_tools }}<tools></tools>[TOOL_CALLS]{{ m.tool_calls }}";
    assert!(!knows_tools(untaught));
    assert_eq!(ToolFormat::detect(Some(untaught)), ToolFormat::Hermes);
    for uses in [
        "{% for t in tools %}",
        "{{tools|tojson}}",
        "{{ tools[0] }}",
        "{% if not tools is none %}",
        "(tools)",
    ] {
        assert!(knows_tools(uses), "{uses}");
    }
}

#[test]
fn markers_are_what_a_vocabulary_may_hold() {
    let markers = |format: ToolFormat| format.markers().collect::<Vec<_>>();
    assert_eq!(markers(ToolFormat::Hermes), ["<tool_call>", "</tool_call>"]);
    assert_eq!(markers(ToolFormat::Llama3), ["<|python_tag|>"]);
    assert_eq!(markers(ToolFormat::MistralArgs), ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"]);
}

proptest! {
    #[test]
    fn it_makes_no_difference_how_the_output_is_cut(
        sample in 0..SAMPLES.len(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let (format, text, _) = SAMPLES[sample];
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]);
        prop_assert_eq!(pieces(format, chunks), pieces(format, [text]));
    }

    #[test]
    fn text_without_markers_comes_out_as_it_is(chunks in prop::collection::vec("[a<>|{}\"\\[\\]: \n｜é]{0,6}", 0..12)) {
        for format in FORMATS {
            let text = chunks.concat();
            let read = pieces(*format, chunks.iter().map(String::as_str));
            prop_assert_eq!(line(&read), text, "{:?}", format);
        }
    }

    #[test]
    fn near_misses_lose_nothing_and_never_panic(
        parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "<tool_call>", "</tool_call>", "{\"name\": ", "\"now\"", "\"weather\"", ", \"arguments\": ", "{}", "}",
                    "{\"city\": \"é\"}", "[TOOL_CALLS]", "[", "]", "[ARGS]", "now", "<function=", ">", "<parameter=",
                    "city", "</parameter>", "</function>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>",
                    "<|tool_call_start|>", "(", "city='", "')", "<|python_tag|>", "\n", " ", ";", ",",
                ]).prop_map(str::to_owned),
                "\\PC{0,3}",
            ],
            0..16,
        ),
    ) {
        let text = parts.concat();
        for format in FORMATS {
            let whole = pieces(*format, [text.as_str()]);
            prop_assert_eq!(&pieces(*format, parts.iter().map(String::as_str)), &whole);
            if !whole.iter().any(|piece| matches!(piece, Piece::Begin { .. })) {
                prop_assert_eq!(line(&whole), text.clone());
            }
        }
    }
}

mod held_to_the_grammar {
    use std::{cell::Cell, sync::Arc};

    use llguidance::{
        Matcher, ParserFactory,
        toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie, TokenId},
    };

    use super::*;

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

    /// Every byte, the special tokens, and the end.
    fn vocabulary() -> TokEnv {
        let mut words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        words.extend(SPECIAL.iter().map(|marker| [b"\xff", marker.as_bytes()].concat()));
        words.push(b"\xff<|end|>".to_vec());
        let end = words.len() as TokenId - 1;
        Arc::new(ApproximateTokEnv::new(TokTrie::from(&TokRxInfo::new(words.len() as u32, end), &words)))
    }

    struct Bench {
        vocabulary: TokEnv,
        factory: Arc<ParserFactory>,
    }

    impl Bench {
        fn new() -> Self {
            let vocabulary = vocabulary();
            let factory = Arc::new(super::super::super::grammar::tests::factory(&vocabulary).unwrap());
            Self { vocabulary, factory }
        }

        fn special(&self, marker: &str) -> Option<TokenId> {
            self.vocabulary.tok_trie().get_special_token(marker)
        }

        fn matcher(
            &self,
            format: ToolFormat,
            tools: &[Tool],
            choice: &ToolChoice,
            parallel: bool,
        ) -> Matcher {
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
            super::super::super::grammar::tests::compile(&self.factory, grammar.unwrap().unwrap())
                .unwrap_or_else(|error| panic!("{format:?}: {error}"))
        }

        /// Tokens of `text`: special ones where there are any, else bytes.
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

        fn takes(&self, matcher: &Matcher, text: &str) -> bool {
            let mut matcher = matcher.deep_clone();
            let tokens = self.tokens(text);
            matcher.validate_tokens(&tokens).unwrap() == tokens.len()
                && matcher.try_consume_tokens(&tokens).unwrap() == tokens.len()
                && matcher.is_accepting().unwrap()
        }

        /// What comes of always choosing among the allowed tokens, mostly one that closes something,
        /// and now and then all of `first`.
        fn walk(&self, matcher: &Matcher, seed: u64, first: &str) -> String {
            let mut matcher = matcher.deep_clone();
            let random = Cell::new(seed * 2 + 1);
            let below = |most: usize| {
                random.set(
                    random
                        .get()
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407),
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
                // No walk finds the end of a free text by chance.
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

    /// Whether arguments are what the tool asks for.
    fn fit(name: &str, json: &str) -> bool {
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
    fn it_takes_calls_as_models_write_them_and_no_others() {
        let bench = Bench::new();
        let call = |name: &str, arguments: &str| ToolCall {
            id: String::new(),
            name: name.into(),
            arguments: arguments.into(),
        };
        let good = call("weather", r#"{"city": "Ulm", "days": 3}"#);
        for format in FORMATS {
            let matcher = |choice, parallel| bench.matcher(*format, &tools(), &choice, parallel);
            let required = matcher(ToolChoice::Required, true);
            let one = format.write(std::slice::from_ref(&good));
            assert!(bench.takes(&required, &one), "{format:?} refuses {one}");
            let two = format.write(&[call("now", "{}"), good.clone()]);
            assert_eq!(bench.takes(&required, &two), !format.one_call_a_turn(), "{format:?}: {two}");
            let single = matcher(ToolChoice::Required, false);
            assert!(!bench.takes(&single, &two), "{format:?} takes two: {two}");
            let now = matcher(ToolChoice::Named("now".into()), true);
            assert!(!bench.takes(&now, &one), "{format:?} takes another tool: {one}");
            assert!(
                bench.takes(&now, &format.write(&[call("now", "{}")])),
                "{format:?} refuses the named tool"
            );
            for bad in [
                call("other", r#"{"city": "Ulm"}"#),
                call("weather", "{}"),
                call("weather", r#"{"city": "Ulm", "days": 9}"#),
                call("weather", r#"{"city": "Ulm", "more": 1}"#),
                call("now", r#"{"city": "Ulm"}"#),
            ] {
                let text = format.write(&[bad]);
                assert!(!bench.takes(&required, &text), "{format:?} takes {text}");
            }
            for text in ["", "Sure.", &format!("Sure. {one}"), &format!("{one} Done.")] {
                assert!(!bench.takes(&required, text), "{format:?} takes {text:?}");
            }
        }
        let compact = r#"<tool_call>{"name":"weather","arguments":{"city":"Paris"}}</tool_call>"#;
        let required = bench.matcher(ToolFormat::Hermes, &tools(), &ToolChoice::Required, true);
        assert!(bench.takes(&required, compact));
        assert!(!bench.takes(&required, &compact.replace(',', ",  ")), "white space has a bound");
    }

    #[test]
    fn whatever_it_lets_through_is_read_as_calls_that_fit() {
        let bench = Bench::new();
        let named = ToolChoice::Named("weather".into());
        for format in FORMATS {
            for (choice, parallel) in [(&ToolChoice::Required, true), (&named, false)] {
                let matcher = bench.matcher(*format, &tools(), choice, parallel);
                for seed in 0..5 {
                    let text = bench.walk(&matcher, seed, "</parameter>");
                    let calls = calls(*format, &text);
                    let prose =
                        pieces(*format, [text.as_str()]).iter().any(|piece| matches!(piece, Piece::Text(_)));
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
    fn where_a_model_may_choose_its_prose_is_free_and_its_calls_fit() {
        let bench = Bench::new();
        let strict: Vec<Tool> = tools().into_iter().map(|tool| Tool { strict: true, ..tool }).collect();
        let free = bench.matcher(
            ToolFormat::Hermes,
            &[strict[0].clone(), tools()[1].clone()],
            &ToolChoice::Auto,
            true,
        );
        assert!(
            bench.takes(&free, r#"<tool_call>{"name":"now","arguments":{"a":1}}</tool_call>"#),
            "not strict"
        );
        let call = |name: &str, arguments: &str| ToolCall {
            id: String::new(),
            name: name.into(),
            arguments: arguments.into(),
        };
        for format in FORMATS.iter().filter(|format| **format != ToolFormat::Harmony) {
            let matcher = bench.matcher(*format, &strict, &ToolChoice::Auto, true);
            let takes = |text: &str| bench.takes(&matcher, text);
            let good = format.write(&[call("weather", r#"{"city": "Ulm", "days": 3}"#)]);
            for text in ["", "Sure. a < b {\n", &good, &format.write(&[call("now", "{}")])] {
                assert!(takes(text), "{format:?} refuses {text:?}");
            }
            let leading = format!("<think>\nhm {{ </think>\n\n{good}");
            assert!(takes(&leading) || format.markup().bare, "{format:?} refuses {leading:?}");
            for bad in
                [call("weather", r#"{"city": "Ulm", "days": 9}"#), call("weather", "{}"), call("other", "{}")]
            {
                let text = format.write(&[bad]);
                assert!(!takes(&text), "{format:?} takes {text:?}");
            }
            let first = format.markup().opening().next().unwrap();
            for seed in 0..5 {
                calls(*format, &bench.walk(&matcher, seed, first));
            }
        }
    }

    /// The names of the calls in `text`, all of which fit.
    fn calls(format: ToolFormat, text: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for piece in pieces(format, [text]) {
            match piece {
                Piece::Text(_) => {}
                Piece::Begin { name, .. } => names.push(name),
                Piece::Arguments { json, .. } => {
                    let name = names.last().unwrap();
                    assert!(fit(name, &json), "{format:?}: {text:?} calls {name} with {json}");
                }
            }
        }
        names
    }

    #[test]
    fn schemas_of_all_sorts_make_a_grammar() {
        let bench = Bench::new();
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
            // One for each way to write arguments.
            for format in
                [ToolFormat::Hermes, ToolFormat::MistralArgs, ToolFormat::QwenCoder, ToolFormat::Lfm2]
            {
                let mut matcher = bench.matcher(format, &tools, &ToolChoice::Required, true);
                assert!(matcher.compute_mask().is_ok());
            }
        }
    }

    #[test]
    fn a_turn_is_a_call_or_an_answer_of_the_form() {
        let bench = Bench::new();
        let schema =
            json!({"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]});
        let schema = super::super::super::grammar::compact(schema, true);
        let arguments = r#"{"city": "Ulm"}"#.to_owned();
        let call = ToolCall { id: String::new(), name: "weather".into(), arguments };
        for format in FORMATS.iter().filter(|format| **format != ToolFormat::Harmony) {
            let matcher = bench.answering(*format, &tools(), &ToolChoice::Auto, true, Some(&schema));
            let call = format.write(std::slice::from_ref(&call));
            assert!(bench.takes(&matcher, &call), "{format:?} refuses {call}");
            assert!(bench.takes(&matcher, r#"{"sum": 3}"#), "{format:?} refuses the answer");
            for text in
                ["Sure.", r#"{"sum": "x"}"#, &format!("Sure. {call}"), &format!("{{\"sum\": 3}}{call}")]
            {
                assert!(!bench.takes(&matcher, text), "{format:?} takes {text:?}");
            }
        }
    }

    #[test]
    fn what_no_call_can_be_made_of_is_said() {
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
        // What a strict tool asks for is kept to or refused.
        let parameters = json!({"properties": {"a": {"type": "array", "uniqueItems": true}}});
        let tool = Tool { name: "set".into(), description: None, parameters, strict: true };
        let grammar = grammar(&[tool], ToolChoice::Required).unwrap().unwrap();
        let refusal =
            super::super::super::grammar::tests::compile(&Bench::new().factory, grammar).err().unwrap();
        assert_eq!(refusal, "the JSON Schema can't be held to: Unimplemented keys: [\"uniqueItems\"]");
    }
}
