use hearth_domain::{
    ClientDialect, DocumentSource, FinishReason, Image, Logprob, Message, Modality, PlacedImage, Priority,
    Reasoning, ReasoningEffort, ResponseFormat, Role, Run, RunId, RunState, Task, TextTask, Timestamp,
    TokenLogprob, ToolCall, ToolChoice, Usage, UserId,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    event::{Selected, ToolCallBegin},
    stream::{Frame, Render as _},
};

/// A request with these fields.
#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn request(fields: Value) -> ResponsesRequest {
    let mut body = json!({"model": "auto", "input": "hi"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

fn turn(fields: Value) -> Result<Turn, ApiError> {
    request(fields).into_turn(Vec::new())
}

fn task(fields: Value) -> TextTask {
    match turn(fields).unwrap().generation.task {
        Task::Text(task) => task,
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn said(input: Value) -> Vec<Message> {
    turn(json!({"input": input})).unwrap().said
}

fn weather() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}, "at": {}}});
    json!({"type": "function", "name": "get_weather", "parameters": parameters})
}

fn called(id: &str) -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": id, "name": "get_weather", "arguments": "{}", "status": "completed"})
}

#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn gave(id: &str, output: Value) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": output})
}

#[test]
fn fields_left_out_ask_for_one_plain_text() {
    let plain = task(json!({}));
    assert_eq!(
        plain,
        TextTask::new(vec![Message::new(Role::User, "hi")], hearth_domain::Sampling::default())
    );
    let null = task(json!({
        "tools": null, "tool_choice": null, "parallel_tool_calls": null, "text": null, "reasoning": null,
        "instructions": null, "metadata": null, "include": null, "previous_response_id": null,
        "stream": null, "store": null, "top_logprobs": null, "prompt": null, "colour": {"unknown": true},
    }));
    assert_eq!(null, plain);
    assert!(request(json!({})).keeps() && !request(json!({"store": false})).keeps());
}

#[test]
fn every_kind_of_item_is_part_of_the_conversation() {
    let messages = said(json!([
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "What "},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
            {"type": "input_text", "text": "is it?"},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
        called("c1"),
        called("c2"),
        gave("c2", json!("warm")),
        gave("c1", json!([{"type": "input_text", "text": "see "}, {"type": "input_image", "image_url": "https://example.org/a.png"}])),
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]));
    let call = |id: &str| ToolCall { id: id.into(), name: "get_weather".into(), arguments: "{}".into() };
    let result = |id: &str, text: &str| Message {
        tool_call_id: Some(id.into()),
        name: Some("get_weather".into()),
        ..Message::new(Role::Tool, text)
    };
    let image = Image { detail: Some("low".into()), ..Image::at("data:image/png;base64,AAAA") };
    let shown = PlacedImage { at: 4, image: Image::at("https://example.org/a.png") };
    let expected = [
        Message::new(Role::System, "Be brief."),
        Message { images: vec![PlacedImage { at: 5, image }], ..Message::new(Role::User, "What is it?") },
        Message {
            reasoning: vec![Reasoning {
                text: "Hm.".into(),
                signature: None,
                encrypted: Some("gAAA".into()),
            }],
            tool_calls: vec![call("c1"), call("c2")],
            ..Message::new(Role::Assistant, "I look.")
        },
        result("c2", "warm"),
        Message { images: vec![shown], ..result("c1", "see ") },
        Message::new(Role::Assistant, "No."),
    ];
    assert_eq!(messages, expected);
}

#[test]
fn turns_of_the_assistant_are_told_apart() {
    let says = |text: &str| json!({"role": "assistant", "content": text});
    let thinks =
        json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]});
    let cases = [
        (json!([says("a"), says("b")]), 2),
        (json!([says("a"), thinks, says("b")]), 2),
        (json!([says("a"), thinks, called("1")]), 2),
        (json!([thinks, thinks, says("a"), called("1")]), 1),
        (json!([thinks, called("1"), thinks, called("2")]), 1),
        (json!([called("1"), says("a")]), 1),
        (json!([called("1"), gave("1", json!("x")), called("2")]), 3),
    ];
    for (items, count) in cases {
        assert_eq!(said(items.clone()).len(), count, "{items}");
    }
}

#[test]
fn instructions_hold_for_one_turn_and_the_conversation_for_all() {
    let earlier = vec![Message::new(Role::User, "1"), Message::new(Role::Assistant, "2")];
    let turn = request(json!({"input": "3", "instructions": "Count."})).into_turn(earlier).unwrap();
    let texts = |messages: &[Message]| messages.iter().map(|m| m.content.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&turn.said), ["1", "2", "3"]);
    let Task::Text(task) = turn.generation.task else { panic!("no text") };
    assert_eq!(texts(&task.messages), ["Count.", "1", "2", "3"]);
    assert_eq!(task.messages[0].role, Role::System);

    let id = RunId::new();
    let previous = |id: &str| request(json!({"previous_response_id": id})).previous();
    assert_eq!(previous(&id.to_string()), Ok(Some(id)));
    let unknown = previous("resp_123").unwrap_err();
    assert_eq!((unknown.code, unknown.param.as_deref()), (ErrorCode::NotFound, Some("previous_response_id")));
}

#[test]
fn tools_and_their_choice_reach_the_task() {
    let add = json!({"type": "function", "name": "add", "description": "Adds", "strict": true});
    let tools = json!([weather(), add]);
    let of = task(json!({"tools": tools, "parallel_tool_calls": false}));
    assert_eq!((of.tools.len(), of.parallel_tool_calls, of.tool_choice), (2, false, ToolChoice::Auto));
    assert_eq!((of.tools[0].name.as_str(), of.tools[0].strict), ("get_weather", false));
    assert_eq!(of.tools[1].parameters, json!({"type": "object", "properties": {}}));
    assert!(of.tools[1].strict);
    let cases = [
        (json!("none"), ToolChoice::None, 2),
        (json!("required"), ToolChoice::Required, 2),
        (json!({"type": "function", "name": "add"}), ToolChoice::Named("add".into()), 2),
        (
            json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]}),
            ToolChoice::Required,
            1,
        ),
    ];
    for (choice, expected, count) in cases {
        let of = task(json!({"tools": tools, "tool_choice": choice}));
        assert_eq!((of.tool_choice, of.tools.len()), (expected, count), "{choice}");
    }
}

#[test]
fn how_to_answer_reaches_the_task() {
    let schema = json!({"type": "object", "properties": {"z": {}, "a": {}}});
    let of = task(json!({
        "text": {"format": {"type": "json_schema", "name": "s", "schema": schema, "strict": true}},
        "reasoning": {"effort": "high"}, "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 64,
        "stop": "X", "seed": 7, "include": ["message.output_text.logprobs"],
    }));
    assert_eq!(
        (of.response_format, of.reasoning),
        (ResponseFormat::JsonSchema(schema), Some(ReasoningEffort::High))
    );
    let sampling = of.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.max_tokens), (Some(0.5), Some(0.9), Some(64)));
    assert_eq!((sampling.stop, sampling.seed, of.top_logprobs), (vec!["X".to_owned()], Some(7), Some(0)));
    assert_eq!(task(json!({"top_logprobs": 3})).top_logprobs, Some(3));
    assert_eq!(
        task(json!({"text": {"format": {"type": "json_object"}}})).response_format,
        ResponseFormat::JsonObject
    );

    let turn = turn(json!({
        "priority": "high", "service_tier": "flex", "text": {"verbosity": "low"}, "truncation": "auto",
        "reasoning": {"effort": "low", "summary": "auto"},
    }));
    let generation = turn.unwrap().generation;
    assert_eq!(
        (generation.priority, generation.extra.dialect),
        (Priority::High, ClientDialect::OpenAiResponses)
    );
    let expected = json!({
        "service_tier": "flex", "text": {"verbosity": "low"}, "reasoning": {"summary": "auto"},
        "truncation": "auto",
    });
    assert_eq!(json!(generation.extra.fields), expected);
}

#[test]
fn documents_and_unknown_parts_are_kept() {
    let file = json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="});
    let link = json!({"type": "input_file", "file_url": "https://example.org/a.pdf"});
    let stored = json!({"type": "input_file", "file_id": "file_1"});
    let of = task(json!({
        "input": [{"role": "user", "content": [file, link, stored, {"type": "input_text", "text": "Sum up."}]}],
    }));
    let sources: Vec<_> = of.messages[0].documents().map(|document| document.source.clone()).collect();
    let data = DocumentSource::Data { media_type: "application/pdf".into(), data: "JVBERg==".into() };
    assert_eq!(sources, [data, DocumentSource::Url("https://example.org/a.pdf".into())]);
    let kept: Vec<_> = of.messages[0].opaque_parts().map(|part| (part.param.as_str(), &part.value)).collect();
    assert_eq!(kept, [("input[0].content[2]", &stored)]);
}

#[test]
fn what_cannot_be_served_is_refused_with_the_fields_name() {
    let user = json!({"role": "user", "content": "hi"});
    let part = |part: Value| json!({"input": [{"role": "user", "content": [part]}]});
    let cases = [
        (json!({"input": []}), "input"),
        (json!({"input": null}), "input"),
        (json!({"input": [user, {"role": "user"}]}), "input[1].content"),
        (json!({"input": [{"content": "hi"}]}), "input[0].role"),
        (json!({"input": [{"type": "computer_call", "id": "ws_1"}]}), "input[0].type"),
        (json!({"input": [user, gave("c1", json!("21"))]}), "input[1].call_id"),
        (json!({"input": [{"type": "function_call", "call_id": "c1", "name": "f"}]}), "input[0].arguments"),
        (
            json!({"input": [called("c1"), {"type": "function_call_output", "call_id": "c1"}]}),
            "input[1].output",
        ),
        (
            json!({"input": [{"type": "reasoning", "summary": [{"type": "summary_text"}]}]}),
            "input[0].summary[0].text",
        ),
        (part(json!({"type": "input_image"})), "input[0].content[0].image_url"),
        (part(json!({"type": "input_file", "file_data": "JVBERg=="})), "input[0].content[0].file_data"),
        (part(json!({"type": "input_text"})), "input[0].content[0].text"),
        (json!({"tools": [weather(), {"type": "image_generation"}]}), "tools[1].type"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"tools": [weather(), weather()]}), "tools[1].name"),
        (json!({"tools": [{"type": "function", "name": "f", "parameters": []}]}), "tools[0].parameters"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"tools": [weather()], "tool_choice": {"type": "file_search"}}), "tool_choice.type"),
        (json!({"tools": [weather()], "tool_choice": {"type": "function"}}), "tool_choice.name"),
        (
            json!({"tools": [weather()], "tool_choice": {"type": "allowed_tools", "mode": "auto"}}),
            "tool_choice.tools",
        ),
        (
            json!({"tools": [weather()], "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]}}),
            "tool_choice.tools[0]",
        ),
        (json!({"text": {"format": {"type": "json_schema", "name": "s"}}}), "text.format.schema"),
        (json!({"reasoning": {"effort": "huge"}}), "reasoning.effort"),
        (json!({"max_output_tokens": 0}), "max_output_tokens"),
        (json!({"temperature": 3}), "temperature"),
        (json!({"top_logprobs": 21}), "top_logprobs"),
        (json!({"background": true}), "background"),
        (json!({"truncation": "some"}), "truncation"),
        (json!({"conversation": "conv_1"}), "conversation"),
        (json!({"prompt": {"id": "pmpt_1"}}), "prompt"),
    ];
    for (fields, param) in cases {
        let error = turn(fields.clone()).expect_err(&fields.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{fields}: {error}");
    }
    let body = json!({"model": "auto", "input": [{"role": "wizard", "content": "hi"}]});
    let error = serde_json::from_value::<ResponsesRequest>(body).unwrap_err();
    assert!(error.to_string().contains("unknown variant `wizard`"), "{error}");
}

fn events(bodies: &[RunEventBody]) -> Vec<RunEvent> {
    let selected = RunEventBody::Selected(Selected {
        node: None,
        model: "tiny-chat".into(),
        model_name: "Tiny Chat".into(),
        provider: "local".into(),
        modality: Modality::Text,
        reason: "a test".into(),
        fallback_used: false,
        fallback_reason: None,
        resumed: false,
    });
    let usage = Usage { prompt_tokens: 7, completion_tokens: 5, cached_tokens: 4, reasoning_tokens: 2 };
    let (end, middle) = bodies.split_last().unwrap();
    let mut all =
        vec![selected, RunEventBody::Queued { position: 1 }, RunEventBody::Started { prompt_tokens: 7 }];
    all.extend_from_slice(middle);
    all.extend([RunEventBody::Usage { usage }, end.clone()]);
    (1..).zip(all).map(|(seq, body)| RunEvent { seq, body }).collect()
}

fn thought(index: u32, text: &str, encrypted: Option<&str>) -> RunEventBody {
    let added = Reasoning { text: text.into(), signature: None, encrypted: encrypted.map(Into::into) };
    RunEventBody::Reasoning { choice: 0, index, added }
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

/// The frames of these events, in which ids end with the item's number alone.
fn told(fields: Value, bodies: &[RunEventBody]) -> Vec<Value> {
    let id = RunId::new();
    let mut renderer = request(fields).renderer(id);
    let frames: Vec<Frame> = events(bodies).iter().flat_map(|event| renderer.frames(event)).collect();
    let stem = format!("_{}", id.to_string().trim_start_matches(RunId::PREFIX));
    let read = |(number, frame): (usize, &Frame)| {
        let told: Value = serde_json::from_str(&frame.data.replace(&stem, "")).unwrap();
        assert_eq!(
            (told["type"].as_str(), told["sequence_number"].as_u64()),
            (frame.event, Some(number as u64))
        );
        told
    };
    frames.iter().enumerate().map(read).collect()
}

/// The same without their numbers, and with no more of a response than its status.
fn briefly(mut told: Vec<Value>) -> Vec<Value> {
    for event in &mut told {
        event.as_object_mut().unwrap().shift_remove("sequence_number");
        if let Some(response) = event.get_mut("response") {
            *response = response["status"].clone();
        }
    }
    told
}

#[test]
fn a_text_is_told_in_the_order_that_clients_expect() {
    let bodies = [RunEventBody::text("Hel"), RunEventBody::text("lo"), done(FinishReason::Stop)];
    let told = told(json!({"metadata": {"a": "b"}}), &bodies);
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let item = |status: &str, content: Value| json!({"type": "message", "id": "msg_0", "status": status, "role": "assistant", "content": content});
    let delta = |text: &str| {
        json!({"type": "response.output_text.delta", "content_index": 0, "delta": text, "logprobs": [],
            "item_id": "msg_0", "output_index": 0})
    };
    let expected = [
        json!({"type": "response.created", "response": "in_progress"}),
        json!({"type": "response.queued", "response": "queued"}),
        json!({"type": "response.in_progress", "response": "in_progress"}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("in_progress", json!([]))}),
        json!({"type": "response.content_part.added", "content_index": 0, "part": part(""), "item_id": "msg_0", "output_index": 0}),
        delta("Hel"),
        delta("lo"),
        json!({"type": "response.output_text.done", "content_index": 0, "text": "Hello", "logprobs": [],
            "item_id": "msg_0", "output_index": 0}),
        json!({"type": "response.content_part.done", "content_index": 0, "part": part("Hello"), "item_id": "msg_0", "output_index": 0}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item("completed", json!([part("Hello")]))}),
        json!({"type": "response.completed", "response": "completed"}),
    ];
    assert_eq!(briefly(told.clone()), expected);
    let whole = &told.last().unwrap()["response"];
    assert_eq!(
        whole["usage"],
        json!({
            "input_tokens": 7, "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 12,
        })
    );
    assert_eq!(
        (&whole["object"], &whole["model"], &whole["metadata"]),
        (&json!("response"), &json!("tiny-chat"), &json!({"a": "b"}))
    );
    assert_eq!(
        (&whole["text"], &whole["tool_choice"]),
        (&json!({"format": {"type": "text"}}), &json!("auto"))
    );
    assert_eq!(
        (&whole["error"], &whole["tools"], &told[0]["response"]["usage"]),
        (&json!(null), &json!([]), &json!(null))
    );
}

#[test]
fn thoughts_and_calls_are_items_of_their_own() {
    let bodies = [
        thought(0, "Hm", None),
        thought(0, ".", Some("gAAA")),
        begin(0, "look"),
        arguments(0, "{\"a\":"),
        begin(1, "hear"),
        arguments(0, "1}"),
        arguments(1, "{}"),
        done(FinishReason::ToolCalls),
    ];
    let kinds = |fields: Value| {
        let told = told(fields, &bodies);
        told.iter()
            .map(|event| event["type"].as_str().unwrap().trim_start_matches("response.").to_owned())
            .collect::<Vec<_>>()
    };
    let calls = [
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    let head = ["created", "queued", "in_progress", "output_item.added"];
    let thoughts = [
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ];
    assert_eq!(kinds(json!({})), [&head[..], &thoughts, &calls].concat());
    let summaries = [
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ];
    assert_eq!(kinds(json!({"reasoning": {"summary": "auto"}})), [&head[..], &summaries, &calls].concat());

    let fields = json!({"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]});
    let whole = json!(request(fields).renderer(RunId::new()).collected(&events(&bodies)).unwrap());
    let [thoughts, look, hear] = &whole["output"].as_array().unwrap()[..] else { panic!("{whole}") };
    assert_eq!(thoughts["summary"], json!([{"type": "summary_text", "text": "Hm."}]));
    assert_eq!((&thoughts["encrypted_content"], thoughts.get("content")), (&json!("gAAA"), None));
    assert_eq!(
        (&look["arguments"], &look["call_id"], &look["status"]),
        (&json!("{\"a\":1}"), &json!("call_0"), &json!("completed"))
    );
    assert_eq!((&hear["name"], &hear["arguments"]), (&json!("hear"), &json!("{}")));
    let plain = json!(request(json!({})).renderer(RunId::new()).collected(&events(&bodies)).unwrap());
    let thoughts = &plain["output"][0];
    assert_eq!(
        (&thoughts["content"][0]["text"], &thoughts["encrypted_content"]),
        (&json!("Hm."), &json!(null))
    );
}

#[test]
fn each_end_has_its_event() {
    let cut = |reason| {
        let told = told(json!({}), &[RunEventBody::text("a"), done(reason)]);
        let last = told.last().unwrap();
        assert_eq!(last["response"]["output"][0]["status"], "incomplete");
        (last["type"].clone(), last["response"]["incomplete_details"]["reason"].clone())
    };
    assert_eq!(cut(FinishReason::Length), (json!("response.incomplete"), json!("max_output_tokens")));
    assert_eq!(cut(FinishReason::ContentFilter), (json!("response.incomplete"), json!("content_filter")));

    let error = ApiError::new(ErrorCode::ProviderError, "it fell over");
    let told_of = told(json!({}), &[RunEventBody::text("a"), RunEventBody::Error { error }]);
    let last = told_of.last().unwrap();
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(last["response"]["error"], json!({"code": "provider_error", "message": "it fell over"}));
    let stopped = told(json!({}), &[RunEventBody::Cancelled]);
    assert_eq!(stopped.last().unwrap()["response"]["status"], "cancelled");
    let error = request(json!({})).renderer(RunId::new()).collected(&events(&[RunEventBody::Cancelled]));
    assert_eq!(error.unwrap_err().code, ErrorCode::Cancelled);

    let nothing = request(json!({})).renderer(RunId::new()).collected(&events(&[done(FinishReason::Stop)]));
    assert_eq!(json!(nothing.unwrap())["output"][0]["content"][0]["text"], "");
}

#[test]
fn log_probabilities_go_with_their_text() {
    let logprob = |text: &str, logprob| Logprob { bytes: text.into(), logprob };
    let logprobs = vec![TokenLogprob { token: logprob("Hi", -0.5), top: vec![logprob("Hi", -0.5)] }];
    let bodies = [RunEventBody::Delta { choice: 0, text: "Hi".into(), logprobs }, done(FinishReason::Stop)];
    let told = told(json!({"include": ["message.output_text.logprobs"], "top_logprobs": 1}), &bodies);
    let hi = json!({"token": "Hi", "logprob": -0.5, "bytes": [72, 105]});
    let mut entry = hi.clone();
    entry["top_logprobs"] = json!([hi]);
    for event in &told {
        if event["type"].as_str().unwrap().starts_with("response.output_text") {
            assert_eq!(event["logprobs"], json!([entry]), "{event}");
        }
    }
    assert_eq!(told.last().unwrap()["response"]["output"][0]["content"][0]["logprobs"], json!([entry]));
}

#[test]
fn a_response_is_told_again_from_its_record() {
    let run = Run {
        id: RunId::new(),
        owner: UserId::new(),
        state: RunState::Completed,
        model: "tiny-chat".into(),
        provider: "local".into(),
        node: None,
        modality: Modality::Text,
        reason: "a test".into(),
        fallback_reason: None,
        queue_position: None,
        usage: Usage { prompt_tokens: 3, ..Usage::default() },
        cost: None,
        finish_reason: Some(FinishReason::Length),
        failure: None,
        text: "Hi".into(),
        tool_calls: Vec::new(),
        artifacts: Vec::new(),
        created_at: Timestamp::from_unix(7),
        finished_at: Some(Timestamp::from_unix(9)),
    };
    let asked = request(json!({"metadata": {"a": "b"}, "tools": [weather()]})).asked();
    let kept: Asked = serde_json::from_value(json!(asked)).unwrap();
    assert_eq!(kept, asked);
    let told =
        json!(Renderer::recorded(&run, &Message::new(Role::Assistant, "Hi"), &Layout::default(), kept));
    assert_eq!((&told["id"], &told["status"]), (&json!(run.id), &json!("incomplete")));
    assert_eq!((&told["created_at"], &told["completed_at"]), (&json!(7), &json!(9)));
    assert_eq!(
        (&told["output"][0]["content"][0]["text"], &told["usage"]["input_tokens"]),
        (&json!("Hi"), &json!(3))
    );
    assert_eq!((&told["metadata"]["a"], &told["tools"][0]["name"]), (&json!("b"), &json!("get_weather")));
}

#[test]
fn what_was_not_asked_for_is_told_as_what_holds() {
    let fields =
        json!({"temperature": 0.7, "service_tier": "flex", "prompt_cache_key": "k", "max_tool_calls": "no"});
    let asked = request(fields).asked();
    assert_eq!((json!(asked)["temperature"].clone(), asked.service_tier.as_str()), (json!(0.7), "flex"));
    assert_eq!((asked.prompt_cache_key.as_deref(), asked.max_tool_calls), (Some("k"), None));

    let told = told(json!({}), &[done(FinishReason::Stop)]);
    let response = &told.last().unwrap()["response"];
    for (name, value) in [
        ("temperature", json!(1.0)),
        ("top_p", json!(1.0)),
        ("presence_penalty", json!(0.0)),
        ("service_tier", json!("default")),
        ("max_tool_calls", json!(null)),
    ] {
        assert_eq!(response.get(name), Some(&value), "{name}");
    }
    let mut at_a_node = Asked { top_p: Some(0.5), ..Asked::default() };
    at_a_node.settle(true);
    assert_eq!((&json!(at_a_node)["temperature"], at_a_node.top_p), (&json!(0.8), Some(0.5)));
    let kept: Asked = serde_json::from_value(json!({"store": false})).unwrap();
    assert_eq!(kept, Asked { store: false, ..Asked::default() });
}

/// A piece of an answer, as a provider may give it: calls of one turn may be told in any order.
fn piece() -> impl Strategy<Value = RunEventBody> {
    prop_oneof![
        "[a-zé]{0,4}".prop_map(RunEventBody::text),
        (0..3_u32, "[a-z]{0,3}", proptest::option::of("[A-Z]{3}")).prop_map(|(index, text, sealed)| thought(
            index,
            &text,
            sealed.as_deref()
        )),
        (0..3_u32).prop_map(|index| begin(index, "f")),
        (0..3_u32, "[0-9]{0,3}").prop_map(|(index, text)| arguments(index, &text)),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_items_begin_and_end_once_and_their_pieces_add_up(
        pieces in proptest::collection::vec(piece(), 0..24),
    ) {
        let mut bodies = pieces;
        bodies.push(done(FinishReason::Stop));
        let told = told(json!({}), &bodies);
        let output = told.last().unwrap()["response"]["output"].as_array().unwrap().clone();
        let of = |kind: &str, index: usize| {
            let place = json!(index);
            told.iter().filter(|e| e["type"] == kind && e["output_index"] == place).cloned().collect::<Vec<_>>()
        };
        for (index, item) in output.iter().enumerate() {
            prop_assert_eq!(of("response.output_item.added", index).len(), 1);
            let done = of("response.output_item.done", index);
            prop_assert_eq!(done.len(), 1);
            let last = told.iter().rfind(|e| e["output_index"] == json!(index)).unwrap();
            prop_assert_eq!(last, &done[0]);
            let (kind, whole) = match item["type"].as_str().unwrap() {
                "message" => ("response.output_text.delta", &item["content"][0]["text"]),
                "reasoning" => ("response.reasoning_text.delta", &item["content"][0]["text"]),
                _ => ("response.function_call_arguments.delta", &item["arguments"]),
            };
            let pieces: String = of(kind, index).iter().map(|e| e["delta"].as_str().unwrap().to_owned()).collect();
            prop_assert_eq!(whole.as_str().unwrap_or_default(), pieces);
        }
        prop_assert!(told.iter().all(|e| e["output_index"].as_u64().is_none_or(|n| n < output.len() as u64)));
    }

    #[test]
    fn what_is_handed_back_is_what_was_said(
        text in "[a-zé ]{0,8}",
        blocks in proptest::collection::vec(("[a-z]{1,4}", proptest::option::of("[A-Z]{3}"), proptest::option::of("[0-9]{3}")), 0..3),
        names in proptest::collection::vec("[a-z]{1,4}", 0..3),
        summarised in any::<bool>(),
    ) {
        let mut message = Message::new(Role::Assistant, text.clone());
        let mut bodies = Vec::new();
        for (index, (text, signature, encrypted)) in (0..).zip(blocks) {
            let added = Reasoning { text, signature, encrypted };
            message.reasoning.push(added.clone());
            bodies.push(RunEventBody::Reasoning { choice: 0, index, added });
        }
        bodies.push(RunEventBody::text(text));
        for (index, name) in (0..).zip(&names) {
            bodies.extend([begin(index, name), arguments(index, "{}")]);
            message.tool_calls.push(ToolCall { id: format!("call_{index}"), name: name.clone(), arguments: "{}".into() });
        }
        bodies.push(done(FinishReason::Stop));
        let summary = summarised.then_some("auto");
        let fields = json!({"include": ["reasoning.encrypted_content"], "reasoning": {"summary": summary}});
        let whole = request(fields).renderer(RunId::new()).collected(&events(&bodies)).unwrap();
        prop_assert_eq!(said(json!(whole.output)), [message]);
    }
}

#[test]
fn a_refusal_is_a_part_of_its_own() {
    let refusal = |text: &str| RunEventBody::Refusal { choice: 0, text: text.into() };
    let events = [refusal("I'd "), refusal("rather not."), done(FinishReason::ContentFilter)];
    let told = told(json!({}), &events);
    let names: Vec<&str> = told.iter().filter_map(|event| event["type"].as_str()).collect();
    let part = json!({"type": "refusal", "refusal": "I'd rather not."});
    assert_eq!(
        names[names.len() - 8..],
        [
            "response.output_item.added",
            "response.content_part.added",
            "response.refusal.delta",
            "response.refusal.delta",
            "response.refusal.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let response = &told[told.len() - 1]["response"];
    assert_eq!((&response["status"], &response["incomplete_details"]), (&json!("completed"), &json!(null)));
    assert_eq!(response["output"][0]["content"], json!([part]));
}
