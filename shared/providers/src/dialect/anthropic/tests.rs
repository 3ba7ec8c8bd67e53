use std::convert::Infallible;

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response, Sse, sse::Event},
    routing::post,
};
use futures::{StreamExt as _, stream};
use hearth_domain::{
    Attachment, AttachmentContent, ClientDialect, Delivery, Document, DocumentSource, Extra, FinishReason,
    Generation, Image, Message, ModelId, Opaque, PartExtra, PartPlace, PlacedImage, Reasoning,
    ReasoningEffort, ResponseFormat, Role, RunId, Sampling, Secret, TextTask, Tool, ToolCall, ToolChoice,
    Usage,
};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{stream::MessagesDecoder, thinking::Abilities};
use crate::{
    Call, Decoder as _, Endpoint, Frame, HttpProvider, Provider as _, Timeouts,
    dialect::{AnswerMode, Dialect},
    vendor,
};

/// The latest version with samplers and budgets.
const OLD: &str = "claude-sonnet-4-5-20250929";

fn call(model: &str, task: TextTask) -> Call {
    Call {
        run: RunId::new(),
        model: ModelId::new(model),
        generation: Generation::new(None, task).into(),
        delivery: Delivery::Stream,
        trace: Default::default(),
    }
}

fn body(call: &Call, task: &TextTask) -> Result<Value, ApiError> {
    Dialect::Anthropic.body(call, task, AnswerMode::Stream).map(|body| body.to_value())
}

fn body_for(model: &str, task: &TextTask) -> Value {
    body(&call(model, task.clone()), task).unwrap()
}

fn refused(task: &TextTask) -> ApiError {
    body(&call(OLD, task.clone()), task).unwrap_err()
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn assistant(text: &str) -> Message {
    Message::new(Role::Assistant, text)
}

fn tool_call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "look".into(), arguments: arguments.into() }
}

fn result(id: &str, text: &str) -> Message {
    Message { tool_call_id: Some(id.into()), ..Message::new(Role::Tool, text) }
}

fn signed(text: &str) -> Reasoning {
    Reasoning { text: text.into(), signature: Some("sealed".into()), encrypted: None }
}

fn look() -> Tool {
    Tool { name: "look".into(), description: Some("Looks".into()), parameters: json!({}), strict: false }
}

fn hello() -> TextTask {
    TextTask::new(vec![user("Hi")], Sampling::default())
}

fn limited(max_tokens: u32) -> Sampling {
    Sampling { max_tokens: Some(max_tokens), ..Sampling::default() }
}

#[test]
fn every_kind_of_message_is_converted() {
    let image = |at, url: &str| PlacedImage { at, image: Image::at(url) };
    let hidden = Reasoning { encrypted: Some("EncR".into()), ..Reasoning::default() };
    let foreign = Reasoning { text: "another vendor's".into(), ..Reasoning::default() };
    let messages = vec![
        Message::new(Role::System, "Be brief."),
        Message { images: vec![image(5, "https://example.org/a.png")], ..user("What is this?") },
        Message {
            reasoning: vec![signed("Hm."), hidden, foreign],
            tool_calls: vec![tool_call("a", "{\"at\":1}"), tool_call("functions-look-2", "")],
            ..assistant("I look.")
        },
        Message { images: vec![image(9, "data:image/png;base64,AAAA")], ..result("a", "a cat") },
        Message { failed: true, ..result("functions-look-2", "") },
        user("And?"),
        Message::new(Role::System, "Be kind."),
        user(" \n"),
        assistant("A cat."),
        user("Sure?"),
    ];
    let sampling = Sampling {
        temperature: Some(0.7),
        top_p: Some(0.9),
        top_k: Some(3),
        seed: Some(7),
        stop: vec!["X".into()],
        ..limited(9)
    };
    let task = TextTask {
        tools: vec![look()],
        tool_choice: ToolChoice::Required,
        parallel_tool_calls: false,
        ..TextTask::new(messages, sampling)
    };
    assert_eq!(
        body_for(OLD, &task),
        json!({
            "model": OLD,
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "What "},
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                    {"type": "text", "text": "is this?"},
                ]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "sealed"},
                    {"type": "redacted_thinking", "data": "EncR"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "a", "name": "look", "input": {"at": 1}},
                    {"type": "tool_use", "id": "functions-look-2", "name": "look", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [
                        {"type": "text", "text": "a cat"},
                        {"type": "image", "source":
                            {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                    ]},
                    {"type": "tool_result", "tool_use_id": "functions-look-2", "is_error": true},
                    {"type": "text", "text": "And?"},
                ]},
                {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
                {"role": "user", "content": [{"type": "text", "text": "Sure?"}]},
            ],
            "stream": true,
            "system": "Be brief.\n\nBe kind.",
            "tools": [{"name": "look", "description": "Looks", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "max_tokens": 9,
            "stop_sequences": ["X"],
            "temperature": 0.7, "top_p": 0.9, "top_k": 3,
        })
    );
}

#[test]
fn tool_results_come_before_other_blocks() {
    let call = Message { tool_calls: vec![tool_call("a", "{}")], ..assistant("") };
    let messages = vec![user("Hi"), call, user("Wait."), result("a", "a cat")];
    let body = body_for(OLD, &TextTask::new(messages, Sampling::default()));
    let kinds: Vec<_> =
        body["messages"][2]["content"].as_array().unwrap().iter().map(|b| &b["type"]).collect();
    assert_eq!(kinds, ["tool_result", "text"]);
    // Definitions of the called tools, since the request has none.
    assert_eq!(body["tools"], json!([{"name": "look", "input_schema": {"type": "object"}}]));
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

#[test]
fn tool_choice_is_converted() {
    let cases = [
        (ToolChoice::Auto, true, Value::Null),
        (ToolChoice::Auto, false, json!({"type": "auto", "disable_parallel_tool_use": true})),
        (ToolChoice::None, false, json!({"type": "none"})),
        (ToolChoice::Required, true, json!({"type": "any"})),
        (ToolChoice::Named("look".into()), true, json!({"type": "tool", "name": "look"})),
    ];
    for (tool_choice, parallel_tool_calls, expected) in cases {
        let task = TextTask { tools: vec![look()], tool_choice, parallel_tool_calls, ..hello() };
        assert_eq!(body_for(OLD, &task)["tool_choice"], expected);
    }
}

#[test]
fn thinking_settings_depend_on_the_version() {
    let adaptive = json!({"type": "adaptive", "display": "summarized"});
    let enabled = |budget: u32| json!({"type": "enabled", "budget_tokens": budget});
    let none = Value::Null;
    let (low, high) = (json!({"effort": "low"}), json!({"effort": "high"}));
    let cases = [
        (OLD, None, None, &none, &none, 4096),
        (OLD, Some(ReasoningEffort::None), None, &none, &none, 4096),
        (OLD, Some(ReasoningEffort::Minimal), None, &enabled(1024), &none, 5120),
        (OLD, Some(ReasoningEffort::Low), Some(100), &enabled(4096), &none, 4196),
        (OLD, Some(ReasoningEffort::High), None, &enabled(24_576), &none, 28_672),
        (OLD, Some(ReasoningEffort::High), Some(30_000), &enabled(24_576), &none, 30_000),
        (OLD, Some(ReasoningEffort::Tokens(7)), Some(2000), &enabled(1024), &none, 2000),
        ("claude-opus-4-6", Some(ReasoningEffort::High), Some(50), &adaptive, &high, 50),
        ("claude-opus-4-6", Some(ReasoningEffort::None), None, &none, &none, 4096),
        ("claude-opus-5-5", Some(ReasoningEffort::Tokens(2000)), None, &adaptive, &low, 6096),
        ("claude-opus-5-5", Some(ReasoningEffort::None), None, &none, &low, 8192),
        ("claude-opus-5-5", None, None, &none, &none, 20_480),
    ];
    for (model, reasoning, limit, thinking, config, max_tokens) in cases {
        let sampling = Sampling { max_tokens: limit, temperature: Some(0.5), ..Sampling::default() };
        let task = TextTask { reasoning, ..TextTask::new(vec![user("Hi")], sampling) };
        let body = body_for(model, &task);
        assert_eq!((&body["thinking"], &body["output_config"]), (thinking, config), "{model} {reasoning:?}");
        assert_eq!(body["max_tokens"], max_tokens, "{model} {reasoning:?}");
        let samples = thinking.is_null() && !model.contains("-5-5");
        assert_eq!(body.get("temperature").is_some(), samples, "{model} {reasoning:?}");
    }
}

#[test]
fn version_is_parsed_from_the_name() {
    let (budgets, both, newer) = ((false, true, false), (true, true, false), (true, false, false));
    let newest = (true, false, true);
    let cases = [
        ("claude-3-7-sonnet-20250219", budgets),
        ("claude-opus-4-20250514", budgets),
        ("claude-haiku-4-5", budgets),
        ("us.anthropic.claude-opus-4-6-v1:0", both),
        ("anthropic/claude-opus-4.7", newer),
        ("claude-opus-5", newest),
        ("claude-sonnet-latest", newest),
        ("another-model-9", budgets),
    ];
    for (model, expected) in cases {
        let Abilities { by_effort, samplers, always } = Abilities::of(model);
        assert_eq!((by_effort, samplers, always), expected, "{model}");
    }
}

#[test]
fn forced_call_and_lost_thoughts_switch_thinking_off() {
    let thinks = |messages: &[Message], tool_choice: ToolChoice| {
        let task = TextTask {
            reasoning: Some(ReasoningEffort::Low),
            tools: vec![look()],
            tool_choice,
            ..TextTask::new(messages.to_vec(), Sampling::default())
        };
        body_for(OLD, &task).get("thinking").is_some()
    };
    let call = Message { tool_calls: vec![tool_call("a", "{}")], ..assistant("") };
    let thought = Message { reasoning: vec![signed("Hm.")], ..call.clone() };
    let result = result("a", "a cat");
    assert!(thinks(&[user("Hi")], ToolChoice::Auto));
    assert!(!thinks(&[user("Hi")], ToolChoice::Required));
    assert!(thinks(&[user("Hi"), thought, result.clone()], ToolChoice::Auto));
    assert!(!thinks(&[user("Hi"), call.clone(), result.clone()], ToolChoice::Auto));
    assert!(thinks(&[user("Hi"), call, result, assistant("A cat."), user("So?")], ToolChoice::Auto));
    assert!(!thinks(&[user("Hi"), assistant("It is")], ToolChoice::Auto));
}

#[test]
fn schema_is_closed() {
    let schema = json!({
        "type": "object",
        "properties": {
            "at": {"type": "array", "items": {"type": "object", "properties": {}}},
            "open": {"type": "object", "additionalProperties": {"type": "string"}},
            "kind": {"const": {"type": "object"}},
        },
    });
    let closed = json!({
        "type": "object",
        "properties": {
            "at": {"type": "array", "items": {"type": "object", "properties": {}, "additionalProperties": false}},
            "open": {"type": "object", "additionalProperties": {"type": "string"}},
            "kind": {"const": {"type": "object"}},
        },
        "additionalProperties": false,
    });
    let strict = Tool { parameters: schema.clone(), strict: true, ..look() };
    let response_format = ResponseFormat::JsonSchema(schema);
    let body = body_for(OLD, &TextTask { response_format, tools: vec![strict], ..hello() });
    assert_eq!(body["output_config"], json!({"format": {"type": "json_schema", "schema": closed}}));
    assert_eq!((&body["tools"][0]["input_schema"], &body["tools"][0]["strict"]), (&closed, &json!(true)));
}

#[test]
fn fields_of_a_client_of_this_dialect_are_passed_on() {
    let fields = json!({
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}, "metadata": {"user_id": "u"},
        "stream": false,
    });
    let task = TextTask {
        reasoning: Some(ReasoningEffort::Low),
        response_format: ResponseFormat::JsonSchema(json!({"type": "object"})),
        ..TextTask::new(vec![user("Hi")], Sampling { temperature: Some(0.5), ..limited(9) })
    };
    let with = |dialect| {
        let mut call = call("claude-opus-4-6", task.clone());
        std::sync::Arc::make_mut(&mut call.generation).extra =
            Extra::new(dialect, fields.as_object().unwrap().clone());
        body(&call, &task).unwrap()
    };
    let own = with(ClientDialect::Anthropic);
    assert_eq!(
        (&own["thinking"], &own["metadata"]),
        (&json!({"type": "adaptive"}), &json!({"user_id": "u"}))
    );
    assert_eq!((&own["output_config"]["effort"], &own["stream"]), (&json!("max"), &json!(true)));
    assert_eq!(own["output_config"]["format"]["type"], "json_schema");
    assert!(own.get("temperature").is_none(), "{own}");
    let foreign = with(ClientDialect::OpenAiChat);
    assert_eq!((foreign.get("metadata"), &foreign["output_config"]["effort"]), (None, &json!("low")));
}

#[test]
fn inexpressible_field_is_rejected_by_name() {
    let broken = Message { tool_calls: vec![tool_call("a", "{\"at\":")], ..assistant("") };
    let cases = [
        (TextTask::new(vec![Message::new(Role::System, "Be brief.")], Sampling::default()), "messages"),
        (TextTask::new(vec![user("Hi"), broken], Sampling::default()), "messages"),
    ];
    for (task, param) in cases {
        let error = refused(&task);
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some(param)), "{error}");
    }
}

#[test]
fn blocks_of_a_client_of_this_dialect_are_passed_on() {
    let fields = |value: Value| value.as_object().unwrap().clone();
    let mark = json!({"type": "ephemeral"});
    let attached = |at, content| Attachment { at, images_before: 0, content };
    let used = json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}});
    let source = DocumentSource::Data { media_type: "application/pdf".into(), data: "AAAA".into() };
    let marked = |of| PartExtra { of, fields: fields(json!({"cache_control": mark})) };
    let messages = vec![
        Message {
            attachments: vec![attached(1, AttachmentContent::Break(2))],
            extra: vec![marked(PartPlace::Part(1))],
            ..Message::new(Role::System, "A\n\nB")
        },
        Message {
            attachments: vec![attached(
                0,
                AttachmentContent::Document(Document { source, name: Some("A".into()) }),
            )],
            extra: vec![marked(PartPlace::Part(0))],
            ..user("Sum up.")
        },
        Message {
            attachments: vec![attached(
                0,
                AttachmentContent::Opaque(Opaque { param: "x".into(), value: used.clone() }),
            )],
            extra: vec![marked(PartPlace::Call(0))],
            tool_calls: vec![tool_call("a", "{}")],
            ..assistant("")
        },
        Message { extra: vec![marked(PartPlace::Message)], ..result("a", "x") },
    ];
    let mut task = TextTask { tools: vec![look()], ..TextTask::new(messages, limited(9)) };
    task.tool_extra.insert("look".into(), fields(json!({"cache_control": mark, "defer_loading": true})));
    let with = |dialect| {
        let mut call = call(OLD, task.clone());
        std::sync::Arc::make_mut(&mut call.generation).extra = Extra::new(dialect, serde_json::Map::new());
        body(&call, &task).unwrap()
    };
    let own = with(ClientDialect::Anthropic);
    assert_eq!(
        own["system"],
        json!([{"type": "text", "text": "A"}, {"type": "text", "text": "B", "cache_control": mark}])
    );
    let pdf = json!({"type": "document", "title": "A", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}});
    let with_mark = |mut block: Value| {
        block["cache_control"] = mark.clone();
        block
    };
    assert_eq!(
        own["messages"],
        json!([
            {"role": "user", "content": [with_mark(pdf.clone()), {"type": "text", "text": "Sum up."}]},
            {"role": "assistant", "content": [used, with_mark(json!({"type": "tool_use", "id": "a", "name": "look", "input": {}}))]},
            {"role": "user", "content": [with_mark(json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "x"}]}))]},
        ])
    );
    assert_eq!(own["tools"][0]["defer_loading"], true);
    // OpenAI's dialect has the same cache marks at OpenRouter; other fields aren't passed on.
    let chat = with(ClientDialect::OpenAiChat);
    assert_eq!(chat["messages"][0]["content"][0], with_mark(pdf));
    assert_eq!(chat["tools"][0].get("defer_loading"), None);
    assert_eq!(chat["tools"][0]["cache_control"], mark);
    assert_eq!(with(ClientDialect::Native)["system"], "A\n\nB");
}

#[test]
fn reasoning_texts_blocks_and_calls_keep_their_order() {
    let used = json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}});
    let mark = json!({"type": "ephemeral"});
    let place = |at, content| Attachment { at, images_before: 0, content };
    let signed = |signature: &str| Reasoning { signature: Some(signature.into()), ..Reasoning::default() };
    let marked = |of| PartExtra { of, fields: json!({"cache_control": mark}).as_object().unwrap().clone() };
    let message = Message {
        attachments: vec![
            place(1, AttachmentContent::Call),
            place(1, AttachmentContent::Reasoning),
            place(1, AttachmentContent::Opaque(Opaque { param: "x".into(), value: used.clone() })),
        ],
        reasoning: vec![signed("A"), signed("B")],
        tool_calls: vec![tool_call("t1", "{}"), tool_call("t2", "{}")],
        extra: vec![marked(PartPlace::Part(2)), marked(PartPlace::Call(0))],
        ..assistant("ab")
    };
    let task = TextTask { tools: vec![look()], ..TextTask::new(vec![user("Hi"), message], limited(9)) };
    let mut call = call(OLD, task.clone());
    std::sync::Arc::make_mut(&mut call.generation).extra =
        Extra::new(ClientDialect::Anthropic, serde_json::Map::new());
    let thinking = |signature: &str| json!({"type": "thinking", "thinking": "", "signature": signature});
    let tool_use = |id: &str| json!({"type": "tool_use", "id": id, "name": "look", "input": {}});
    let mut first_call = tool_use("t1");
    first_call["cache_control"] = mark.clone();
    assert_eq!(
        body(&call, &task).unwrap()["messages"][1]["content"],
        json!([
            thinking("A"),
            {"type": "text", "text": "a"},
            first_call,
            thinking("B"),
            used,
            {"type": "text", "text": "b", "cache_control": mark},
            tool_use("t2"),
        ])
    );
}

/// The events of a stream of these frames, to its end.
fn events(frames: &[Value]) -> Result<Vec<RunEventBody>, ApiError> {
    let mut decoder = MessagesDecoder::default();
    let mut events = Vec::new();
    for frame in frames {
        let name = frame["type"].as_str().unwrap_or_default();
        decoder.decode(Frame { event: name, data: &frame.to_string() }, &mut events)?;
        if events.last().is_some_and(RunEventBody::is_terminal) {
            return Ok(events);
        }
    }
    events.extend(decoder.end()?);
    Ok(events)
}

fn start() -> Value {
    let usage = json!({"input_tokens": 3, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 5, "output_tokens": 1});
    let message =
        json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": usage});
    json!({"type": "message_start", "message": message})
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn begin(index: u32, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn delta(index: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn close(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn stop(reason: &str) -> [Value; 2] {
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    let usage = json!({"output_tokens": 15, "output_tokens_details": {"thinking_tokens": 2}});
    [json!({"type": "message_delta", "delta": delta, "usage": usage}), json!({"type": "message_stop"})]
}

#[test]
fn blocks_of_the_provider_without_their_ends_stay_in_order() {
    let mut frames = vec![
        start(),
        begin(0, json!({"type": "text", "text": "I search."})),
        begin(1, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
        delta(1, json!({"type": "input_json_delta", "partial_json": "{\"query\":1}"})),
        begin(2, json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": []})),
        begin(3, json!({"type": "text", "text": ""})),
        delta(3, json!({"type": "text_delta", "text": "Found."})),
    ];
    frames.extend(stop("end_turn"));
    let kinds: Vec<String> = events(&frames)
        .unwrap()
        .iter()
        .map(|event| {
            let event = serde_json::to_value(event).unwrap();
            let kind = &event["extension"]["item"]["type"];
            kind.as_str().or(event["event"].as_str()).unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds, ["delta", "server_tool_use", "web_search_tool_result", "delta", "usage", "done"]);
}

#[test]
fn thoughts_text_calls_and_usage_are_decoded() {
    let mut frames = vec![
        start(),
        json!({"type": "ping"}),
        begin(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
        delta(0, json!({"type": "signature_delta", "signature": "sealed"})),
        close(0),
        begin(1, json!({"type": "redacted_thinking", "data": "EncR"})),
        close(1),
        begin(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "It"})),
        delta(2, json!({"type": "citations_delta", "citation": {"cited_text": "a"}})),
        close(2),
        begin(3, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{}"})),
        close(3),
        begin(4, json!({"type": "tool_use", "id": "a", "name": "f", "input": {}})),
        delta(4, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(4, json!({"type": "input_json_delta", "partial_json": "{\"x\":"})),
        delta(4, json!({"type": "input_json_delta", "partial_json": "1}"})),
        close(4),
        begin(5, json!({"type": "tool_use", "id": "b", "name": "g", "input": {}})),
        close(5),
        json!({"type": "a_new_event", "what": "ever"}),
    ];
    frames.extend(stop("tool_use"));
    let emitted: Vec<Value> =
        events(&frames).unwrap().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    let usage = Usage {
        prompt_tokens: 12,
        completion_tokens: 15,
        cached_tokens: 5,
        cache_write_tokens: 4,
        reasoning_tokens: 2,
    };
    assert_eq!(
        emitted,
        [
            json!({"event": "reasoning", "index": 0, "text": "Hm."}),
            json!({"event": "reasoning", "index": 0, "text": "", "signature": "sealed"}),
            json!({"event": "reasoning", "index": 1, "text": "", "encrypted": "EncR"}),
            json!({"event": "delta", "text": "It"}),
            json!({"event": "extension", "dialect": "anthropic", "extension": {"annotation": {"cited_text": "a"}}}),
            json!({"event": "extension", "dialect": "anthropic", "extension": {"item": {
                "type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}}}),
            json!({"event": "tool_call", "index": 0, "begins": {"id": "a", "name": "f"}, "arguments": ""}),
            json!({"event": "tool_call", "index": 0, "arguments": "{\"x\":"}),
            json!({"event": "tool_call", "index": 0, "arguments": "1}"}),
            json!({"event": "tool_call", "index": 1, "begins": {"id": "b", "name": "g"}, "arguments": ""}),
            json!({"event": "tool_call", "index": 1, "arguments": "{}"}),
            serde_json::to_value(RunEventBody::Usage { usage }).unwrap(),
            json!({"event": "done", "finish_reason": "tool_calls"}),
        ]
    );
}

#[test]
fn stop_reason_maps_to_finish_reason() {
    let cases = [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("pause_turn", FinishReason::Length),
        ("compaction", FinishReason::Length),
        ("refusal", FinishReason::ContentFilter),
    ];
    for (word, finish_reason) in cases {
        let frames: Vec<Value> = [start()].into_iter().chain(stop(word)).collect();
        assert_eq!(events(&frames).unwrap().last(), Some(&RunEventBody::Done { finish_reason }), "{word}");
    }
}

#[test]
fn unknown_stop_reason_is_an_error_that_shows_it() {
    let frames: Vec<Value> = [start()].into_iter().chain(stop("something_new")).collect();
    let error = events(&frames).unwrap_err();
    assert!(error.code == ErrorCode::ProviderError && error.message.contains("something_new"), "{error}");
}

#[test]
fn tool_call_overrides_the_stop_reason() {
    let call = begin(0, json!({"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}));
    let frames: Vec<Value> = [start(), call].into_iter().chain(stop("end_turn")).collect();
    let events = events(&frames).unwrap();
    assert_eq!(events.last(), Some(&RunEventBody::Done { finish_reason: FinishReason::ToolCalls }));
    // Arguments that come with the block's beginning count where none follow, and the block's end may be missing.
    let arguments = |event: &RunEventBody| match event {
        RunEventBody::ToolCall { arguments, .. } => arguments.clone(),
        _ => String::new(),
    };
    assert_eq!(events.iter().map(arguments).collect::<String>(), "{\"x\":1}");
}

#[test]
fn blocks_without_first_frame_or_index_are_decoded() {
    let mut frames = vec![
        start(),
        json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
        json!({"type": "content_block_delta", "index": null, "delta": {"type": "thinking_delta", "thinking": "b"}}),
        json!({"type": "content_block_start", "content_block": {"type": "tool_use", "id": "c", "name": "f"}}),
        json!({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        json!({"type": "content_block_stop"}),
    ];
    frames.extend(stop("tool_use"));
    let kinds: Vec<Value> = events(&frames)
        .unwrap()
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["event"].clone())
        .collect();
    assert_eq!(kinds, ["delta", "reasoning", "tool_call", "tool_call", "usage", "done"]);
}

#[test]
fn error_event_and_early_end_are_errors() {
    let error = |kind: &str| {
        let error = json!({"type": kind, "message": "Overloaded"});
        events(&[start(), json!({"type": "error", "error": error})]).unwrap_err().code
    };
    let cases = [
        ("overloaded_error", ErrorCode::ProviderRateLimited),
        ("rate_limit_error", ErrorCode::ProviderRateLimited),
        ("authentication_error", ErrorCode::ProviderAuth),
        ("invalid_request_error", ErrorCode::InvalidRequest),
        ("timeout_error", ErrorCode::ProviderTimeout),
        ("api_error", ErrorCode::ProviderError),
        ("another", ErrorCode::ProviderError),
    ];
    for (kind, code) in cases {
        assert_eq!(error(kind), code, "{kind}");
    }
    let begun = [start(), begin(0, json!({"type": "text", "text": "a"}))];
    assert!(events(&begun).unwrap_err().message.contains("broke off"));
    let stray = [start(), delta(0, json!({"type": "input_json_delta", "partial_json": "{"}))];
    assert!(events(&stray).unwrap_err().message.contains("didn't begin"));
    assert!(events(&[json!(["no event"])]).is_err());
}

/// A vendor's server, which rejects requests without the expected headers and model.
async fn vendor_answers(headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let expected = [("x-api-key", "sk-ant-1"), ("anthropic-version", "2023-06-01")];
    let opened = expected.iter().all(|(name, value)| headers.get(*name).is_some_and(|is| is == value));
    if !opened || body["model"] != OLD || body["stream"] != true {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let block = begin(0, json!({"type": "text", "text": "Hello"}));
    let frames = [start(), block, close(0)].into_iter().chain(stop("end_turn"));
    let frames = frames.map(|frame| {
        let name = frame["type"].as_str().unwrap_or_default().to_owned();
        Ok::<_, Infallible>(Event::default().event(name).data(frame.to_string()))
    });
    Sse::new(stream::iter(frames)).into_response()
}

#[tokio::test]
async fn request_has_the_key_and_the_version() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let router = Router::new().route("/v1/messages", post(vendor_answers));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let vendor = vendor::of_kind("anthropic").unwrap();
    let (name, timeouts) = ("claude".to_owned(), Timeouts::default());
    let endpoint = Endpoint {
        name,
        vendor,
        auth: vendor.auth,
        dialect: vendor.dialect,
        base_url,
        key: Some(Secret::new("sk-ant-1")),
        region: None,
        signs_as_process: false,
        timeouts,
    };
    let provider = HttpProvider::new(endpoint, crate::vendor_client().unwrap());
    let events: Vec<_> = provider.generate(call(OLD, hello())).await.unwrap().collect().await;
    server.abort();
    assert_eq!(events[1], RunEventBody::text("Hello"));
    assert_eq!(events.last(), Some(&RunEventBody::Done { finish_reason: FinishReason::Stop }));
}

proptest! {
    /// For any messages in any order, the turns alternate and none is empty.
    #[test]
    fn turns_alternate(messages in proptest::collection::vec((0..4_u8, "[a \n]{0,3}"), 1..12)) {
        let messages = messages.iter().map(|(role, text)| match role {
            0 => Message::new(Role::System, text.as_str()),
            1 => user(text),
            2 => Message { tool_calls: vec![tool_call("a", "{}")], ..assistant(text) },
            _ => result("a", text),
        });
        let task = TextTask::new(messages.collect(), Sampling::default());
        if let Ok(body) = body(&call(OLD, task.clone()), &task) {
            let turns = body["messages"].as_array().unwrap();
            prop_assert!(turns.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"]));
            prop_assert!(turns.iter().all(|turn| !turn["content"].as_array().unwrap().is_empty()));
        }
    }
}
