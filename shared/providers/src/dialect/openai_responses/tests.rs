use hearth_domain::{
    Attachment, AttachmentContent, ClientDialect, Delivery, Document, DocumentSource, Extra, FinishReason,
    Generation, Image, Message, ModelId, Opaque, PlacedImage, Reasoning, ReasoningEffort, ResponseFormat,
    Role, RunId, Sampling, TextTask, Tool, ToolCall, ToolChoice, Usage,
};
use hearth_wire::{ApiError, ErrorCode, RunEventBody, answer::Answers, extension::Extension};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::stream::ResponsesDecoder;
use crate::{
    Call, Decoder as _, Frame,
    dialect::{AnswerMode, Dialect},
};

fn call(model: &str, task: TextTask) -> Call {
    Call {
        run: RunId::new(),
        model: ModelId::new(model),
        generation: Generation::new(None, task).into(),
        delivery: Delivery::Stream,
        trace: Default::default(),
    }
}

fn body(call: &Call, task: &TextTask) -> Value {
    Dialect::OpenAiResponses.body(call, task, AnswerMode::Stream).unwrap().to_value()
}

fn body_for(model: &str, task: &TextTask) -> Value {
    body(&call(model, task.clone()), task)
}

fn plain() -> TextTask {
    TextTask::new(vec![Message::new(Role::User, "Hi")], Sampling::default())
}

#[test]
fn every_kind_of_message_is_converted() {
    let image = PlacedImage { at: 5, image: Image::at("data:image/png;base64,AAAA") };
    let shown = PlacedImage {
        at: 0,
        image: Image { detail: Some("low".into()), ..Image::at("https://example.org/a.png") },
    };
    let tool_call = |id: &str| ToolCall { id: id.into(), name: "look".into(), arguments: "{}".into() };
    let reasoning = vec![
        Reasoning { text: "Hm.".into(), encrypted: Some("openai:gAAA".into()), signature: None },
        Reasoning { text: "Another vendor's.".into(), signature: Some("s".into()), encrypted: None },
        Reasoning { encrypted: Some("another vendor's".into()), ..Reasoning::default() },
        Reasoning { encrypted: Some("openai:gBBB".into()), ..Reasoning::default() },
    ];
    let result = |id: &str, text: &str| Message {
        tool_call_id: Some(id.into()),
        name: Some("look".into()),
        ..Message::new(Role::Tool, text)
    };
    let messages = vec![
        Message::new(Role::System, "Be brief."),
        Message { images: vec![image], ..Message::new(Role::User, "What is this?") },
        Message {
            reasoning,
            tool_calls: vec![tool_call("c1"), tool_call("c2")],
            ..Message::new(Role::Assistant, "I look.")
        },
        Message { failed: true, ..result("c1", "it is dark") },
        Message { images: vec![shown], ..result("c2", "") },
    ];
    let sampling = Sampling {
        temperature: Some(0.7),
        top_p: Some(0.9),
        max_tokens: Some(64),
        seed: Some(7),
        ..Sampling::default()
    };
    let tool = Tool {
        name: "look".into(),
        description: Some("Looks".into()),
        parameters: json!({"type": "object"}),
        strict: false,
    };
    let task = TextTask {
        tools: vec![tool],
        tool_choice: ToolChoice::Named("look".into()),
        parallel_tool_calls: false,
        response_format: ResponseFormat::JsonSchema(json!({"type": "object"})),
        reasoning: Some(ReasoningEffort::Low),
        top_logprobs: Some(2),
        ..TextTask::new(messages, sampling)
    };
    assert_eq!(
        body_for("gpt-5", &task),
        json!({
            "model": "gpt-5",
            "input": [
                {"type": "message", "role": "system", "content": "Be brief."},
                {"type": "message", "role": "user", "content": [
                    {"type": "input_text", "text": "What "},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
                    {"type": "input_text", "text": "is this?"},
                ]},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAA"},
                {"type": "reasoning", "summary": [], "encrypted_content": "gBBB"},
                {"type": "message", "role": "assistant", "content": "I look."},
                {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
                {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "it is dark"},
                {"type": "function_call_output", "call_id": "c2", "output": [
                    {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
                ]},
            ],
            "stream": true, "store": false,
            "include": ["reasoning.encrypted_content", "message.output_text.logprobs"], "top_logprobs": 2,
            "temperature": 0.7, "top_p": 0.9, "max_output_tokens": 64,
            "tools": [{"type": "function", "name": "look", "description": "Looks",
                "parameters": {"type": "object"}, "strict": false}],
            "tool_choice": {"type": "function", "name": "look"}, "parallel_tool_calls": false,
            "text": {"format": {"type": "json_schema", "name": "response", "schema": {"type": "object", "additionalProperties": false}, "strict": true}},
            "reasoning": {"effort": "low"},
        })
    );
}

#[test]
fn encrypted_thoughts_are_requested_from_reasoning_models_only() {
    for (model, thinks) in [
        ("gpt-5", true),
        ("o4-mini", true),
        ("gpt-5-chat-latest", false),
        ("gpt-4o", false),
        ("gpt-4.1-mini", false),
    ] {
        assert_eq!(body_for(model, &plain()).get("include").is_some(), thinks, "{model}");
    }
}

#[test]
fn unknown_fields_of_a_client_of_this_dialect_are_passed_on() {
    let fields = json!({
        "service_tier": "flex", "store": true, "text": {"verbosity": "low"}, "reasoning": {"summary": "auto"},
    });
    let task = TextTask {
        response_format: ResponseFormat::JsonObject,
        reasoning: Some(ReasoningEffort::High),
        ..plain()
    };
    let with = |dialect| {
        let mut call = call("gpt-5", task.clone());
        std::sync::Arc::make_mut(&mut call.generation).extra =
            Extra::new(dialect, fields.as_object().unwrap().clone());
        body(&call, &task)
    };
    let own = with(ClientDialect::OpenAiResponses);
    assert_eq!((&own["service_tier"], &own["store"]), (&json!("flex"), &json!(false)));
    assert_eq!(own["text"], json!({"verbosity": "low", "format": {"type": "json_object"}}));
    assert_eq!(own["reasoning"], json!({"summary": "auto", "effort": "high"}));
    let other = with(ClientDialect::OpenAiChat);
    assert_eq!(
        (other.get("service_tier"), &other["text"]),
        (None, &json!({"format": {"type": "json_object"}}))
    );
}

#[test]
fn documents_and_unknown_items_keep_their_places() {
    let attached = |at, content| Attachment { at, images_before: 0, content };
    let file = |source| AttachmentContent::Document(Document { source, name: Some("a.pdf".into()) });
    let data = DocumentSource::Data { media_type: "application/pdf".into(), data: "AAAA".into() };
    let item = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
    let searched = AttachmentContent::Opaque(Opaque { param: "input[1]".into(), value: item.clone() });
    let messages = vec![
        Message {
            attachments: vec![
                attached(0, file(data)),
                attached(0, file(DocumentSource::Url("https://example.org/a.pdf".into()))),
                attached(0, file(DocumentSource::Text("plain".into()))),
            ],
            ..Message::new(Role::User, "Sum up.")
        },
        Message { attachments: vec![attached(4, searched)], ..Message::new(Role::Assistant, "Hm. A cat.") },
    ];
    let body = body_for("gpt-4o", &TextTask::new(messages, Sampling::default()));
    assert_eq!(
        body["input"],
        json!([
            {"type": "message", "role": "user", "content": [
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
                {"type": "input_file", "file_url": "https://example.org/a.pdf"},
                {"type": "input_text", "text": "a.pdf:\nplain"},
                {"type": "input_text", "text": "Sum up."},
            ]},
            {"type": "message", "role": "assistant", "content": "Hm. "},
            item,
            {"type": "message", "role": "assistant", "content": "A cat."},
        ])
    );
}

#[test]
fn reasoning_texts_items_and_calls_keep_their_order() {
    let item = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
    let place = |at, content| Attachment { at, images_before: 0, content };
    let searched = || AttachmentContent::Opaque(Opaque { param: "output".into(), value: item.clone() });
    let call = |id: &str| ToolCall { id: id.into(), name: "look".into(), arguments: "{}".into() };
    let block = |encrypted: &str| Reasoning { encrypted: Some(encrypted.into()), ..Reasoning::default() };
    let message = Message {
        attachments: vec![
            place(1, AttachmentContent::Call),
            place(1, AttachmentContent::Reasoning),
            place(1, searched()),
            // Not OpenAI's: nothing stands between the texts.
            place(2, AttachmentContent::Reasoning),
            place(3, AttachmentContent::Reasoning),
        ],
        reasoning: vec![block("openai:A"), block("openai:B"), block("EncR"), block("openai:C")],
        tool_calls: vec![call("c1"), call("c2")],
        ..Message::new(Role::Assistant, "abc")
    };
    let body = body_for("gpt-5", &TextTask::new(vec![message], Sampling::default()));
    let function_call =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "look", "arguments": "{}"});
    let reasoning =
        |encrypted: &str| json!({"type": "reasoning", "summary": [], "encrypted_content": encrypted});
    let text = |text: &str| json!({"type": "message", "role": "assistant", "content": text});
    assert_eq!(
        body["input"],
        json!([
            reasoning("A"),
            text("a"),
            function_call("c1"),
            reasoning("B"),
            item,
            text("bc"),
            reasoning("C"),
            function_call("c2"),
        ])
    );
}

fn decode(decoder: &mut ResponsesDecoder, frame: &Value) -> Result<Vec<RunEventBody>, ApiError> {
    let mut events = Vec::new();
    let event = frame["type"].as_str().unwrap_or_default();
    decoder.decode(Frame { event, data: &frame.to_string() }, &mut events)?;
    Ok(events)
}

fn events(frames: &[Value]) -> Result<Vec<RunEventBody>, ApiError> {
    let mut decoder = ResponsesDecoder::default();
    let mut events = Vec::new();
    for frame in frames {
        events.extend(decode(&mut decoder, frame)?);
    }
    if events.last().is_some_and(RunEventBody::is_terminal) {
        return Ok(events);
    }
    events.extend(decoder.end()?);
    Ok(events)
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn item(event: &str, place: u32, item: Value) -> Value {
    json!({"type": format!("response.output_item.{event}"), "sequence_number": 0, "output_index": place, "item": item})
}

fn delta(kind: &str, place: u32, delta: &str) -> Value {
    json!({"type": format!("response.{kind}.delta"), "item_id": "x", "output_index": place, "delta": delta})
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn ends(status: &str, response: Value) -> Value {
    json!({"type": format!("response.{status}"), "response": response})
}

fn ended() -> Value {
    ends(
        "completed",
        json!({"id": "resp_1", "status": "completed", "error": null, "incomplete_details": null, "usage": null}),
    )
}

#[test]
fn thoughts_text_calls_and_usage_are_decoded() {
    let usage = json!({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 14});
    let thoughts = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA"});
    let whole = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA",
        "summary": [{"type": "summary_text", "text": "Hm."}, {"type": "summary_text", "text": "So."}]});
    let function_call = |id: &str, arguments: &str| json!({"type": "function_call", "id": "fc_1", "call_id": id, "name": "look", "arguments": arguments});
    let look = |arguments: &str| function_call("c1", arguments);
    let part = |index: u32| {
        json!({"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": index,
        "part": {"type": "summary_text", "text": ""}})
    };
    let logprobs = json!([{"token": "It", "logprob": -0.5, "bytes": [73, 116],
        "top_logprobs": [{"token": "It", "logprob": -0.5, "bytes": [73, 116]}]}]);
    let mut it = delta("output_text", 1, "It");
    it["logprobs"] = logprobs;
    let events = events(&[
        json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "usage": null}}),
        item("added", 0, thoughts),
        part(0),
        delta("reasoning_summary_text", 0, "Hm."),
        part(1),
        delta("reasoning_summary_text", 0, "So."),
        item("done", 0, whole),
        item("added", 1, json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []})),
        it,
        json!({"type": "response.output_text.done", "output_index": 1, "content_index": 0, "text": "It"}),
        item("added", 2, look("")),
        delta("function_call_arguments", 2, "{}"),
        item("done", 2, look("{}")),
        // Without deltas, and without a beginning.
        item("done", 3, function_call("c2", "{\"a\":1}")),
        ends("completed", json!({"usage": usage})),
    ])
    .unwrap();
    let emitted: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    let begins = |id: &str| json!({"id": id, "name": "look"});
    let token = json!({"bytes": [73, 116], "logprob": -0.5});
    let usage = Usage {
        prompt_tokens: 9,
        completion_tokens: 5,
        cached_tokens: 4,
        reasoning_tokens: 2,
        ..Usage::default()
    };
    assert_eq!(
        emitted,
        [
            json!({"event": "reasoning", "index": 0, "text": "Hm."}),
            json!({"event": "reasoning", "index": 0, "text": "\n\n"}),
            json!({"event": "reasoning", "index": 0, "text": "So."}),
            json!({"event": "reasoning", "index": 0, "text": "", "encrypted": "openai:gAAA"}),
            json!({"event": "delta", "text": "It", "logprobs": [{"bytes": [73, 116], "logprob": -0.5, "top": [token]}]}),
            json!({"event": "tool_call", "index": 0, "begins": begins("c1"), "arguments": ""}),
            json!({"event": "tool_call", "index": 0, "arguments": "{}"}),
            json!({"event": "tool_call", "index": 1, "begins": begins("c2"), "arguments": ""}),
            json!({"event": "tool_call", "index": 1, "arguments": "{\"a\":1}"}),
            serde_json::to_value(RunEventBody::Usage { usage }).unwrap(),
            json!({"event": "done", "finish_reason": "tool_calls"}),
        ]
    );
}

#[test]
fn end_of_the_response_maps_to_finish_reason() {
    let text = delta("output_text", 0, "a");
    let refusal = delta("refusal", 0, "I won't.");
    let cut = |reason: &str| ends("incomplete", json!({"incomplete_details": {"reason": reason}}));
    let cases = [
        (vec![text.clone(), ended()], FinishReason::Stop),
        (vec![text.clone(), cut("max_output_tokens")], FinishReason::Length),
        (vec![text, cut("content_filter")], FinishReason::ContentFilter),
        (vec![refusal, ended()], FinishReason::ContentFilter),
        (
            vec![item("added", 0, json!({"type": "function_call", "call_id": "c", "name": "f"})), ended()],
            FinishReason::ToolCalls,
        ),
    ];
    for (frames, finish_reason) in cases {
        assert_eq!(events(&frames).unwrap().last(), Some(&RunEventBody::Done { finish_reason }));
    }
}

#[test]
fn items_without_deltas_are_decoded_once() {
    let message = json!({"type": "message", "content": [{"type": "output_text", "text": "It"}]});
    let text = |frames: &[Value]| -> String {
        let text = |event: &RunEventBody| match event {
            RunEventBody::Delta { text, .. } => text.clone(),
            _ => String::new(),
        };
        events(frames).unwrap().iter().map(text).collect()
    };
    let done = json!({"type": "response.output_text.done", "output_index": 0, "text": "It"});
    let whole = ends("completed", json!({"status": "completed", "output": [message]}));
    assert_eq!(text(&[item("done", 0, message.clone()), ended()]), "It");
    assert_eq!(text(&[done.clone(), item("done", 0, message.clone()), whole.clone()]), "It");
    assert_eq!(
        text(&[delta("output_text", 0, "It"), done, item("done", 0, message.clone()), whole.clone()]),
        "It"
    );
    assert_eq!(text(&[whole]), "It");
}

#[test]
fn status_that_is_not_final_is_an_error() {
    let queued = json!({"object": "response", "status": "in_progress", "output": []});
    assert_eq!(events(&[queued]).unwrap_err().code, ErrorCode::ProviderError);
    let failed = ends("completed", json!({"status": "failed", "error": {"message": "oh"}}));
    assert!(events(&[failed]).unwrap_err().message.contains("oh"));
    let stale = ends("completed", json!({"status": "in_progress"}));
    assert!(events(&[delta("output_text", 0, "a"), stale]).is_ok());
}

#[test]
fn error_event_and_early_end_are_errors() {
    let text = delta("output_text", 0, "a");
    let cases = [
        (
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": null}),
            ErrorCode::ProviderRateLimited,
        ),
        (
            json!({"type": "error", "error": {"code": "context_length_exceeded", "message": "long"}}),
            ErrorCode::ContextLengthExceeded,
        ),
        (
            ends("failed", json!({"error": {"code": "server_error", "message": "oh"}})),
            ErrorCode::ProviderError,
        ),
        (delta("function_call_arguments", 3, "{"), ErrorCode::ProviderError),
        (item("added", 0, json!({"type": "function_call", "name": "f"})), ErrorCode::ProviderError),
        (json!(["no event"]), ErrorCode::ProviderError),
    ];
    for (frame, code) in cases {
        let error = events(&[text.clone(), frame.clone()]).expect_err(&frame.to_string());
        assert_eq!(error.code, code, "{frame}: {error}");
    }
    assert!(events(&[text]).unwrap_err().message.contains("broke off"));
}

proptest! {
    /// The arguments of calls are complete, however they are split and whatever events are between the pieces.
    #[test]
    fn split_arguments_are_joined(first in "[a-z]{0,9}", second in "[a-z]{0,9}", order in proptest::collection::vec(any::<bool>(), 0..18)) {
        let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": ""});
        let mut frames = vec![item("added", 1, call("a")), item("added", 4, call("b"))];
        let (mut left, mut right) = (first.chars(), second.chars());
        for is_first in order {
            let (place, piece) = if is_first { (1, left.next()) } else { (4, right.next()) };
            frames.extend(piece.map(|piece| delta("function_call_arguments", place, &piece.to_string())));
            frames.push(json!({"type": "response.something.new", "output_index": 9, "delta": {}}));
        }
        frames.push(delta("function_call_arguments", 1, left.as_str()));
        frames.push(delta("function_call_arguments", 4, right.as_str()));
        frames.push(ended());
        let mut answers = Answers::default();
        events(&frames).unwrap().iter().for_each(|event| answers.apply(event));
        let calls: Vec<_> = answers.all()[0].tool_calls.iter().map(|call| call.arguments.clone()).collect();
        let or_empty = |arguments: String| if arguments.is_empty() { "{}".to_owned() } else { arguments };
        prop_assert_eq!(calls, [first, second].map(or_empty));
    }
}

#[test]
fn phase_of_a_message_comes_with_its_text() {
    let message = |phase: &str, text: &str| {
        let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
        json!({"type": "message", "role": "assistant", "content": content, "phase": phase})
    };
    let empty = |phase: Value| json!({"type": "message", "role": "assistant", "content": [], "phase": phase});
    let shape = |frames: &[Value]| {
        let events = events(&[frames, &[ended()]].concat()).unwrap().into_iter();
        let shape = events.filter_map(|event| match event {
            RunEventBody::Delta { text, .. } => Some(text),
            RunEventBody::Extension { extension: Extension::Phase(phase), .. } => Some(format!("<{phase}>")),
            RunEventBody::Extension { extension: Extension::TextBlock, .. } => Some("|".to_owned()),
            _ => None,
        });
        shape.collect::<String>()
    };
    let streamed = [
        item("added", 0, empty(json!("commentary"))),
        delta("output_text", 0, "a"),
        delta("output_text", 0, "b"),
        item("done", 0, message("commentary", "ab")),
        item("added", 1, empty(Value::Null)),
        delta("output_text", 1, "c"),
        item("added", 2, empty(json!("final_answer"))),
        item("done", 2, message("final_answer", "d")),
    ];
    assert_eq!(shape(&streamed), "<commentary>ab|c|<final_answer>d");
    // Some servers send it at the end alone.
    let late = [delta("output_text", 0, "a"), item("done", 0, message("commentary", "a"))];
    assert_eq!(shape(&late), "a<commentary>");
    let output = json!([message("commentary", "a"), message("final_answer", "b")]);
    let whole = events(&[json!({"object": "response", "status": "completed", "output": output})]).unwrap();
    let phases = whole
        .iter()
        .filter(|event| matches!(event, RunEventBody::Extension { extension: Extension::Phase(_), .. }));
    assert_eq!(phases.count(), 2);
    let odd = [item("added", 0, empty(json!("x".repeat(65)))), delta("output_text", 0, "a")];
    assert_eq!(shape(&odd), "a");
}
