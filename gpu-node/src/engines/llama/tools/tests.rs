use hearth_domain::{Tool, ToolCall, ToolChoice};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod grammar;

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

/// Parses `chunks` and joins adjacent pieces; ids are removed.
fn pieces<'a>(format: ToolFormat, chunks: impl IntoIterator<Item = &'a str>) -> Vec<OutputPiece> {
    let mut parser = ToolCallParser::new(format, &tools());
    let mut all: Vec<OutputPiece> = chunks.into_iter().flat_map(|chunk| parser.push(chunk)).collect();
    all.extend(parser.finish());
    let mut joined: Vec<OutputPiece> = Vec::new();
    for piece in all {
        match (joined.last_mut(), piece) {
            (Some(OutputPiece::Text(text)), OutputPiece::Text(more)) => text.push_str(&more),
            (
                Some(OutputPiece::Arguments { index, json }),
                OutputPiece::Arguments { index: of, json: more },
            ) if *index == of => {
                json.push_str(&more);
            }
            (_, OutputPiece::Begin { index, id, name }) => {
                assert!(id.len() == 29 && id.starts_with("call_"), "{id}");
                joined.push(OutputPiece::Begin { index, id: String::new(), name });
            }
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// Shows pieces as a line: text as it is, calls as `«name json»`.
fn line(pieces: &[OutputPiece]) -> String {
    let mut out = String::new();
    let mut next = 0;
    for piece in pieces {
        match piece {
            OutputPiece::Text(text) => out.push_str(text),
            OutputPiece::Begin { index, name, .. } => {
                assert_eq!(*index, next, "calls are counted");
                next += 1;
                out.push_str(&format!("«{name}"));
            }
            OutputPiece::Arguments { index, json } => {
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
            OutputPiece::Text(text) | OutputPiece::Arguments { json: text, .. } => out.push_str(&text),
            OutputPiece::Begin { name, .. } => out.push_str(&name),
        }
    }
    let bare = |text: &str| text.replace(['«', '»', ' '], "");
    assert_eq!(bare(&out), bare(expected), "{format:?}, by characters: {text}");
}

/// Real outputs, and the expected pieces.
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
    // Arguments before the name, an id, JSON text for an object, no arguments, and another key.
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
    // Without a closing marker, and cut off.
    (ToolFormat::Hermes, "<tool_call>{\"name\": \"now\", \"arguments\": {}}", "«now {}»"),
    (ToolFormat::Hermes, "<tool_call>{\"name\": \"now\", \"arguments\": {}} and", "«now {}» and"),
    (ToolFormat::Hermes, "<tool_call>{\"name\": \"weather\", \"arguments\": {\"ci", "«weather {\"ci»"),
    // A tool that isn't on offer.
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
    // Text that is no call.
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
    // Without the marker around all calls.
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
fn calls_are_parsed_from_real_outputs() {
    for (format, text, expected) in SAMPLES {
        check(*format, text, expected);
    }
}

#[test]
fn prose_and_arguments_are_streamed() {
    let mut parser = ToolCallParser::new(ToolFormat::Hermes, &tools());
    let text = |text: &str| vec![OutputPiece::Text(text.into())];
    assert_eq!(parser.push("Hello"), text("Hello"));
    assert_eq!(parser.push(" there <"), text(" there"));
    assert_eq!(parser.push("b> "), text(" <b>"));
    assert_eq!(parser.push("<tool_call>\n{\"name\": \"weather\", \"arguments\": "), []);
    let begun = parser.push("{\"ci");
    assert!(
        matches!(&begun[..], [OutputPiece::Begin { name, .. }, OutputPiece::Arguments { json, .. }] if name == "weather" && json == "{\"ci")
    );
    assert_eq!(parser.push("ty\": \"U"), [OutputPiece::Arguments { index: 0, json: "ty\": \"U".into() }]);
    assert_eq!(parser.push("lm\"}}"), [OutputPiece::Arguments { index: 0, json: "lm\"}".into() }]);
    assert_eq!(parser.push("\n</tool_call>\n"), []);
    assert_eq!(parser.finish(), []);
}

#[test]
fn deep_and_long_input_needs_no_stack_and_little_time() {
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let whole = |text: &str| {
        let chunks: Vec<&str> =
            text.as_bytes().chunks(256).map(|chunk| str::from_utf8(chunk).unwrap()).collect();
        line(&pieces(ToolFormat::Hermes, chunks))
    };
    let text = format!("<tool_call>{{\"name\": \"now\", \"arguments\": {deep}}}</tool_call>");
    assert_eq!(whole(&text), format!("«now {deep}»"));
    // Arguments before the name are held back up to a limit.
    let endless = format!("<tool_call>{{\"arguments\": {deep}, \"name\": \"now\"}}");
    assert_eq!(whole(&endless), endless);
    let openings = "<tool_call>{\"a\":".repeat(2_000);
    assert_eq!(whole(&openings), openings);
}

#[test]
fn written_call_is_parsed_back() {
    for format in FORMATS {
        let call = |name: &str, arguments: Value| ToolCall {
            id: String::new(),
            name: name.into(),
            arguments: arguments.to_string(),
        };
        let arguments = json!({"city": "a\n\"b\" 'é' \\ </x>", "days": 3});
        let text = format.write_calls(&[call("weather", arguments.clone()), call("now", json!({}))]);
        let read = pieces(*format, [text.as_str()]);
        let [
            OutputPiece::Begin { name, .. },
            OutputPiece::Arguments { json, .. },
            OutputPiece::Begin { name: second, .. },
            OutputPiece::Arguments { json: nothing, .. },
        ] = &read[..]
        else {
            panic!("{format:?} wrote {text} and parsed {read:?}")
        };
        assert_eq!((name.as_str(), second.as_str(), nothing.as_str()), ("weather", "now", "{}"));
        assert_eq!(serde_json::from_str::<Value>(json).unwrap(), arguments, "{format:?}: {text}");
    }
}

/// The client answers that there is no such tool (docs/dialects.md).
#[test]
fn call_of_a_tool_that_is_not_offered_is_a_call_between_markers() {
    let call = ToolCall { id: String::new(), name: "sunrise".into(), arguments: r#"{"city":"Ulm"}"#.into() };
    assert!(tools().iter().all(|tool| tool.name != call.name));
    for format in FORMATS {
        // In Harmony a text is a message of its own.
        let text = if *format == ToolFormat::Harmony { "" } else { "I look." };
        let mut turn = text.to_owned();
        format.append_calls(&mut turn, std::slice::from_ref(&call));
        let read = pieces(*format, [turn.as_str()]);
        let [before @ .., OutputPiece::Begin { name, .. }, OutputPiece::Arguments { json, .. }] = &read[..]
        else {
            panic!("{format:?}: {turn}: {read:?}")
        };
        assert_eq!((line(before), name.as_str()), (text.to_owned(), "sunrise"), "{format:?}");
        assert_eq!(
            serde_json::from_str::<Value>(json).unwrap(),
            json!({"city": "Ulm"}),
            "{format:?}: {turn}"
        );
    }
    // Without a marker it is an answer in JSON.
    for format in [ToolFormat::Llama3, ToolFormat::Llama4] {
        let turn = format.write_calls(std::slice::from_ref(&call));
        assert_eq!(pieces(format, [turn.as_str()]), [OutputPiece::Text(turn.clone())], "{format:?}");
    }
}

#[test]
fn call_appended_to_a_text_is_parsed_back() {
    for format in FORMATS {
        let call =
            ToolCall { id: String::new(), name: "weather".into(), arguments: r#"{"days":3}"#.to_owned() };
        let texts = [("", "«"), ("I look.", "I look.«")];
        // In Harmony a text is a message of its own.
        let count = if *format == ToolFormat::Harmony { 1 } else { 2 };
        for (text, expected) in &texts[..count] {
            let mut turn = (*text).to_owned();
            format.append_calls(&mut turn, std::slice::from_ref(&call));
            let read = line(&pieces(*format, [turn.as_str()]));
            assert!(
                read.starts_with(&format!("{expected}weather ")),
                "{format:?} wrote {turn}, parsed {read}"
            );
        }
    }
}

#[test]
fn format_is_detected_from_the_template() {
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
    // A template that shows calls and not tools.
    let without_tools = "{{ message['tools'] }}{{ xml_tools }}<tools></tools>[TOOL_CALLS]{{ m.tool_calls }}";
    assert!(!uses_tools_variable(without_tools));
    assert_eq!(ToolFormat::detect(Some(without_tools)), ToolFormat::Hermes);
    for uses in [
        "{% for t in tools %}",
        "{{tools|tojson}}",
        "{{ tools[0] }}",
        "{% if not tools is none %}",
        "(tools)",
    ] {
        assert!(uses_tools_variable(uses), "{uses}");
    }
}

#[test]
fn markers_are_the_pieces_that_may_be_special_tokens() {
    let markers = |format: ToolFormat| format.markers().collect::<Vec<_>>();
    assert_eq!(markers(ToolFormat::Hermes), ["<tool_call>", "</tool_call>"]);
    assert_eq!(markers(ToolFormat::Llama3), ["<|python_tag|>"]);
    assert_eq!(markers(ToolFormat::MistralArgs), ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"]);
}

proptest! {
    #[test]
    fn result_is_the_same_for_any_chunks(
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
    fn text_without_markers_is_unchanged(chunks in prop::collection::vec("[a<>|{}\"\\[\\]: \n｜é]{0,6}", 0..12)) {
        for format in FORMATS {
            let text = chunks.concat();
            let read = pieces(*format, chunks.iter().map(String::as_str));
            prop_assert_eq!(line(&read), text, "{:?}", format);
        }
    }

    #[test]
    fn near_misses_lose_no_text_and_never_panic(
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
            if !whole.iter().any(|piece| matches!(piece, OutputPiece::Begin { .. })) {
                prop_assert_eq!(line(&whole), text.clone());
            }
        }
    }
}
