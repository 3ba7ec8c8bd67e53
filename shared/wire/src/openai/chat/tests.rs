use hearth_domain::{
    FinishReason, Generation, Logprob, PartPlace, Priority, Reasoning, ResponseFormat, Role, RunId,
    Selection, Task, TextTask, TokenLogprob, ToolChoice, Usage, WhileLoading,
};
use serde_json::{Value, json};

use super::*;
use crate::{ApiError, RunEvent, RunEventBody, event::ToolCallBegin, stream::Render as _};

fn hello() -> Value {
    json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}]})
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

fn generation(body: Value) -> Result<Generation, ApiError> {
    serde_json::from_value::<ChatRequest>(body).unwrap().into_generation()
}

fn task(fields: Value) -> TextTask {
    match generation(with(fields)).unwrap().task {
        Task::Text(task) => task,
        other => panic!("{other:?}"),
    }
}

fn weather() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}, "at": {}}});
    json!({"type": "function", "function": {"name": "get_weather", "parameters": parameters}})
}

fn add() -> Value {
    json!({"type": "function", "function": {"name": "add", "description": "Adds", "strict": true}})
}

fn called() -> Value {
    let function = json!({"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"});
    json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": function}]})
}

#[test]
fn absent_fields_have_their_defaults() {
    let plain = task(json!({}));
    assert_eq!(plain, TextTask::new(plain.messages.to_vec(), hearth_domain::Sampling::default()));
    let null = task(json!({
        "tools": null, "tool_choice": null, "parallel_tool_calls": null, "response_format": null, "n": null,
        "logprobs": null, "top_logprobs": null, "logit_bias": null, "functions": null, "function_call": null,
        "colour": {"unknown": true},
    }));
    assert_eq!(null, plain);
}

#[test]
fn tools_and_their_choice_reach_the_task() {
    let of = task(json!({"tools": [weather(), add()], "parallel_tool_calls": false}));
    assert_eq!((of.tools.len(), of.parallel_tool_calls, of.tool_choice), (2, false, ToolChoice::Auto));
    assert_eq!((of.tools[0].name.as_str(), of.tools[0].strict), ("get_weather", false));
    let properties: Vec<&String> = of.tools[0].parameters["properties"].as_object().unwrap().keys().collect();
    assert_eq!(properties, ["city", "at"], "the order of properties is lost");
    assert_eq!(of.tools[1].description.as_deref(), Some("Adds"));
    assert_eq!(of.tools[1].parameters, json!({"type": "object", "properties": {}}));
    assert!(of.tools[1].strict);

    let named = json!({"type": "function", "function": {"name": "add"}});
    let cases = [
        (json!("none"), ToolChoice::None),
        (json!("auto"), ToolChoice::Auto),
        (json!("required"), ToolChoice::Required),
        (named.clone(), ToolChoice::Named("add".into())),
    ];
    for (choice, expected) in cases {
        let of = task(json!({"tools": [weather(), add()], "tool_choice": choice}));
        assert_eq!((of.tool_choice, of.tools.len()), (expected, 2), "{choice}");
    }
    let allowed = json!({"mode": "required", "tools": [named]});
    let choice = json!({"type": "allowed_tools", "allowed_tools": allowed});
    let of = task(json!({"tools": [weather(), add()], "tool_choice": choice}));
    assert_eq!((of.tool_choice, of.tools.len()), (ToolChoice::Required, 1));
    assert_eq!(of.tools[0].name, "add");
}

#[test]
fn calls_and_results_become_messages() {
    let mut body = hello();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(called());
    messages.push(json!({"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "21"}]}));
    let Task::Text(task) = generation(body).unwrap().task else { panic!("no text") };
    let [_, call, result] = &task.messages[..] else { panic!("{:?}", task.messages) };
    assert_eq!((call.role, call.content.as_str()), (Role::Assistant, ""));
    assert_eq!(call.tool_calls[0].arguments, "{\"city\":\"Paris\"}");
    assert_eq!((result.role, result.content.as_str()), (Role::Tool, "21"));
    assert_eq!((result.tool_call_id.as_deref(), result.name.as_deref()), (Some("c1"), Some("get_weather")));
}

#[test]
fn format_choices_and_logprobs_reach_the_task() {
    let schema = json!({"type": "object", "properties": {"z": {}, "a": {}}});
    let named = json!({"name": "s", "schema": schema, "strict": true});
    let formats = [
        (json!({"type": "text"}), ResponseFormat::Text),
        (json!({"type": "json_object"}), ResponseFormat::JsonObject),
        (json!({"type": "json_schema", "json_schema": named}), ResponseFormat::JsonSchema(schema)),
    ];
    for (format, expected) in formats {
        assert_eq!(task(json!({"response_format": format})).response_format, expected);
    }
    assert_eq!(task(json!({"n": 32})).choices, 32);
    let bias = task(json!({"logit_bias": {"12": -100, "7": 0.5}})).sampling.logit_bias;
    assert_eq!(bias, [(12, -100.0), (7, 0.5)]);
    let logprobs = [
        (json!({"logprobs": true}), Some(0)),
        (json!({"logprobs": true, "top_logprobs": 20}), Some(20)),
        (json!({"logprobs": false, "top_logprobs": 0}), None),
    ];
    for (fields, expected) in logprobs {
        assert_eq!(task(fields.clone()).top_logprobs, expected, "{fields}");
    }
}

#[test]
fn schema_label_reaches_the_task() {
    let schema =
        json!({"name": "person", "description": "Who.", "strict": false, "schema": {"type": "object"}});
    let label = task(json!({"response_format": {"type": "json_schema", "json_schema": schema}})).schema_label;
    assert_eq!(
        (label.name.as_deref(), label.description.as_deref(), label.strict),
        (Some("person"), Some("Who."), Some(false))
    );
}

#[test]
fn files_hosted_tools_and_unknown_fields_reach_the_task() {
    let pdf = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}});
    let stored = json!({"type": "file", "file": {"file_id": "f"}});
    let audio = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let mark = json!({"type": "ephemeral"});
    let own = json!({"type": "custom", "custom": {"name": "c"}});
    let generation = generation(with(json!({
        "messages": [{"role": "user", "partial": true, "content": [
            {"type": "text", "text": "One."}, {"type": "text", "text": "Two.", "cache_control": mark}, pdf, stored, audio,
        ]}],
        "tools": [own, weather()],
    })))
    .unwrap();
    let Task::Text(of) = generation.task else { panic!("no text") };
    let message = &of.messages[0];
    assert_eq!(message.content, "One.\nTwo.");
    assert_eq!(message.extra_of(PartPlace::Message).unwrap()["partial"], json!(true));
    assert_eq!(message.extra_of(PartPlace::Part(1)).unwrap()["cache_control"], mark);
    assert_eq!(message.documents().next().unwrap().name.as_deref(), Some("a.pdf"));
    let opaque: Vec<&Value> = message.opaque_parts().map(|part| &part.value).collect();
    assert_eq!(opaque, [&stored, &audio]);
    assert_eq!((of.tools.len(), generation.extra.hosted.definitions), (1, vec![own]));
}

#[test]
fn run_options_reach_the_generation() {
    let of = generation(with(json!({"priority": "high", "while_loading": "default"}))).unwrap();
    assert_eq!((of.priority, of.while_loading), (Priority::High, WhileLoading::Default));
    let of = generation(hello()).unwrap();
    assert_eq!((of.priority, of.while_loading), (Priority::Normal, WhileLoading::Wait));
}

#[test]
fn unsupported_request_is_refused_with_the_fields_name() {
    let unnamed = json!({"type": "function", "function": {"name": "no name"}});
    let listed = json!({"type": "function", "function": {"name": "f", "parameters": []}});
    let schema =
        |schema: Value| json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    let allowed = |names: &[&str]| {
        let tools: Vec<Value> =
            names.iter().map(|name| json!({"type": "function", "function": {"name": name}})).collect();
        json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools}})
    };
    let result = |id: Value| json!({"role": "tool", "content": "21", "tool_call_id": id});
    let cases = [
        (json!({"messages": []}), "messages"),
        (json!({"n": 0}), "n"),
        (json!({"n": 33}), "n"),
        (json!({"temperature": 3}), "temperature"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_completion_tokens": 0}), "max_completion_tokens"),
        (json!({"logit_bias": {"12": 101}}), "logit_bias"),
        (json!({"logit_bias": {"Paris": 1}}), "logit_bias"),
        (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs"),
        (json!({"top_logprobs": 3}), "top_logprobs"),
        (json!({"functions": [{"name": "f"}]}), "functions"),
        (json!({"function_call": "auto"}), "function_call"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].function"),
        (json!({"tools": [add(), unnamed]}), "tools[1].function.name"),
        (json!({"tools": [add(), add()]}), "tools[1].function.name"),
        (json!({"tools": [{"type": "custom"}, unnamed]}), "tools[1].function.name"),
        (json!({"tools": [listed]}), "tools[0].function.parameters"),
        (json!({"tools": vec![add(); 2049]}), "tools"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"tool_choice": {"type": "function", "function": {"name": "add"}}}), "tool_choice"),
        (
            json!({"tools": [add()], "tool_choice": {"type": "function", "function": {"name": "f"}}}),
            "tool_choice",
        ),
        (json!({"tools": [add()], "tool_choice": {"type": "custom"}}), "tool_choice.type"),
        (json!({"tools": [add()], "tool_choice": {"type": "function"}}), "tool_choice.function"),
        (json!({"tools": [add()], "tool_choice": allowed(&[])}), "tool_choice.allowed_tools.tools"),
        (
            json!({"tools": [add()], "tool_choice": allowed(&["add", "f"])}),
            "tool_choice.allowed_tools.tools[1]",
        ),
        (json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema"),
        (json!({"response_format": schema(json!([]))}), "response_format.json_schema.schema"),
        (json!({"messages": [called(), result(json!(null))]}), "messages[1].tool_call_id"),
        (json!({"messages": [called(), result(json!("c2"))]}), "messages[1].tool_call_id"),
        (json!({"messages": [called(), {"role": "tool", "tool_call_id": "c1"}]}), "messages[1].content"),
        (json!({"messages": [{"role": "function", "name": "f", "content": "21"}]}), "messages[0].role"),
        (
            json!({"messages": [{"role": "assistant", "function_call": {"name": "f"}}]}),
            "messages[0].function_call",
        ),
        (
            json!({"messages": [{"role": "user", "content": "hi", "tool_calls": called()["tool_calls"]}]}),
            "messages[0].tool_calls",
        ),
    ];
    for (fields, param) in cases {
        let error = generation(with(fields.clone())).expect_err(&fields.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{fields}: {error}");
        assert!(!error.message.contains("Paris"), "{error}");
    }
}

#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn events(bodies: Vec<RunEventBody>) -> Vec<RunEvent> {
    let selected = RunEventBody::Selected(Selection::example("tiny-chat", "local"));
    let head = [selected, RunEventBody::Started { prompt_tokens: 7 }];
    let usage = Usage { prompt_tokens: 7, completion_tokens: 5, cached_tokens: 0, ..Usage::default() };
    let last = bodies.len().saturating_sub(1);
    let (middle, end) = bodies.split_at(last);
    let all =
        head.into_iter().chain(middle.to_vec()).chain([RunEventBody::Usage { usage }]).chain(end.to_vec());
    (1..).zip(all).map(|(seq, body)| RunEvent { seq, body }).collect()
}

fn renderer(fields: Value) -> ChatRenderer {
    serde_json::from_value::<ChatRequest>(with(fields)).unwrap().renderer(RunId::new())
}

/// The first choice or the usage of each chunk.
fn chunks(request: Value, events: &[RunEvent]) -> Vec<Value> {
    let mut renderer = renderer(request);
    let frames = events.iter().flat_map(|event| renderer.frames(event));
    let chunks = frames.map(|frame| serde_json::from_str::<Value>(&frame.data).unwrap());
    chunks
        .map(
            |chunk| {
                if chunk["usage"].is_null() { chunk["choices"][0].clone() } else { chunk["usage"].clone() }
            },
        )
        .collect()
}

fn begin(choice: u32, index: u32, name: &str) -> RunEventBody {
    let begins = Some(ToolCallBegin { id: format!("call_{index}"), name: name.into() });
    RunEventBody::ToolCall { choice, index, begins, arguments: String::new() }
}

fn arguments(choice: u32, index: u32, arguments: &str) -> RunEventBody {
    RunEventBody::ToolCall { choice, index, begins: None, arguments: arguments.into() }
}

fn delta(choice: u32, text: &str) -> RunEventBody {
    RunEventBody::Delta { choice, text: text.into(), logprobs: Vec::new() }
}

fn done(finish_reason: FinishReason) -> RunEventBody {
    RunEventBody::Done { finish_reason }
}

#[test]
fn text_stream_has_role_deltas_end_and_usage() {
    let events = events(vec![delta(0, "Hel"), delta(0, "lo"), done(FinishReason::Stop)]);
    let chunks = chunks(json!({"stream_options": {"include_usage": true}}), &events);
    let none = json!(null);
    let expected = [
        json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": none, "finish_reason": none}),
        json!({"index": 0, "delta": {"content": "Hel"}, "logprobs": none, "finish_reason": none}),
        json!({"index": 0, "delta": {"content": "lo"}, "logprobs": none, "finish_reason": none}),
        json!({"index": 0, "delta": {}, "logprobs": none, "finish_reason": "stop"}),
        json!({
            "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }),
    ];
    assert_eq!(chunks, expected);
}

#[test]
fn calls_are_rendered_in_pieces_and_whole() {
    let events = events(vec![
        begin(0, 0, "get_weather"),
        arguments(0, 0, "{\"city\":"),
        arguments(0, 0, "\"Paris\"}"),
        begin(0, 1, "add"),
        arguments(0, 1, "{}"),
        done(FinishReason::ToolCalls),
    ]);
    let deltas: Vec<Value> = chunks(json!({"tools": [weather(), add()]}), &events)
        .into_iter()
        .map(|c| c["delta"].clone())
        .collect();
    let piece =
        |index: u32, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
    let first = |index: u32, name: &str| {
        let function = json!({"name": name, "arguments": ""});
        json!({"tool_calls": [{
            "index": index, "id": format!("call_{index}"), "type": "function", "function": function,
        }]})
    };
    let expected = [
        json!({"role": "assistant"}),
        first(0, "get_weather"),
        piece(0, "{\"city\":"),
        piece(0, "\"Paris\"}"),
        first(1, "add"),
        piece(1, "{}"),
        json!({}),
    ];
    assert_eq!(deltas, expected);

    let whole = json!(renderer(json!({"tools": [weather()]})).into_answer(&events).unwrap());
    let choice = &whole["choices"][0];
    assert_eq!(
        (&choice["message"]["content"], &choice["finish_reason"]),
        (&json!(null), &json!("tool_calls"))
    );
    let function = json!({"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"});
    assert_eq!(
        choice["message"]["tool_calls"][0],
        json!({"id": "call_0", "type": "function", "function": function})
    );
    assert_eq!(choice["message"]["tool_calls"][1]["function"]["name"], "add");
}

#[test]
fn each_choice_ends_once() {
    let early = RunEventBody::ChoiceDone { choice: 1, finish_reason: FinishReason::Length };
    let late = RunEventBody::ChoiceDone { choice: 0, finish_reason: FinishReason::Stop };
    let events =
        events(vec![delta(0, "a"), delta(1, "x"), early, delta(0, "b"), late, done(FinishReason::Stop)]);
    let chunks = chunks(json!({"n": 2}), &events);
    let ends: Vec<_> = chunks.iter().filter(|c| !c["finish_reason"].is_null()).collect();
    assert_eq!(ends.len(), 2, "{chunks:?}");
    assert_eq!((&ends[0]["index"], &ends[0]["finish_reason"]), (&json!(1), &json!("length")));
    assert_eq!((&ends[1]["index"], &ends[1]["finish_reason"]), (&json!(0), &json!("stop")));
    let with_role: Vec<_> =
        chunks.iter().filter(|c| c["delta"]["role"] == "assistant").map(|c| &c["index"]).collect();
    assert_eq!(with_role, [0, 1]);
    assert_eq!(chunks[1]["delta"]["role"], "assistant", "every choice has its role chunk before any delta");

    let whole = json!(renderer(json!({"n": 2})).into_answer(&events).unwrap());
    let texts: Vec<_> =
        whole["choices"].as_array().unwrap().iter().map(|c| &c["message"]["content"]).collect();
    assert_eq!(texts, ["ab", "x"]);
    assert_eq!(whole["choices"][1]["finish_reason"], "length");
    assert!(whole["choices"][0]["message"].get("tool_calls").is_none(), "{whole}");
}

#[test]
fn logprobs_are_rendered_with_their_text() {
    let logprob = |text: &str, logprob| Logprob { bytes: text.into(), logprob };
    let half = Logprob { bytes: vec![0xce], logprob: f32::NEG_INFINITY };
    let logprobs = vec![TokenLogprob { token: logprob("Hi", -0.5), top: vec![logprob("Hi", -0.5), half] }];
    let delta = RunEventBody::Delta { choice: 0, text: "Hi".into(), logprobs };
    let events = events(vec![delta, done(FinishReason::Stop)]);
    let hi = json!({"token": "Hi", "logprob": -0.5, "bytes": [72, 105]});
    let half = json!({"token": "\u{fffd}", "logprob": -9999.0, "bytes": [0xce]});
    let mut entry = hi.clone();
    entry["top_logprobs"] = json!([hi, half]);
    let expected = json!({"content": [entry], "refusal": null});
    let request = json!({"logprobs": true, "top_logprobs": 2});
    assert_eq!(chunks(request.clone(), &events)[1]["logprobs"], expected);
    assert_eq!(json!(renderer(request).into_answer(&events).unwrap())["choices"][0]["logprobs"], expected);
}

#[test]
fn refusal_is_rendered_in_its_own_field() {
    let refusal = |text: &str| RunEventBody::Refusal { choice: 0, text: text.into() };
    let events = events(vec![refusal("I'd "), refusal("rather not."), done(FinishReason::ContentFilter)]);
    let chunks = chunks(json!({"tools": [add()]}), &events);
    let deltas: Vec<&Value> = chunks.iter().map(|chunk| &chunk["delta"]).collect();
    let refusals = [json!({"refusal": "I'd "}), json!({"refusal": "rather not."})];
    assert_eq!(deltas, [&json!({"role": "assistant"}), &refusals[0], &refusals[1], &json!({})]);
    assert_eq!(chunks[3]["finish_reason"], "stop");
    let whole = json!(renderer(json!({})).into_answer(&events).unwrap());
    let choice = &whole["choices"][0];
    assert_eq!(
        (&choice["message"]["content"], &choice["message"]["refusal"], &choice["finish_reason"]),
        (&json!(null), &json!("I'd rather not."), &json!("stop"))
    );
}

#[test]
fn signed_reasoning_survives_a_round_trip() {
    let reasoning = |index: u32, text: &str, signature: Option<&str>| {
        let added = Reasoning { text: text.into(), signature: signature.map(Into::into), encrypted: None };
        RunEventBody::Reasoning { choice: 0, index, added }
    };
    let bodies = vec![
        reasoning(0, "H", None),
        reasoning(0, "m.", None),
        reasoning(0, "", Some("s")),
        delta(0, "Yes."),
    ];
    let events = events([bodies, vec![done(FinishReason::Stop)]].concat());
    let chunks = chunks(json!({}), &events);
    let signed = json!({"type": "reasoning.text", "index": 0, "text": "Hm.", "signature": "s"});
    assert_eq!(chunks[1]["delta"], json!({"reasoning_content": "H"}));
    assert_eq!(chunks[3]["delta"], json!({"reasoning_details": [signed]}));
    let whole = json!(renderer(json!({})).into_answer(&events).unwrap());
    let message = &whole["choices"][0]["message"];
    assert_eq!(
        (&message["reasoning_content"], &message["reasoning_details"]),
        (&json!("Hm."), &json!([signed]))
    );
    let messages = json!([{"role": "user", "content": "Hi"}, message, {"role": "user", "content": "Why?"}]);
    let parsed = task(json!({"messages": messages}));
    let block = Reasoning { text: "Hm.".into(), signature: Some("s".into()), encrypted: None };
    assert_eq!(parsed.messages[1].reasoning, [block]);
}
