use hearth_domain::{
    ClientDialect, DocumentSource, FinishReason, Image, Logprob, Message, Part, Piece, PlacedImage, Priority,
    Reasoning, ReasoningEffort, ResponseFormat, Role, Run, RunId, RunState, Selection, Task, TextTask,
    Timestamp, TokenLogprob, ToolCall, ToolChoice, Usage, UserId,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    event::ToolCallBegin,
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

fn turn(fields: Value) -> Result<ResponsesTurn, ApiError> {
    request(fields).into_turn(Vec::new())
}

fn task(fields: Value) -> TextTask {
    match turn(fields).unwrap().generation.task {
        Task::Text(task) => task,
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn messages(input: Value) -> Vec<Message> {
    turn(json!({"input": input})).unwrap().messages
}

fn weather() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}, "at": {}}});
    json!({"type": "function", "name": "get_weather", "parameters": parameters})
}

fn called(id: &str) -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": id, "name": "get_weather", "arguments": "{}", "status": "completed"})
}

#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn output(id: &str, output: Value) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": output})
}

#[test]
fn absent_fields_have_their_defaults() {
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
    assert!(request(json!({})).stores() && !request(json!({"store": false})).stores());
}

#[test]
fn every_kind_of_item_becomes_part_of_a_message() {
    let messages = messages(json!([
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
        output("c2", json!("warm")),
        output("c1", json!([{"type": "input_text", "text": "see "}, {"type": "input_image", "image_url": "https://example.org/a.png"}])),
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
fn assistant_items_are_grouped_into_turns() {
    let message = |text: &str| json!({"role": "assistant", "content": text});
    let reasoning =
        json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]});
    let cases = [
        (json!([message("a"), message("b")]), 2),
        (json!([message("a"), reasoning, message("b")]), 2),
        (json!([message("a"), reasoning, called("1")]), 2),
        (json!([reasoning, reasoning, message("a"), called("1")]), 1),
        (json!([reasoning, called("1"), reasoning, called("2")]), 1),
        (json!([called("1"), message("a")]), 1),
        (json!([called("1"), output("1", json!("x")), called("2")]), 3),
        // The results must follow the message that has the calls.
        (json!([message("a"), called("1"), message("b"), reasoning, message("c"), called("2")]), 1),
    ];
    for (items, count) in cases {
        assert_eq!(messages(items.clone()).len(), count, "{items}");
    }
}

#[test]
fn items_of_a_turn_with_calls_keep_their_order() {
    let text = |text: &str| json!({"role": "assistant", "content": [{"type": "output_text", "text": text}]});
    let search = json!({"type": "web_search_call", "id": "ws_1"});
    let reasoning =
        |encrypted: &str| json!({"type": "reasoning", "summary": [], "encrypted_content": encrypted});
    let input = json!([
        {"role": "user", "content": "hi"},
        reasoning("A"), text("a"), called("1"), search, reasoning("B"), text("b"), called("2"),
        output("1", json!("x")), output("2", json!("y")),
    ]);
    let messages = messages(input);
    let [_, turn, first, second] = &messages[..] else { panic!("{messages:?}") };
    let results = [first, second].map(|result| result.tool_call_id.as_deref());
    assert_eq!((turn.content.as_str(), results), ("a\n\nb", [Some("1"), Some("2")]));
    let pieces: Vec<_> = turn
        .pieces()
        .into_iter()
        .map(|piece| match piece {
            Piece::Reasoning(block) => block.encrypted.as_deref().unwrap_or_default(),
            Piece::Call(_, call) => &call.id,
            Piece::Part(_, Part::Text(text)) => text,
            Piece::Part(_, Part::Opaque(opaque)) => opaque.value["id"].as_str().unwrap_or_default(),
            Piece::Part(_, part) => panic!("{part:?}"),
        })
        .collect();
    assert_eq!(pieces, ["A", "a", "1", "ws_1", "B", "b", "2"]);
}

#[test]
fn instructions_are_not_part_of_the_stored_conversation() {
    let earlier = vec![Message::new(Role::User, "1"), Message::new(Role::Assistant, "2")];
    let turn = request(json!({"input": "3", "instructions": "Count."})).into_turn(earlier).unwrap();
    let texts = |messages: &[Message]| messages.iter().map(|m| m.content.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&turn.messages), ["1", "2", "3"]);
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
fn answer_options_reach_the_task() {
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
fn documents_are_read_and_unknown_parts_stay_opaque() {
    let file = json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="});
    let link = json!({"type": "input_file", "file_url": "https://example.org/a.pdf"});
    let stored = json!({"type": "input_file", "file_id": "file_1"});
    let of = task(json!({
        "input": [{"role": "user", "content": [file, link, stored, {"type": "input_text", "text": "Sum up."}]}],
    }));
    let sources: Vec<_> = of.messages[0].documents().map(|document| document.source.clone()).collect();
    let data = DocumentSource::Data { media_type: "application/pdf".into(), data: "JVBERg==".into() };
    assert_eq!(sources, [data, DocumentSource::Url("https://example.org/a.pdf".into())]);
    let opaque: Vec<_> =
        of.messages[0].opaque_parts().map(|part| (part.param.as_str(), &part.value)).collect();
    assert_eq!(opaque, [("input[0].content[2]", &stored)]);
}

#[test]
fn unsupported_request_is_refused_with_the_fields_name() {
    let user = json!({"role": "user", "content": "hi"});
    let part = |part: Value| json!({"input": [{"role": "user", "content": [part]}]});
    let cases = [
        (json!({"input": []}), "input"),
        (json!({"input": null}), "input"),
        (json!({"input": [user, {"role": "user"}]}), "input[1].content"),
        (json!({"input": [{"content": "hi"}]}), "input[0].role"),
        (json!({"input": [user, output("c1", json!("21"))]}), "input[1].call_id"),
        (json!({"input": [{"type": "function_call", "call_id": "c1", "name": "f"}]}), "input[0].arguments"),
        (
            json!({"input": [called("c1"), {"type": "function_call_output", "call_id": "c1"}]}),
            "input[1].output",
        ),
        (
            json!({"input": [{"type": "reasoning", "summary": [{"type": "summary_text"}]}]}),
            "input[0].summary[0].text",
        ),
        (
            json!({"input": [{"type": "function_call", "call_id": "c1", "name": "f", "arguments": {}}]}),
            "input[0].arguments",
        ),
        (
            json!({"input": [called("c1"), {"type": "function_call_output", "call_id": "c1", "output": {}}]}),
            "input[1].output",
        ),
        (part(json!({"text": "hi"})), "input[0].content[0].type"),
        (part(json!({"type": "input_image"})), "input[0].content[0].image_url"),
        (part(json!({"type": "input_file", "file_data": "JVBERg=="})), "input[0].content[0].file_data"),
        (part(json!({"type": "input_text"})), "input[0].content[0].text"),
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
        (json!({"background": true, "store": false}), "background"),
        (json!({"truncation": "some"}), "truncation"),
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
    let selected = RunEventBody::Selected(Selection::example("tiny-chat", "local"));
    let usage = Usage {
        prompt_tokens: 7,
        completion_tokens: 5,
        cached_tokens: 4,
        reasoning_tokens: 2,
        ..Usage::default()
    };
    let (end, middle) = bodies.split_last().unwrap();
    let mut all =
        vec![selected, RunEventBody::Queued { position: 1 }, RunEventBody::Started { prompt_tokens: 7 }];
    all.extend_from_slice(middle);
    all.extend([RunEventBody::Usage { usage }, end.clone()]);
    (1..).zip(all).map(|(seq, body)| RunEvent { seq, body }).collect()
}

fn reasoning(index: u32, text: &str, encrypted: Option<&str>) -> RunEventBody {
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

/// Renders these events as JSON. The run's id is removed from the items' ids.
fn rendered(fields: Value, bodies: &[RunEventBody]) -> Vec<Value> {
    let id = RunId::new();
    let mut renderer = request(fields).renderer(id);
    let frames: Vec<Frame> = events(bodies).iter().flat_map(|event| renderer.frames(event)).collect();
    let stem = format!("_{}", id.to_string().trim_start_matches(RunId::PREFIX));
    let read = |(number, frame): (usize, &Frame)| {
        let event: Value = serde_json::from_str(&frame.data.replace(&stem, "")).unwrap();
        assert_eq!(
            (event["type"].as_str(), event["sequence_number"].as_u64()),
            (frame.event, Some(number as u64))
        );
        event
    };
    frames.iter().enumerate().map(read).collect()
}

/// Removes the sequence numbers, and all of a response but its status.
fn abbreviated(mut events: Vec<Value>) -> Vec<Value> {
    for event in &mut events {
        event.as_object_mut().unwrap().shift_remove("sequence_number");
        if let Some(response) = event.get_mut("response") {
            *response = response["status"].clone();
        }
    }
    events
}

#[test]
fn text_events_come_in_the_documented_order() {
    let bodies = [RunEventBody::text("Hel"), RunEventBody::text("lo"), done(FinishReason::Stop)];
    let events = rendered(json!({"metadata": {"a": "b"}}), &bodies);
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
    assert_eq!(abbreviated(events.clone()), expected);
    let whole = &events.last().unwrap()["response"];
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
        (&whole["error"], &whole["tools"], &events[0]["response"]["usage"]),
        (&json!(null), &json!([]), &json!(null))
    );
}

#[test]
fn reasoning_and_calls_are_separate_items() {
    let bodies = [
        reasoning(0, "Hm", None),
        reasoning(0, ".", Some("gAAA")),
        begin(0, "look"),
        arguments(0, "{\"a\":"),
        begin(1, "hear"),
        arguments(0, "1}"),
        arguments(1, "{}"),
        done(FinishReason::ToolCalls),
    ];
    let kinds = |fields: Value| {
        let events = rendered(fields, &bodies);
        events
            .iter()
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
    let reasoning = [
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ];
    assert_eq!(kinds(json!({})), [&head[..], &reasoning, &calls].concat());
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
    let whole = json!(request(fields).renderer(RunId::new()).into_answer(&events(&bodies)).unwrap());
    let [reasoning, look, hear] = &whole["output"].as_array().unwrap()[..] else { panic!("{whole}") };
    assert_eq!(reasoning["summary"], json!([{"type": "summary_text", "text": "Hm."}]));
    assert_eq!((&reasoning["encrypted_content"], reasoning.get("content")), (&json!("gAAA"), None));
    assert_eq!(
        (&look["arguments"], &look["call_id"], &look["status"]),
        (&json!("{\"a\":1}"), &json!("call_0"), &json!("completed"))
    );
    assert_eq!((&hear["name"], &hear["arguments"]), (&json!("hear"), &json!("{}")));
    let plain = json!(request(json!({})).renderer(RunId::new()).into_answer(&events(&bodies)).unwrap());
    let reasoning = &plain["output"][0];
    assert_eq!(
        (&reasoning["content"][0]["text"], &reasoning["encrypted_content"]),
        (&json!("Hm."), &json!(null))
    );
}

#[test]
fn each_outcome_has_its_final_event() {
    let cut = |reason| {
        let events = rendered(json!({}), &[RunEventBody::text("a"), done(reason)]);
        let last = events.last().unwrap();
        assert_eq!(last["response"]["output"][0]["status"], "incomplete");
        (last["type"].clone(), last["response"]["incomplete_details"]["reason"].clone())
    };
    assert_eq!(cut(FinishReason::Length), (json!("response.incomplete"), json!("max_output_tokens")));
    assert_eq!(cut(FinishReason::ContentFilter), (json!("response.incomplete"), json!("content_filter")));

    let error = ApiError::new(ErrorCode::ProviderError, "it fell over");
    let failed = rendered(json!({}), &[RunEventBody::text("a"), RunEventBody::Error { error }]);
    let last = failed.last().unwrap();
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(last["response"]["error"], json!({"code": "provider_error", "message": "it fell over"}));
    let stopped = rendered(json!({}), &[RunEventBody::Cancelled]);
    assert_eq!(stopped.last().unwrap()["response"]["status"], "cancelled");
    let error = request(json!({})).renderer(RunId::new()).into_answer(&events(&[RunEventBody::Cancelled]));
    assert_eq!(error.unwrap_err().code, ErrorCode::Cancelled);

    let nothing = request(json!({})).renderer(RunId::new()).into_answer(&events(&[done(FinishReason::Stop)]));
    assert_eq!(json!(nothing.unwrap())["output"][0]["content"][0]["text"], "");
}

#[test]
fn logprobs_are_rendered_with_their_text() {
    let logprob = |text: &str, logprob| Logprob { bytes: text.into(), logprob };
    let logprobs = vec![TokenLogprob { token: logprob("Hi", -0.5), top: vec![logprob("Hi", -0.5)] }];
    let bodies = [RunEventBody::Delta { choice: 0, text: "Hi".into(), logprobs }, done(FinishReason::Stop)];
    let events = rendered(json!({"include": ["message.output_text.logprobs"], "top_logprobs": 1}), &bodies);
    let hi = json!({"token": "Hi", "logprob": -0.5, "bytes": [72, 105]});
    let mut entry = hi.clone();
    entry["top_logprobs"] = json!([hi]);
    for event in &events {
        if event["type"].as_str().unwrap().starts_with("response.output_text") {
            assert_eq!(event["logprobs"], json!([entry]), "{event}");
        }
    }
    assert_eq!(events.last().unwrap()["response"]["output"][0]["content"][0]["logprobs"], json!([entry]));
}

#[test]
fn stored_response_is_rendered_from_its_record() {
    let run = Run {
        state: RunState::Completed,
        selection: Selection::example("tiny-chat", "local"),
        usage: Usage { prompt_tokens: 3, ..Usage::default() },
        finish_reason: Some(FinishReason::Length),
        text: "Hi".into(),
        created_at: Timestamp::from_unix(7),
        finished_at: Some(Timestamp::from_unix(9)),
        ..Run::example(UserId::new())
    };
    let echo = request(json!({"metadata": {"a": "b"}, "tools": [weather()]})).echo();
    let stored: RequestEcho = serde_json::from_value(json!(echo)).unwrap();
    assert_eq!(stored, echo);
    let events = json!(ResponsesRenderer::from_record(
        &run,
        &Message::new(Role::Assistant, "Hi"),
        &ItemLayout::default(),
        stored,
        RenderOptions::default(),
    ));
    assert_eq!((&events["id"], &events["status"]), (&json!(run.id), &json!("incomplete")));
    assert_eq!((&events["created_at"], &events["completed_at"]), (&json!(7), &json!(9)));
    assert_eq!(
        (&events["output"][0]["content"][0]["text"], &events["usage"]["input_tokens"]),
        (&json!("Hi"), &json!(3))
    );
    assert_eq!((&events["metadata"]["a"], &events["tools"][0]["name"]), (&json!("b"), &json!("get_weather")));
}

#[test]
fn absent_parameters_are_echoed_as_their_defaults() {
    let fields =
        json!({"temperature": 0.7, "service_tier": "flex", "prompt_cache_key": "k", "max_tool_calls": "no"});
    let echo = request(fields).echo();
    assert_eq!((json!(echo)["temperature"].clone(), echo.service_tier.as_str()), (json!(0.7), "flex"));
    assert_eq!((echo.prompt_cache_key.as_deref(), echo.max_tool_calls), (Some("k"), None));

    let events = rendered(json!({}), &[done(FinishReason::Stop)]);
    let response = &events.last().unwrap()["response"];
    for (name, value) in [
        ("temperature", json!(1.0)),
        ("top_p", json!(1.0)),
        ("presence_penalty", json!(0.0)),
        ("service_tier", json!("default")),
        ("max_tool_calls", json!(null)),
    ] {
        assert_eq!(response.get(name), Some(&value), "{name}");
    }
    let mut local = RequestEcho { top_p: Some(0.5), ..RequestEcho::default() };
    local.fill_sampling_defaults(true);
    assert_eq!((&json!(local)["temperature"], local.top_p), (&json!(0.8), Some(0.5)));
    let partial: RequestEcho = serde_json::from_value(json!({"store": false})).unwrap();
    assert_eq!(partial, RequestEcho { store: false, ..RequestEcho::default() });
}

/// An event of an answer in progress. Calls of one turn may be interleaved.
fn piece() -> impl Strategy<Value = RunEventBody> {
    prop_oneof![
        "[a-zé]{0,4}".prop_map(RunEventBody::text),
        (0..3_u32, "[a-z]{0,3}", proptest::option::of("[A-Z]{3}"))
            .prop_map(|(index, text, encrypted)| reasoning(index, &text, encrypted.as_deref())),
        (0..3_u32).prop_map(|index| begin(index, "f")),
        (0..3_u32, "[0-9]{0,3}").prop_map(|(index, text)| arguments(index, &text)),
    ]
}

proptest! {
    #[test]
    fn items_are_added_and_done_once_and_equal_their_deltas(
        pieces in proptest::collection::vec(piece(), 0..24),
    ) {
        let mut bodies = pieces;
        bodies.push(done(FinishReason::Stop));
        let events = rendered(json!({}), &bodies);
        let output = events.last().unwrap()["response"]["output"].as_array().unwrap().clone();
        let of = |kind: &str, index: usize| {
            let place = json!(index);
            events.iter().filter(|e| e["type"] == kind && e["output_index"] == place).cloned().collect::<Vec<_>>()
        };
        for (index, item) in output.iter().enumerate() {
            prop_assert_eq!(of("response.output_item.added", index).len(), 1);
            let done = of("response.output_item.done", index);
            prop_assert_eq!(done.len(), 1);
            let last = events.iter().rfind(|e| e["output_index"] == json!(index)).unwrap();
            prop_assert_eq!(last, &done[0]);
            let (kind, whole) = match item["type"].as_str().unwrap() {
                "message" => ("response.output_text.delta", &item["content"][0]["text"]),
                "reasoning" => ("response.reasoning_text.delta", &item["content"][0]["text"]),
                _ => ("response.function_call_arguments.delta", &item["arguments"]),
            };
            let pieces: String = of(kind, index).iter().map(|e| e["delta"].as_str().unwrap().to_owned()).collect();
            prop_assert_eq!(whole.as_str().unwrap_or_default(), pieces);
        }
        prop_assert!(events.iter().all(|e| e["output_index"].as_u64().is_none_or(|n| n < output.len() as u64)));
    }

    #[test]
    fn output_sent_back_equals_the_answer(
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
        let whole = request(fields).renderer(RunId::new()).into_answer(&events(&bodies)).unwrap();
        prop_assert_eq!(messages(json!(whole.output)), [message]);
    }
}

#[test]
fn refusal_is_a_part_of_its_own() {
    let refusal = |text: &str| RunEventBody::Refusal { choice: 0, text: text.into() };
    let events = [refusal("I'd "), refusal("rather not."), done(FinishReason::ContentFilter)];
    let events = rendered(json!({}), &events);
    let names: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
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
    let response = &events[events.len() - 1]["response"];
    assert_eq!((&response["status"], &response["incomplete_details"]), (&json!("completed"), &json!(null)));
    assert_eq!(response["output"][0]["content"], json!([part]));
}

#[test]
fn items_of_other_types_reach_the_task_in_their_order() {
    let search = json!({"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "a"}});
    let approval = json!({"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": true});
    let reasoning = json!({"type": "reasoning", "summary": []});
    let text = json!({"role": "assistant", "content": [{"type": "output_text", "text": "Found."}]});
    let input = json!([reasoning, search, reasoning, text, approval]);
    let messages = turn(json!({"input": input})).unwrap().messages;
    let shape: Vec<_> = messages
        .iter()
        .map(|message| {
            let opaque: Vec<_> = message.opaque_parts().map(|part| part.value.clone()).collect();
            (message.role, message.content.as_str(), message.reasoning.len(), opaque)
        })
        .collect();
    let expected = [
        (Role::Assistant, "", 1, vec![search]),
        (Role::Assistant, "Found.", 1, vec![]),
        (Role::User, "", 0, vec![approval]),
    ];
    assert_eq!(shape, expected);
}
