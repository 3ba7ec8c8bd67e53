use hearth_domain::{
    Attachment, AttachmentContent, ClientDialect, Document, DocumentSource, FinishReason, Generation, Image,
    Message, Part, PartPlace, Piece, PlacedImage, Priority, Reasoning, ReasoningEffort, ResponseFormat, Role,
    RunId, Selection, Task, TextTask, ToolChoice, Usage, WhileLoading,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    event::ToolCallBegin,
    stream::{Frame, Render as _},
};

fn hello() -> Value {
    json!({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
}

/// The request with additional fields.
#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn with(fields: Value) -> Value {
    let mut body = hello();
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn generation(fields: Value) -> Result<Generation, ApiError> {
    serde_json::from_value::<MessagesRequest>(with(fields)).unwrap().into_generation()
}

fn task(fields: Value) -> TextTask {
    match generation(fields).unwrap().task {
        Task::Text(task) => task,
        other => panic!("{other:?}"),
    }
}

fn vendor_fields(fields: Value) -> Map<String, Value> {
    let extra = generation(fields).unwrap().extra;
    assert_eq!(extra.dialect, ClientDialect::Anthropic);
    extra.fields
}

fn look() -> Value {
    json!({"name": "look", "description": "Looks", "input_schema": {"type": "object"}})
}

#[test]
fn absent_fields_have_their_defaults() {
    let plain = task(json!({}));
    let sampling = hearth_domain::Sampling { max_tokens: Some(9), ..Default::default() };
    assert_eq!(plain, TextTask::new(vec![Message::new(Role::User, "hi")], sampling));
    let null = task(json!({
        "system": null, "stream": null, "stop_sequences": null, "temperature": null, "tools": null,
        "tool_choice": null, "thinking": null, "output_config": null, "colour": {"unknown": true},
    }));
    assert_eq!(null, plain);
}

#[test]
fn every_block_becomes_part_of_a_message() {
    let turns = json!([
        {"role": "user", "content": [
            {"type": "text", "text": "What is"},
            {"type": "text", "text": "this?"},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            {"type": "text", "text": "And this?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
            {"type": "redacted_thinking", "data": "EncR"},
            {"type": "text", "text": "I "},
            {"type": "text", "text": "look."},
            {"type": "tool_use", "id": "a", "name": "look", "input": {"z": 1, "a": 2}},
            {"type": "tool_use", "id": "b", "name": "look", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "text", "text": "Thanks."},
            {"type": "tool_result", "tool_use_id": "a", "content": [
                {"type": "text", "text": "a cat"},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/b.png"}},
            ]},
            {"type": "tool_result", "tool_use_id": "b", "content": "no light", "is_error": true},
        ]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "A cat.", "signature": ""}]},
        {"role": "system", "content": "Be kind."},
    ]);
    let system = json!([{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be true."}]);
    let image = |at, url: &str| PlacedImage { at, image: Image::at(url) };
    let text_break = |at, gap| Attachment { at, images_before: 0, content: AttachmentContent::Break(gap) };
    let reasoning = |text: &str, signature: Option<&str>| Reasoning {
        text: text.into(),
        signature: signature.map(Into::into),
        encrypted: None,
    };
    let call = |id: &str, arguments: &str| hearth_domain::ToolCall {
        id: id.into(),
        name: "look".into(),
        arguments: arguments.into(),
    };
    let result = |id: &str, text: &str| Message {
        tool_call_id: Some(id.into()),
        name: Some("look".into()),
        ..Message::new(Role::Tool, text)
    };
    let expected = [
        Message {
            attachments: vec![text_break(9, 2)],
            ..Message::new(Role::System, "Be brief.\n\nBe true.")
        },
        Message {
            attachments: vec![text_break(7, 1)],
            images: vec![image(13, "https://example.org/a.png"), image(22, "data:image/png;base64,AAAA")],
            ..Message::new(Role::User, "What is\nthis?And this?")
        },
        Message {
            reasoning: vec![
                reasoning("Hm.", Some("sig")),
                Reasoning { encrypted: Some("EncR".into()), ..Reasoning::default() },
            ],
            tool_calls: vec![call("a", "{\"z\":1,\"a\":2}"), call("b", "{}")],
            attachments: vec![text_break(2, 0)],
            ..Message::new(Role::Assistant, "I look.")
        },
        Message { images: vec![image(5, "https://example.org/b.png")], ..result("a", "a cat") },
        Message { failed: true, ..result("b", "no light") },
        Message::new(Role::User, "Thanks."),
        Message { reasoning: vec![reasoning("A cat.", None)], ..Message::new(Role::Assistant, "") },
        Message::new(Role::System, "Be kind."),
    ];
    assert_eq!(*task(json!({"messages": turns, "system": system})).messages, expected);
}

#[test]
fn blocks_of_an_assistants_turn_keep_their_order() {
    let thinking = |text: &str| json!({"type": "thinking", "thinking": text, "signature": "sig"});
    let redacted = |data: &str| json!({"type": "redacted_thinking", "data": data});
    let text = |text: &str| json!({"type": "text", "text": text});
    let tool_use = |id: &str| json!({"type": "tool_use", "id": id, "name": "look", "input": {}});
    let search =
        json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}});
    let cases = [
        (
            json!([thinking("A"), text("a"), tool_use("1"), thinking("B"), text("b"), tool_use("2")]),
            vec!["A", "a", "1", "B", "b", "2"],
        ),
        (
            json!([text("a"), tool_use("1"), search, text("b"), tool_use("2")]),
            vec!["a", "1", "web_search", "b", "2"],
        ),
        (
            json!([thinking("A"), text("a"), redacted("R"), search, redacted("S")]),
            vec!["A", "a", "R", "web_search", "S"],
        ),
        (
            json!([thinking("A"), text("a"), thinking("B"), redacted("R"), tool_use("1"), thinking("C")]),
            vec!["A", "a", "B", "R", "1", "C"],
        ),
        // As the gateway renders an answer for a client that sees no thoughts.
        (json!([text("a"), redacted("R"), tool_use("1")]), vec!["R", "a", "1"]),
    ];
    for (content, expected) in cases {
        let turns = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": content}]);
        let task = task(json!({"messages": turns}));
        let [_, turn] = &task.messages[..] else { panic!("{:?}", task.messages) };
        let pieces: Vec<_> = turn
            .pieces()
            .into_iter()
            .map(|piece| match piece {
                Piece::Reasoning(block) => block.encrypted.as_deref().unwrap_or(&block.text),
                Piece::Call(_, call) => &call.id,
                Piece::Part(_, Part::Text(text)) => text,
                Piece::Part(_, Part::Opaque(opaque)) => opaque.value["name"].as_str().unwrap(),
                Piece::Part(_, part) => panic!("{part:?}"),
            })
            .collect();
        assert_eq!(pieces, expected, "{content}");
    }
}

#[test]
fn tools_and_their_choice_reach_the_task() {
    let of = task(
        json!({"tools": [look(), {"type": "custom", "name": "add", "input_schema": {}, "strict": true}]}),
    );
    let tools: Vec<_> = of.tools.iter().map(|tool| (tool.name.as_str(), tool.strict)).collect();
    assert_eq!(tools, [("look", false), ("add", true)]);
    assert_eq!(of.tools[0].description.as_deref(), Some("Looks"));
    let cases = [
        (json!({"type": "auto"}), ToolChoice::Auto, true),
        (json!({"type": "any", "disable_parallel_tool_use": true}), ToolChoice::Required, false),
        (json!({"type": "none"}), ToolChoice::None, true),
        (json!({"type": "tool", "name": "look"}), ToolChoice::Named("look".into()), true),
    ];
    for (choice, expected, parallel) in cases {
        let of = task(json!({"tools": [look()], "tool_choice": choice}));
        assert_eq!((of.tool_choice, of.parallel_tool_calls), (expected, parallel), "{choice}");
    }
}

#[test]
fn sampling_format_and_run_options_reach_the_generation() {
    let of = generation(json!({
        "temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": -1, "stop_sequences": ["X"], "stream": true,
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "priority": "high", "while_loading": "default",
    }))
    .unwrap();
    assert_eq!((of.priority, of.while_loading), (Priority::High, WhileLoading::Default));
    let Task::Text(task) = of.task else { panic!("no text") };
    let sampling = &task.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (Some(0.5), Some(0.9), Some(3)));
    assert_eq!((&sampling.stop, sampling.max_tokens), (&vec!["X".to_owned()], Some(9)));
    assert_eq!(sampling.seed, Some(u32::MAX));
    assert_eq!(task.response_format, ResponseFormat::JsonSchema(json!({"type": "object"})));
    let older = generation(json!({"output_format": {"type": "json_schema", "schema": {}}})).unwrap();
    let Task::Text(task) = older.task else { panic!("no text") };
    assert_eq!(task.response_format, ResponseFormat::JsonSchema(json!({})));
}

#[test]
fn thinking_options_are_converted_and_passed_on() {
    let cases = [
        (json!({"type": "enabled", "budget_tokens": 2000}), json!({}), Some(ReasoningEffort::Tokens(2000))),
        (json!({"type": "disabled"}), json!({"effort": "high"}), Some(ReasoningEffort::None)),
        (json!({"type": "adaptive", "display": "omitted"}), json!({}), None),
        (json!({"type": "adaptive"}), json!({"effort": "max"}), Some(ReasoningEffort::High)),
        (json!({"type": "between_tools"}), json!({"effort": "low", "new": 1}), Some(ReasoningEffort::Low)),
    ];
    for (thinking, config, expected) in cases {
        let fields = json!({"max_tokens": 4000, "thinking": thinking, "output_config": config});
        assert_eq!(task(fields.clone()).reasoning, expected, "{fields}");
        let extra = vendor_fields(fields);
        assert_eq!(extra["thinking"], thinking);
        assert_eq!(extra.get("output_config").cloned().unwrap_or(json!({})), config);
    }
    assert_eq!(task(json!({"output_config": {"effort": "low"}})).reasoning, None);
}

#[test]
fn unknown_fields_are_passed_on() {
    let format = json!({"type": "json_schema", "schema": {}});
    let extra = vendor_fields(json!({"metadata": {"user_id": "u"}, "output_config": {"format": format}}));
    assert_eq!(Value::Object(extra), json!({"metadata": {"user_id": "u"}}));
    let own =
        vendor_fields(json!({"cache_control": {"type": "ephemeral"}, "mcp_servers": [{"url": "https://x"}]}));
    assert_eq!(own["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(own["mcp_servers"], json!([{"url": "https://x"}]));
}

#[test]
fn vendor_fields_stay_with_their_blocks() {
    let mark = json!({"type": "ephemeral"});
    let fields = |value: Value| value.as_object().unwrap().clone();
    let mut tool = look();
    tool["cache_control"] = mark.clone();
    tool["defer_loading"] = json!(true);
    let of = task(json!({
        "system": [{"type": "text", "text": "A."}, {"type": "text", "text": "B.", "cache_control": mark}],
        "tools": [tool],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", "citations": null}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "look", "input": {}, "cache_control": mark}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x", "cache_control": mark}]},
        ],
    }));
    let marked = Some(fields(json!({"cache_control": mark})));
    let [system, user, call, result] = &of.messages[..] else { panic!("{:?}", of.messages) };
    assert_eq!(system.extra_of(PartPlace::Part(0)), None);
    assert_eq!(system.extra_of(PartPlace::Part(1)), marked.as_ref());
    assert!(user.extra.is_empty());
    assert_eq!(call.extra_of(PartPlace::Call(0)), marked.as_ref());
    assert_eq!(result.extra_of(PartPlace::Message), marked.as_ref());
    assert_eq!(of.tool_extra["look"], fields(json!({"defer_loading": true, "cache_control": mark})));
}

#[test]
fn documents_are_read_and_unknown_blocks_stay_opaque() {
    let unknown = [
        json!({"type": "search_result", "source": "https://x", "title": "X", "content": [{"type": "text", "text": "y"}]}),
        json!({"type": "image", "source": {"type": "file", "file_id": "f"}}),
        json!({"type": "container_upload", "file_id": "f"}),
    ];
    let pdf = json!({
        "type": "document", "title": "A", "context": "B",
        "source": {"type": "base64", "media_type": "application/PDF", "data": "JVBERi0="},
    });
    let mut blocks = vec![pdf, json!({"type": "text", "text": "Sum up."})];
    blocks.extend(unknown.clone());
    let used = json!([
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": {"type": "error", "error_code": "e"}},
        {"type": "text", "text": "a"},
    ]);
    let of = task(json!({"messages": [
        {"role": "user", "content": blocks}, {"role": "assistant", "content": used},
    ]}));
    let source = DocumentSource::Data { media_type: "application/pdf".into(), data: "JVBERi0=".into() };
    let document = Document { source, name: Some("A".into()) };
    let parts = of.messages[0].parts();
    assert_eq!(parts[..2], [Part::Document(&document), Part::Text("Sum up.")]);
    assert_eq!(of.messages[0].extra_of(PartPlace::Part(0)).unwrap()["context"], "B");
    let opaque: Vec<_> = of.messages[0].opaque_parts().collect();
    assert_eq!(opaque.iter().map(|part| part.value.clone()).collect::<Vec<_>>(), unknown);
    assert_eq!(opaque[0].param, "messages[0].content[2]");
    let opaque: Vec<Value> = of.messages[1].opaque_parts().map(|part| part.value.clone()).collect();
    assert_eq!(opaque, used.as_array().unwrap()[..2]);
    assert_eq!(of.messages[1].content, "a");
}

#[test]
fn unsupported_request_is_refused_with_the_fields_name() {
    let block = |role: &str, block: Value| json!({"messages": [{"role": role, "content": [block]}]});
    let result = |content: Value| {
        let result = json!({"type": "tool_result", "tool_use_id": "a", "content": content});
        json!({"messages": [{"role": "user", "content": [result]}]})
    };
    let cases = [
        (json!({"messages": []}), "messages"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"temperature": 3}), "temperature"),
        (json!({"stop_sequences": [""]}), "stop_sequences"),
        (json!({"system": [{"type": "image", "source": {"type": "url", "url": "x"}}]}), "system"),
        (json!({"system": [{"type": "document"}]}), "system[0].source"),
        (json!({"system": [{"type": "search_result"}]}), "system"),
        (block("user", json!({"type": "document"})), "messages[0].content[0].source"),
        (
            block("user", json!({"type": "document", "source": {"type": "text"}})),
            "messages[0].content[0].source.data",
        ),
        (block("user", json!({"type": "tool_use"})), "messages[0].content[0].type"),
        (block("user", json!({"type": "text"})), "messages[0].content[0].text"),
        (block("user", json!({"type": "image"})), "messages[0].content[0].source"),
        (block("user", json!({"type": "tool_result"})), "messages[0].content[0].tool_use_id"),
        (result(json!("lost")), "messages[0].content[0].tool_use_id"),
        (result(json!({"type": "text"})), "messages[0].content[0].content"),
        (block("assistant", json!({"type": "tool_result"})), "messages[0].content[0].type"),
        (block("assistant", json!({"type": "tool_use", "id": "a"})), "messages[0].content[0].name"),
        (block("assistant", json!({"type": "redacted_thinking"})), "messages[0].content[0].data"),
        (json!({"tools": [{"input_schema": {}}]}), "tools[0].name"),
        (json!({"tools": [{"name": "look"}]}), "tools[0].input_schema"),
        (json!({"tools": [{"name": "no name", "input_schema": {}}]}), "tools[0].name"),
        (json!({"tools": [{"name": "look", "input_schema": []}]}), "tools[0].input_schema"),
        (json!({"tool_choice": {"type": "any"}}), "tool_choice"),
        (json!({"tools": [look()], "tool_choice": {"type": "tool"}}), "tool_choice.name"),
        (json!({"tools": [look()], "tool_choice": {"type": "required"}}), "tool_choice.type"),
        (json!({"thinking": {"type": "enabled"}}), "thinking.budget_tokens"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 9}}), "thinking.budget_tokens"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}), "thinking.budget_tokens"),
        (json!({"output_config": {"format": {"type": "text"}}}), "output_config.format.type"),
        (json!({"output_config": {"format": {"type": "json_schema"}}}), "output_config.format.schema"),
        (
            json!({"output_config": {"format": {"type": "json_schema", "schema": 1}}}),
            "output_config.format.schema",
        ),
    ];
    for (fields, param) in cases {
        let error = generation(fields.clone()).expect_err(&fields.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{fields}: {error}");
    }
}

#[test]
fn parse_error_has_the_path_of_the_field() {
    let content =
        json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": 1}]}]);
    let cases = [
        (
            json!({"messages": [{"role": "user", "content": content}]}),
            "messages[0].content[0].content[0].text",
        ),
        (json!({"messages": [{"role": "user", "content": 1}]}), "messages[0].content"),
        (json!({"messages": [{"role": "tool", "content": "hi"}]}), "messages[0].role"),
        (json!({"system": [{"type": 1}]}), "system[0].type"),
        (json!({"max_tokens": "9"}), "max_tokens"),
    ];
    for (fields, path) in cases {
        let body = with(fields).to_string();
        let mut json = serde_json::Deserializer::from_str(&body);
        let error = serde_path_to_error::deserialize::<_, MessagesRequest>(&mut json).unwrap_err();
        assert_eq!(error.path().to_string(), path, "{error}");
    }
}

/// Events of a run: selected, started, `bodies`, with the usage before the last.
fn events(bodies: &[RunEventBody]) -> Vec<RunEvent> {
    let selected = RunEventBody::Selected(Selection::example("tiny-chat", "local"));
    let usage = Usage {
        prompt_tokens: 7,
        completion_tokens: 5,
        cached_tokens: 4,
        reasoning_tokens: 2,
        ..Usage::default()
    };
    let (middle, end) = bodies.split_at(bodies.len() - 1);
    let all = [selected, RunEventBody::Started { prompt_tokens: 7 }].into_iter().chain(middle.to_vec());
    let all = all.chain([RunEventBody::Usage { usage }]).chain(end.to_vec());
    (1..).zip(all).map(|(seq, body)| RunEvent { seq, body }).collect()
}

fn renderer() -> MessagesRenderer {
    renderer_with(&json!({"type": "adaptive"}))
}

fn renderer_with(thinking: &Value) -> MessagesRenderer {
    let mut body = hello();
    body["thinking"] = thinking.clone();
    serde_json::from_value::<MessagesRequest>(body).unwrap().renderer(RunId::new())
}

/// Renders the events as JSON, with the final frame.
fn rendered(bodies: &[RunEventBody]) -> Vec<Value> {
    rendered_by(renderer(), bodies)
}

fn rendered_by(mut renderer: MessagesRenderer, bodies: &[RunEventBody]) -> Vec<Value> {
    let mut frames: Vec<Frame> = events(bodies).iter().flat_map(|event| renderer.frames(event)).collect();
    frames.extend(renderer.final_frame());
    let data = frames.into_iter().map(|frame| {
        let data: Value = serde_json::from_str(&frame.data).unwrap();
        assert_eq!((frame.event, frame.id), (data["type"].as_str(), None), "{data}");
        data
    });
    data.collect()
}

fn whole(bodies: &[RunEventBody]) -> Value {
    json!(renderer().into_answer(&events(bodies)).unwrap())
}

fn text(text: &str) -> RunEventBody {
    RunEventBody::text(text)
}

fn reasoning_event(index: u32, text: &str, signature: Option<&str>, encrypted: Option<&str>) -> RunEventBody {
    let (signature, encrypted) = (signature.map(Into::into), encrypted.map(Into::into));
    RunEventBody::Reasoning { choice: 0, index, added: Reasoning { text: text.into(), signature, encrypted } }
}

fn begin(index: u32, name: &str) -> RunEventBody {
    let begins = Some(ToolCallBegin { id: format!("call_{index}"), name: name.into() });
    RunEventBody::ToolCall { choice: 0, index, begins, arguments: String::new() }
}

fn arguments(index: u32, arguments: &str) -> RunEventBody {
    RunEventBody::ToolCall { choice: 0, index, begins: None, arguments: arguments.into() }
}

fn done(finish_reason: FinishReason) -> RunEventBody {
    RunEventBody::Done { finish_reason }
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn block_start(index: u32, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn block_delta(index: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn block_stop(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn text_delta(index: u32, text: &str) -> Value {
    block_delta(index, json!({"type": "text_delta", "text": text}))
}

fn input_delta(index: u32, json: &str) -> Value {
    block_delta(index, json!({"type": "input_json_delta", "partial_json": json}))
}

fn tool_use(id: &str, name: &str) -> Value {
    called(id, name, json!({}))
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn called(id: &str, name: &str, input: Value) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": input, "caller": {"type": "direct"}})
}

/// A usage, with the fields that are always null.
fn usage(input: u32, cached: u32, output: u32, thinking: u32) -> Value {
    json!({
        "input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached,
        "output_tokens": output, "output_tokens_details": {"thinking_tokens": thinking},
        "cache_creation": null, "inference_geo": null, "server_tool_use": null, "service_tier": null,
    })
}

#[test]
fn text_stream_has_start_deltas_and_stop() {
    let mut frames = rendered(&[text("Hel"), text("lo"), done(FinishReason::Stop)]);
    assert!(frames[0]["message"]["id"].as_str().unwrap().starts_with("req_"));
    frames[0]["message"]["id"] = json!("x");
    let expected = [
        json!({"type": "message_start", "message": {
            "id": "x", "type": "message", "role": "assistant", "model": "tiny-chat", "content": [],
            "stop_reason": null, "stop_sequence": null, "stop_details": null, "container": null,
            "usage": usage(7, 0, 0, 0),
        }}),
        block_start(0, json!({"type": "text", "text": ""})),
        text_delta(0, "Hel"),
        text_delta(0, "lo"),
        block_stop(0),
        json!({
            "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": usage(3, 4, 5, 2),
        }),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(frames, expected);
}

#[test]
fn reasoning_text_and_calls_are_separate_blocks() {
    let events = [
        reasoning_event(0, "Hm", None, None),
        reasoning_event(0, ".", None, None),
        reasoning_event(0, "", Some("sig"), None),
        reasoning_event(1, "", None, Some("EncR")),
        reasoning_event(2, "More.", None, Some("EncS")),
        text("I look."),
        begin(0, "look"),
        arguments(0, "{\"at\":"),
        arguments(0, "1}"),
        begin(1, "listen"),
        arguments(1, "{}"),
        done(FinishReason::ToolCalls),
    ];
    let thinking = |text: &str| {
        block_delta(if text == "More." { 2 } else { 0 }, json!({"type": "thinking_delta", "thinking": text}))
    };
    let frames = rendered(&events);
    let expected = [
        block_start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        thinking("Hm"),
        thinking("."),
        block_delta(0, json!({"type": "signature_delta", "signature": "sig"})),
        block_stop(0),
        block_start(1, json!({"type": "redacted_thinking", "data": "EncR"})),
        block_stop(1),
        block_start(2, json!({"type": "thinking", "thinking": "", "signature": ""})),
        thinking("More."),
        block_stop(2),
        block_start(3, json!({"type": "redacted_thinking", "data": "EncS"})),
        block_stop(3),
        block_start(4, json!({"type": "text", "text": ""})),
        text_delta(4, "I look."),
        block_stop(4),
        block_start(5, tool_use("call_0", "look")),
        input_delta(5, "{\"at\":"),
        input_delta(5, "1}"),
        block_stop(5),
        block_start(6, tool_use("call_1", "listen")),
        input_delta(6, "{}"),
        block_stop(6),
    ];
    assert_eq!(frames[1..frames.len() - 2], expected);
    assert_eq!(frames[frames.len() - 2]["delta"]["stop_reason"], "tool_use");

    let whole = whole(&events);
    assert_eq!(
        whole["content"],
        json!([
            {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
            {"type": "redacted_thinking", "data": "EncR"},
            {"type": "thinking", "thinking": "More.", "signature": ""},
            {"type": "redacted_thinking", "data": "EncS"},
            {"type": "text", "text": "I look.", "citations": []},
            called("call_0", "look", json!({"at": 1})),
            called("call_1", "listen", json!({})),
        ])
    );
    assert_eq!(
        (&whole["stop_reason"], &whole["usage"]["cache_read_input_tokens"]),
        (&json!("tool_use"), &json!(4))
    );
}

#[test]
fn interleaved_calls_are_rendered_one_after_the_other() {
    let frames = rendered(&[
        begin(0, "look"),
        arguments(0, "{\"at\":"),
        begin(1, "listen"),
        arguments(1, "{}"),
        arguments(0, "1}"),
        begin(2, "smell"),
        done(FinishReason::Length),
    ]);
    let expected = [
        block_start(0, tool_use("call_0", "look")),
        input_delta(0, "{\"at\":"),
        input_delta(0, "1}"),
        block_stop(0),
        block_start(1, tool_use("call_1", "listen")),
        input_delta(1, "{}"),
        block_stop(1),
        block_start(2, tool_use("call_2", "smell")),
        block_stop(2),
    ];
    assert_eq!(frames[1..frames.len() - 2], expected);
}

#[test]
fn finish_reasons_are_renamed_and_incomplete_arguments_are_empty() {
    let cases = [
        (FinishReason::Stop, "end_turn"),
        (FinishReason::Length, "max_tokens"),
        (FinishReason::ToolCalls, "tool_use"),
        (FinishReason::ContentFilter, "refusal"),
    ];
    for (reason, word) in cases {
        assert_eq!(whole(&[text("a"), done(reason)])["stop_reason"], word);
    }
    let cut = whole(&[begin(0, "look"), arguments(0, "{\"at"), begin(1, "look"), done(FinishReason::Length)]);
    let inputs: Vec<_> = cut["content"].as_array().unwrap().iter().map(|block| &block["input"]).collect();
    assert_eq!(inputs, [&json!({}), &json!({})]);
    assert_eq!(whole(&[done(FinishReason::Stop)])["content"], json!([]));
}

#[test]
fn error_is_the_last_event() {
    let failed = RunEventBody::Error { error: ApiError::new(ErrorCode::ProviderRateLimited, "busy") };
    for (end, kind) in [(failed, "rate_limit_error"), (RunEventBody::Cancelled, "api_error")] {
        let frames = rendered(&[text("a"), end.clone()]);
        let last = frames.last().unwrap();
        assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!(kind)));
        assert!(last["request_id"].as_str().unwrap().starts_with("req_"), "{last}");
        assert!(renderer().into_answer(&events(&[text("a"), end])).is_err());
    }
}

#[test]
fn errors_have_the_format_and_types_of_the_dialect() {
    let kind = |code| MessagesError::new(&ApiError::new(code, "no"), "req_1").error.kind;
    let cases = [
        (ErrorCode::InvalidRequest, "invalid_request_error"),
        (ErrorCode::Unauthorized, "authentication_error"),
        (ErrorCode::Forbidden, "permission_error"),
        (ErrorCode::ModelNotFound, "not_found_error"),
        (ErrorCode::PayloadTooLarge, "request_too_large"),
        (ErrorCode::QueueFull, "rate_limit_error"),
        (ErrorCode::ProviderRateLimited, "rate_limit_error"),
        (ErrorCode::Internal, "api_error"),
        (ErrorCode::ProviderTimeout, "timeout_error"),
    ];
    for (code, expected) in cases {
        assert_eq!(kind(code), expected, "{code:?}");
    }
    let error = MessagesError::new(&ApiError::invalid("tools", "no tools").with("limit", 1), "req_1");
    assert_eq!(
        json!(error),
        json!({
            "type": "error",
            "error": {
                "type": "invalid_request_error", "message": "no tools", "code": "invalid_request",
                "param": "tools", "details": {"limit": 1}, "retryable": false,
            },
            "request_id": "req_1",
        })
    );
}

#[test]
fn tokens_are_estimated() {
    let estimate = |fields: Value| {
        let mut body = hello();
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        serde_json::from_value::<CountTokensRequest>(body).unwrap().estimate()
    };
    let tokens = |fields: Value| estimate(fields).unwrap().input_tokens;
    let image = json!({"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}});
    let messages = json!([{"role": "user", "content": [{"type": "text", "text": "12345678"}, image]}]);
    assert_eq!(tokens(json!({})), 5);
    assert_eq!(tokens(json!({"messages": messages})), 4 + 2 + 1600);
    assert_eq!(tokens(json!({"system": "123456789"})), 5 + 4 + 3);
    // `look`, `Looks`, and a schema of 17 bytes.
    assert_eq!(tokens(json!({"tools": [look()]})), 5 + 4 + 1 + 2 + 5);
    assert_eq!(estimate(json!({"messages": []})).unwrap_err().param.as_deref(), Some("messages"));
}

#[test]
fn openapi_has_the_schemas_of_blocks() {
    let mut schemas = Vec::new();
    <MessagesRequest as utoipa::ToSchema>::schemas(&mut schemas);
    let names: Vec<&str> = schemas.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["MessagesTurn", "MessagesContent", "MessagesBlock", "MessagesSource", "MessagesFormat"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
}

/// An event of a run in progress.
fn any_event() -> impl Strategy<Value = RunEventBody> {
    prop_oneof![
        "[a-c]{0,2}".prop_map(|piece| text(&piece)),
        (0..3_u32, "[a-c]{0,2}", any::<bool>(), any::<bool>()).prop_map(
            |(index, piece, signed, encrypted)| {
                reasoning_event(index, &piece, signed.then_some("s"), encrypted.then_some("e"))
            }
        ),
        (0..3_u32).prop_map(|index| begin(index, "look")),
        (0..3_u32, "[{}1]{0,2}").prop_map(|(index, json)| arguments(index, &json)),
    ]
}

proptest! {
    /// Blocks are numbered in order, and each is closed before the next.
    #[test]
    fn blocks_never_overlap(middle in proptest::collection::vec(any_event(), 0..20)) {
        let bodies: Vec<_> = middle.into_iter().chain([done(FinishReason::Stop)]).collect();
        let frames = rendered(&bodies);
        let (mut open, mut next) = (None, 0);
        for frame in &frames[1..frames.len() - 2] {
            let index = frame["index"].as_u64();
            match frame["type"].as_str().unwrap() {
                "content_block_start" => {
                    prop_assert_eq!((open, index), (None, Some(next)));
                    (open, next) = (index, next + 1);
                }
                "content_block_delta" => prop_assert_eq!(open, index),
                "content_block_stop" => {
                    prop_assert_eq!(open, index);
                    open = None;
                }
                other => prop_assert!(false, "{}", other),
            }
        }
        prop_assert_eq!(open, None);
    }
}

/// The content of an answer with this `thinking`: assembled from the stream, and whole.
fn contents(thinking: &Value, events: &[RunEventBody]) -> [Value; 2] {
    let mut blocks = Vec::new();
    for frame in rendered_by(renderer_with(thinking), events) {
        match frame["type"].as_str() {
            Some("content_block_start") => blocks.push(frame["content_block"].clone()),
            Some("content_block_delta") => {
                let block = blocks.last_mut().unwrap();
                for field in ["text", "thinking", "signature"] {
                    if let Some(more) = frame["delta"][field].as_str() {
                        block[field] = json!(format!("{}{more}", block[field].as_str().unwrap()));
                    }
                }
            }
            _ => {}
        }
    }
    let whole = renderer_with(thinking).into_answer(&self::events(events)).unwrap();
    let mut whole = json!(whole)["content"].clone();
    for block in whole.as_array_mut().unwrap() {
        block.as_object_mut().unwrap().remove("citations");
    }
    [json!(blocks), whole]
}

#[test]
fn unrequested_reasoning_is_omitted_without_calls() {
    let reasoning = [
        reasoning_event(0, "Hm.", Some("sig"), None),
        reasoning_event(1, "", None, Some("EncR")),
        text("Hello."),
    ];
    let events = [&reasoning[..], &[done(FinishReason::Stop)]].concat();
    let expected = json!([{"type": "text", "text": "Hello."}]);
    for thinking in [json!(null), json!({"type": "disabled"})] {
        assert_eq!(contents(&thinking, &events), [expected.clone(), expected.clone()]);
    }
}

#[test]
fn unrequested_reasoning_is_redacted_before_calls() {
    let events = [
        reasoning_event(0, "Hm.", Some("sig"), None),
        text("I look."),
        reasoning_event(1, "", None, Some("EncR")),
        reasoning_event(2, "Unsigned.", None, None),
        begin(0, "look"),
        arguments(0, "{}"),
        done(FinishReason::ToolCalls),
    ];
    for content in contents(&json!(null), &events) {
        let kinds: Vec<_> = content.as_array().unwrap().iter().map(|block| block["type"].clone()).collect();
        assert_eq!(
            kinds,
            ["text", "redacted_thinking", "redacted_thinking", "redacted_thinking", "tool_use"],
            "{content}"
        );
        let turn = serde_json::from_value(json!({"role": "assistant", "content": content})).unwrap();
        let turns: Vec<MessagesTurn> = vec![turn];
        let (message, _) = request::conversation(None, turns, false).unwrap().remove(0);
        let signed = Reasoning { text: "Hm.".into(), signature: Some("sig".into()), encrypted: None };
        let encrypted = Reasoning { encrypted: Some("EncR".into()), ..Reasoning::default() };
        let plain = Reasoning { text: "Unsigned.".into(), ..Reasoning::default() };
        assert_eq!(message.reasoning, [signed, encrypted, plain]);
        assert_eq!((message.content.as_str(), message.tool_calls.len()), ("I look.", 1));
    }
}

#[test]
fn omitted_reasoning_has_its_signature() {
    let events = [reasoning_event(0, "Hm.", Some("sig"), None), text("Hello."), done(FinishReason::Stop)];
    let expected = json!([
        {"type": "thinking", "thinking": "", "signature": "sig"}, {"type": "text", "text": "Hello."},
    ]);
    let thinking = json!({"type": "adaptive", "display": "omitted"});
    assert_eq!(contents(&thinking, &events), [expected.clone(), expected]);
}

#[test]
fn thread_is_refused_with_details_for_the_sdks() {
    for thread in [json!({"type": "create"}), json!({"type": "continue", "previous_message_id": "req_1"})] {
        let mut body = hello();
        body["thread"] = thread;
        let request: MessagesRequest = serde_json::from_value(body).unwrap();
        let error = request.into_generation().unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("thread")));
        let expected = json!({"error_code": "thread_unsupported_request", "unsupported": ["thread"]});
        assert_eq!(Value::Object(*error.details), expected);
    }
    let mut body = hello();
    body["thread"] = json!(null);
    let request: MessagesRequest = serde_json::from_value(body).unwrap();
    assert!(!request.into_generation().unwrap().extra.fields.contains_key("thread"));
}

#[test]
fn tools_of_anthropic_are_hosted() {
    let search = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 3});
    let look = json!({"type": "custom", "name": "look", "input_schema": {"type": "object"}});
    let hosted = |fields: Value| {
        let generation = generation(fields).unwrap();
        let Task::Text(task) = generation.task else { panic!("a message is a text") };
        (task, generation.extra.hosted)
    };
    let (task, hosted_tools) = hosted(json!({"tools": [search, look]}));
    assert_eq!((task.tools.len(), task.tools[0].name.as_str()), (1, "look"));
    assert_eq!((hosted_tools.definitions, hosted_tools.needed), (vec![search.clone()], None));

    let choice = json!({"type": "tool", "name": "web_search"});
    let (task, hosted_tools) = hosted(json!({"tools": [search, look], "tool_choice": choice}));
    assert_eq!((task.tool_choice, hosted_tools.choice), (ToolChoice::Auto, Some(choice)));
    assert_eq!(hosted_tools.needed.as_deref(), Some("web_search_20250305"));

    let any = json!({"type": "any"});
    let (task, hosted_tools) = hosted(json!({"tools": [search], "tool_choice": any}));
    assert_eq!((task.tool_choice, hosted_tools.choice), (ToolChoice::Auto, Some(any)));

    // A tool that the client runs and other models don't know is required.
    let (_, hosted_tools) = hosted(json!({"tools": [{"type": "bash_20250124", "name": "bash"}]}));
    assert_eq!(hosted_tools.needed.as_deref(), Some("bash_20250124"));

    let odd = json!({"tools": [search, {"name": "no name", "input_schema": {}}]});
    assert_eq!(generation(odd).unwrap_err().param.as_deref(), Some("tools[1].name"));
}
