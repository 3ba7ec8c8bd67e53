use hearth_domain::{
    Attachment, AttachmentContent, ClientDialect, Delivery, Extra, FinishReason, Generation, Image, Message,
    ModelId, PartExtra, PartPlace, PlacedImage, Reasoning, ResponseFormat, Role, RunId, Sampling,
    SchemaLabel, TextTask, Tool, ToolCall, ToolChoice, Usage,
};
use hearth_wire::RunEventBody;
use serde_json::{Value, json};

use super::{COMMON, Quirks, SentThoughts, stream::ChatDecoder};
use crate::{
    Call, Decoder as _, Frame,
    dialect::{AnswerMode, Dialect},
};

fn call(task: TextTask) -> Call {
    Call {
        run: RunId::new(),
        model: ModelId::new("gpt-x"),
        generation: Generation::new(None, task).into(),
        delivery: Delivery::Stream,
        trace: Default::default(),
    }
}

fn body(quirks: &'static Quirks, call: &Call, task: &TextTask) -> Value {
    Dialect::OpenAiChat(quirks).body(call, task, AnswerMode::Stream).unwrap().to_value()
}

fn body_of(quirks: &'static Quirks, task: &TextTask) -> Value {
    body(quirks, &call(task.clone()), task)
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

#[test]
fn every_kind_of_message_is_converted() {
    let image = PlacedImage { at: 5, image: Image::at("https://example.org/a.png") };
    let call = ToolCall { id: "c1".into(), name: "look".into(), arguments: "{}".into() };
    let messages = vec![
        Message::new(Role::System, "Be brief."),
        Message { images: vec![image], ..user("What is this?") },
        Message { tool_calls: vec![call], ..Message::new(Role::Assistant, "") },
        Message {
            tool_call_id: Some("c1".into()),
            name: Some("look".into()),
            ..Message::new(Role::Tool, "a cat")
        },
    ];
    let sampling = Sampling {
        temperature: Some(0.7),
        seed: Some(7),
        max_tokens: Some(9),
        top_k: Some(3),
        stop: vec!["X".into()],
        ..Sampling::default()
    };
    let tool =
        Tool { name: "look".into(), description: None, parameters: json!({"type": "object"}), strict: true };
    let task = TextTask {
        tools: vec![tool],
        tool_choice: ToolChoice::Required,
        parallel_tool_calls: false,
        response_format: ResponseFormat::JsonObject,
        ..TextTask::new(messages, sampling)
    };
    assert_eq!(
        body_of(&COMMON, &task),
        json!({
            "model": "gpt-x",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "What "},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                    {"type": "text", "text": "is this?"},
                ]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
                ]},
                {"role": "tool", "content": "a cat", "tool_call_id": "c1"},
            ],
            "stream": true, "stream_options": {"include_usage": true},
            "temperature": 0.7, "max_tokens": 9, "stop": ["X"], "seed": 7,
            "tools": [{"type": "function", "function": {
                "name": "look", "parameters": {"type": "object"}, "strict": true}}],
            "tool_choice": "required", "parallel_tool_calls": false,
            "response_format": {"type": "json_object"},
        })
    );
}

#[test]
fn unknown_fields_are_passed_on_to_the_same_dialect_only() {
    let task = TextTask::new(vec![user("Hi")], Sampling::default());
    for (dialect, passed) in [(ClientDialect::OpenAiChat, true), (ClientDialect::Anthropic, false)] {
        let mut call = call(task.clone());
        // The gateway's own fields replace the client's.
        let fields = json!({"service_tier": "flex", "stream": false});
        std::sync::Arc::make_mut(&mut call.generation).extra =
            Extra::new(dialect, fields.as_object().unwrap().clone());
        let body = body(&COMMON, &call, &task);
        assert_eq!((body.get("service_tier").is_some(), &body["stream"]), (passed, &json!(true)));
    }
}

#[test]
fn quirks_change_the_names_of_fields() {
    const ODD: Quirks = Quirks {
        max_tokens: "max_completion_tokens",
        seed: Some("random_seed"),
        forced_call: "any",
        ..COMMON
    };
    let sampling = Sampling { seed: Some(1), max_tokens: Some(2), ..Sampling::default() };
    let tool = Tool { name: "a".into(), description: None, parameters: json!({}), strict: false };
    let task = TextTask {
        tools: vec![tool],
        tool_choice: ToolChoice::Required,
        ..TextTask::new(vec![user("Hi")], sampling)
    };
    let body = body_of(&ODD, &task);
    assert_eq!(
        (&body["random_seed"], &body["max_completion_tokens"], &body["tool_choice"]),
        (&json!(1), &json!(2), &json!("any"))
    );
}

/// The converted messages of a client with this dialect.
fn messages_of(quirks: &'static Quirks, dialect: ClientDialect, messages: Vec<Message>) -> Value {
    let task = TextTask::new(messages, Sampling::default());
    let mut call = call(task.clone());
    std::sync::Arc::make_mut(&mut call.generation).extra = Extra::new(dialect, serde_json::Map::new());
    body(quirks, &call, &task)["messages"].clone()
}

#[test]
fn images_of_results_follow_in_a_message_of_the_user() {
    let result = |id: &str, text: &str, images| Message {
        tool_call_id: Some(id.into()),
        name: Some("look".into()),
        images,
        ..Message::new(Role::Tool, text)
    };
    let image = PlacedImage { at: 4, image: Image::at("data:image/png;base64,AAAA") };
    let messages = vec![
        result("a", "shot", vec![image.clone()]),
        result("b", "", vec![image]),
        result("c", "x", vec![]),
        user("And?"),
    ];
    let shown = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let by = json!({"type": "text", "text": "Shown by look:"});
    assert_eq!(
        messages_of(&COMMON, ClientDialect::Anthropic, messages),
        json!([
            {"role": "tool", "content": "shot", "tool_call_id": "a"},
            {"role": "tool", "content": "(The result is shown in the next message.)", "tool_call_id": "b"},
            {"role": "tool", "content": "x", "tool_call_id": "c"},
            {"role": "user", "content": [by, shown, by, shown]},
            {"role": "user", "content": "And?"},
        ])
    );
}

#[test]
fn thoughts_are_sent_back_to_vendors_that_accept_them() {
    const ALL: Quirks = Quirks { sent_thoughts: SentThoughts::All, ..COMMON };
    const REQUIRED: Quirks = Quirks { sent_thoughts: SentThoughts::RequiredWithCalls, ..COMMON };
    let tool_calls = vec![ToolCall { id: "c1".into(), name: "look".into(), arguments: "{}".into() }];
    let thought = |text: &str, signature: Option<&str>| Reasoning {
        text: text.into(),
        signature: signature.map(Into::into),
        encrypted: None,
    };
    let turn = |reasoning: Vec<Reasoning>| Message {
        reasoning,
        tool_calls: tool_calls.clone(),
        ..Message::new(Role::Assistant, "")
    };
    let sent = |quirks, message: Message| {
        messages_of(quirks, ClientDialect::OpenAiChat, vec![message])[0].get("reasoning_content").cloned()
    };
    let open = turn(vec![thought("Hm.", None)]);
    assert_eq!(sent(&COMMON, open.clone()), None);
    assert_eq!(sent(&ALL, open.clone()), Some(json!("Hm.")));
    assert_eq!(sent(&REQUIRED, open), Some(json!("Hm.")));
    assert_eq!((sent(&ALL, turn(vec![])), sent(&REQUIRED, turn(vec![]))), (None, Some(json!(""))));
    // Another vendor's.
    assert_eq!(sent(&ALL, turn(vec![thought("Hm.", None), thought("", Some("sealed"))])), None);
    assert_eq!(sent(&REQUIRED, Message::new(Role::Assistant, "Hi")), None);
}

#[test]
fn parts_with_unknown_fields_stay_parts_in_the_same_dialect() {
    const MARKS: Quirks = Quirks { cache_marks: true, ..COMMON };
    let fields = |value: Value| value.as_object().unwrap().clone();
    let marked = Message {
        attachments: vec![Attachment { at: 4, images_before: 0, content: AttachmentContent::Break(1) }],
        extra: vec![
            PartExtra { of: PartPlace::Part(1), fields: fields(json!({"cache_control": 1, "x": 2})) },
            PartExtra { of: PartPlace::Message, fields: fields(json!({"partial": true})) },
        ],
        ..user("One.\nTwo.")
    };
    let converted = |quirks, dialect| messages_of(quirks, dialect, vec![marked.clone()])[0].clone();
    let one = json!({"type": "text", "text": "One."});
    assert_eq!(
        converted(&COMMON, ClientDialect::OpenAiChat),
        json!({"role": "user", "partial": true, "content": [one, {"type": "text", "text": "Two.", "cache_control": 1, "x": 2}]})
    );
    assert_eq!(
        converted(&COMMON, ClientDialect::Anthropic),
        json!({"role": "user", "content": "One.\nTwo."})
    );
    assert_eq!(
        converted(&MARKS, ClientDialect::Anthropic),
        json!({"role": "user", "content": [one, {"type": "text", "text": "Two.", "cache_control": 1}]})
    );
}

#[test]
fn schema_keeps_its_name_and_is_strict_if_possible() {
    let converted = |dialect, schema: Value, label: SchemaLabel| {
        let task = TextTask {
            response_format: ResponseFormat::JsonSchema(schema),
            schema_label: label,
            ..TextTask::new(vec![user("Hi")], Sampling::default())
        };
        let mut call = call(task.clone());
        std::sync::Arc::make_mut(&mut call.generation).extra = Extra::new(dialect, serde_json::Map::new());
        body(&COMMON, &call, &task)["response_format"]["json_schema"].clone()
    };
    let text = json!({"type": "string"});
    let optional = json!({"type": "object", "properties": {"a": text, "b": text}, "required": ["a"]});
    let full = json!({"type": "object", "properties": {"a": text}, "required": ["a"]});
    let closed = json!({"type": "object", "properties": {"a": text}, "required": ["a"], "additionalProperties": false});
    let label = |name: &str, strict| SchemaLabel {
        name: Some(name.into()),
        description: Some("Who.".into()),
        strict,
    };
    let none = SchemaLabel::default();
    let (chat, messages) = (ClientDialect::OpenAiChat, ClientDialect::Anthropic);
    assert_eq!(
        converted(chat, optional.clone(), label("a person", Some(false))),
        json!({"name": "a_person", "description": "Who.", "schema": optional, "strict": false})
    );
    assert_eq!(converted(chat, full.clone(), none.clone()), json!({"name": "response", "schema": full}));
    assert_eq!(
        converted(messages, full, none.clone()),
        json!({"name": "response", "schema": closed, "strict": true})
    );
    assert_eq!(converted(messages, optional.clone(), none), json!({"name": "response", "schema": optional}));
}

/// The events of a stream of these frames, to its end.
fn events(frames: &[Value]) -> Result<Vec<RunEventBody>, hearth_wire::ApiError> {
    let mut decoder = ChatDecoder::default();
    let mut events = Vec::new();
    for frame in frames {
        decoder.decode(Frame { event: "", data: &frame.to_string() }, &mut events)?;
    }
    decoder.decode(Frame { event: "", data: "[DONE]" }, &mut events)?;
    Ok(events)
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

#[test]
fn text_thoughts_calls_and_usage_are_decoded() {
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2}});
    let events = events(&[
        chunk(json!({"role": "assistant", "content": ""}), None),
        chunk(json!({"reasoning_content": "Hm."}), None),
        chunk(json!({"content": "It"}), None),
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
            None,
        ),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}), None),
        // Without an index, and with the arguments as an object.
        chunk(json!({"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": {"x": 1}}}]}), None),
        chunk(json!({}), Some("tool_calls")),
        json!({"choices": [], "usage": usage}),
    ])
    .unwrap();
    let emitted: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(
        emitted,
        [
            json!({"event": "reasoning", "index": 0, "text": "Hm."}),
            json!({"event": "delta", "text": "It"}),
            json!({"event": "tool_call", "index": 0, "begins": {"id": "a", "name": "f"}, "arguments": ""}),
            json!({"event": "tool_call", "index": 0, "arguments": "{}"}),
            json!({"event": "tool_call", "index": 1, "begins": {"id": "b", "name": "g"}, "arguments": "{\"x\":1}"}),
            serde_json::to_value(RunEventBody::Usage {
                usage: Usage {
                    prompt_tokens: 9,
                    completion_tokens: 5,
                    cached_tokens: 4,
                    reasoning_tokens: 2,
                    ..Usage::default()
                },
            })
            .unwrap(),
            json!({"event": "done", "finish_reason": "tool_calls"}),
        ]
    );
}

#[test]
fn each_of_several_answers_has_its_finish_reason() {
    let choice = |index: u32, delta: Value, finish: Option<&str>| json!({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]});
    let events = events(&[
        choice(1, json!({"content": "b"}), None),
        choice(0, json!({"content": "a"}), None),
        choice(1, json!({}), Some("length")),
        choice(0, json!({}), Some("stop")),
    ])
    .unwrap();
    assert!(events.contains(&RunEventBody::ChoiceDone { choice: 1, finish_reason: FinishReason::Length }));
    assert_eq!(events.last(), Some(&RunEventBody::Done { finish_reason: FinishReason::Stop }));
}

#[test]
fn refusal_and_stop_text_are_decoded() {
    let refused = events(&[chunk(json!({"refusal": "No."}), None), chunk(json!({}), Some("stop"))]).unwrap();
    let (choice, text) = (0, "No.".to_owned());
    let done = RunEventBody::Done { finish_reason: FinishReason::ContentFilter };
    assert_eq!(refused, [RunEventBody::Refusal { choice, text }, done]);
    // vLLM sends the text, or the number of the token that ended the answer.
    for (stop_reason, stop) in [(json!("END"), Some("END")), (json!(128_009), None), (json!(null), None)] {
        let mut last = chunk(json!({}), Some("stop"));
        last["choices"][0]["stop_reason"] = stop_reason;
        let stop = stop.map(|text| RunEventBody::StopText { choice, text: text.to_owned() });
        let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
        assert_eq!(events(&[last]).unwrap(), stop.into_iter().chain([done]).collect::<Vec<_>>());
    }
}

#[test]
fn unknown_finish_reason_is_an_error_that_shows_it() {
    for reason in ["error", "insufficient_system_resource", "abort", "brand_new"] {
        let begun = chunk(json!({"content": "a"}), None);
        let error = events(&[begun, chunk(json!({}), Some(reason))]).unwrap_err();
        assert!(error.code.as_str() == "provider_error" && error.message.contains(reason), "{error}");
    }
    for (reason, finish_reason) in [
        ("eos_token", FinishReason::Stop),
        ("MAX_TOKENS", FinishReason::Length),
        ("sensitive", FinishReason::ContentFilter),
    ] {
        assert_eq!(
            events(&[chunk(json!({}), Some(reason))]).unwrap(),
            [RunEventBody::Done { finish_reason }]
        );
    }
}

#[test]
fn incomplete_answer_beside_a_complete_one_is_an_error() {
    let choice = |index: u32, finish: Option<&str>| json!({"choices": [{"index": index, "delta": {"content": "a"}, "finish_reason": finish}]});
    assert!(events(&[choice(0, Some("stop")), choice(1, None)]).is_err());
    assert!(events(&[choice(1, Some("stop"))]).is_err());
}

#[test]
fn content_in_parts_is_decoded_as_text_and_thoughts() {
    let thinking = json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "reference", "reference_ids": [1]}]});
    let text = json!({"content": [{"type": "text", "text": "It"}, {"type": "text", "text": " is"}, null]});
    let events =
        events(&[chunk(thinking, None), chunk(text, None), chunk(json!({"content": 7}), Some("stop"))])
            .unwrap();
    let emitted: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    let done = json!({"event": "done", "finish_reason": "stop"});
    assert_eq!(
        emitted,
        [
            json!({"event": "reasoning", "index": 0, "text": "Hm."}),
            json!({"event": "delta", "text": "It is"}),
            done
        ]
    );
}

#[test]
fn last_usage_that_isnt_zero_counts() {
    let usage =
        |prompt: Value| json!({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": null}});
    let end = chunk(json!({}), Some("stop"));
    let events =
        events(&[usage(json!(null)), usage(json!(1)), end, usage(json!(7)), usage(json!(0))]).unwrap();
    assert!(matches!(events[0], RunEventBody::Usage { usage } if usage.prompt_tokens == 7), "{events:?}");
}

#[test]
fn error_chunk_and_early_end_are_errors() {
    let begun = chunk(json!({"content": "a"}), None);
    let broken = events(std::slice::from_ref(&begun)).unwrap_err();
    assert!(broken.message.contains("broke off"), "{broken}");
    let limited = events(&[begun, json!({"error": {"message": "slow", "code": 429}})]).unwrap_err();
    assert_eq!(limited.code.as_str(), "provider_rate_limited");
    let overloaded =
        [json!({"message": "busy", "code": 529}), json!({"message": "busy", "type": "overloaded_error"})];
    for error in overloaded {
        assert_eq!(events(&[json!({"error": error})]).unwrap_err().code.as_str(), "provider_rate_limited");
    }
    assert!(events(&[json!(["no chunk"])]).is_err());
    assert!(
        events(&[chunk(json!({"tool_calls": [{"index": 3, "function": {"arguments": "{"}}]}), None)])
            .is_err()
    );
}
