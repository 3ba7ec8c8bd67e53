use std::sync::{Arc, Mutex};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message as EventMessage};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Uri},
    routing::post,
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use hearth_domain::{
    Attachment, AttachmentContent, Delivery, FinishReason, Generation, Image, Message, ModelId, PlacedImage,
    Reasoning, ReasoningEffort, ResponseFormat, Role, RunId, Sampling, Secret, TextTask, Tool, ToolCall,
    ToolChoice, Usage,
};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use serde_json::{Value, json};

use super::{path, request, stream::ConverseDecoder};
use crate::{
    Call, Decoder as _, Endpoint, Frame, HttpProvider, Provider as _, Timeouts, dialect::AnswerMode,
    json_tree::Json, vendor,
};

const CLAUDE: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn body(model: &str, task: &TextTask) -> Result<Value, ApiError> {
    request::body(model, task).map(|body| Json::from(body).to_value())
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn assistant_with_calls(calls: &[(&str, &str)]) -> Message {
    let call = |(id, arguments): &(&str, &str)| ToolCall {
        id: (*id).into(),
        name: "look".into(),
        arguments: (*arguments).into(),
    };
    Message { tool_calls: calls.iter().map(call).collect(), ..Message::new(Role::Assistant, "") }
}

fn tool_result(id: &str, text: &str) -> Message {
    Message { tool_call_id: Some(id.into()), ..Message::new(Role::Tool, text) }
}

fn tool() -> Tool {
    Tool { name: "look".into(), description: Some("Looks.".into()), parameters: json!({}), strict: true }
}

fn task(messages: Vec<Message>) -> TextTask {
    TextTask::new(messages, Sampling::default())
}

#[test]
fn every_kind_of_message_is_converted() {
    let image = |at| PlacedImage { at, image: Image::at("data:image/jpeg;base64,AAAA") };
    let thoughts = vec![
        Reasoning { text: "Hm.".into(), signature: Some("EqQB".into()), encrypted: None },
        Reasoning { encrypted: Some("AAEC".into()), ..Reasoning::default() },
        // Unsigned, and another vendor's.
        Reasoning { text: "Hm!".into(), ..Reasoning::default() },
        Reasoning { signature: Some("gemini:thought:X".into()), ..Reasoning::default() },
    ];
    let messages = vec![
        Message::new(Role::System, "Be brief."),
        Message { images: vec![image(5)], ..user("What is this?") },
        Message {
            reasoning: thoughts,
            content: "I look.".into(),
            ..assistant_with_calls(&[("c1", "{\"at\":1}"), ("c2", "")])
        },
        Message { images: vec![image(0)], ..tool_result("c1", "a cat") },
        Message { failed: true, ..tool_result("c2", "no light") },
        user("And?"),
        user(" "),
    ];
    let sampling = Sampling {
        temperature: Some(0.7),
        top_p: Some(0.9),
        top_k: Some(3),
        max_tokens: Some(2000),
        stop: vec!["X".into()],
        ..Sampling::default()
    };
    let task = TextTask {
        tools: vec![tool()],
        tool_choice: ToolChoice::Required,
        response_format: ResponseFormat::JsonSchema(json!({"type": "object"})),
        reasoning: Some(ReasoningEffort::High),
        ..TextTask::new(messages, sampling)
    };
    let picture = json!({"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}});
    assert_eq!(
        body(CLAUDE, &task).unwrap(),
        json!({
            "messages": [
                {"role": "user", "content": [{"text": "What "}, picture, {"text": "is this?"}]},
                {"role": "assistant", "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "EqQB"}}},
                    {"reasoningContent": {"redactedContent": "AAEC"}},
                    {"text": "I look."},
                    {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": 1}}},
                    {"toolUse": {"toolUseId": "c2", "name": "look", "input": {}}},
                ]},
                {"role": "user", "content": [
                    {"toolResult": {"toolUseId": "c1", "content": [picture, {"text": "a cat"}]}},
                    {"toolResult": {"toolUseId": "c2", "content": [{"text": "no light"}], "status": "error"}},
                    {"text": "And?"},
                ]},
            ],
            "system": [{"text": "Be brief."}],
            "inferenceConfig": {"maxTokens": 2000, "temperature": 0.7, "topP": 0.9, "stopSequences": ["X"]},
            "toolConfig": {
                "tools": [{"toolSpec": {"name": "look", "description": "Looks.", "strict": true,
                    "inputSchema": {"json": {"type": "object"}}}}],
                "toolChoice": {"any": {}},
            },
            "outputConfig": {"textFormat": {"type": "json_schema", "structure": {
                "jsonSchema": {"name": "response", "schema": "{\"type\":\"object\",\"additionalProperties\":false}"}}}},
            "additionalModelResponseFieldPaths": ["/stop_sequence"],
            "additionalModelRequestFields": {
                "top_k": 3, "thinking": {"type": "enabled", "budget_tokens": 1999}},
        })
    );
    let plain = json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]});
    assert_eq!(body(CLAUDE, &self::task(vec![user("Hi")])).unwrap(), plain);
}

#[test]
fn reasoning_texts_and_calls_keep_their_order() {
    let place = |at, content| Attachment { at, images_before: 0, content };
    let signed = |signature: &str| Reasoning { signature: Some(signature.into()), ..Reasoning::default() };
    let message = Message {
        attachments: vec![place(1, AttachmentContent::Call), place(1, AttachmentContent::Reasoning)],
        reasoning: vec![signed("A"), signed("B")],
        content: "ab".into(),
        ..assistant_with_calls(&[("c1", "{}"), ("c2", "{}")])
    };
    let results = [tool_result("c1", "a cat"), tool_result("c2", "a dog")];
    let task =
        TextTask { tools: vec![tool()], ..task([vec![user("Hi"), message], results.to_vec()].concat()) };
    let reasoning = |signature: &str| json!({"reasoningContent": {"reasoningText": {"text": "", "signature": signature}}});
    let call = |id: &str| json!({"toolUse": {"toolUseId": id, "name": "look", "input": {}}});
    assert_eq!(
        body(CLAUDE, &task).unwrap()["messages"][1]["content"],
        json!([reasoning("A"), {"text": "a"}, call("c1"), reasoning("B"), {"text": "b"}, call("c2")])
    );
}

#[test]
fn calls_become_text_in_requests_without_tools() {
    let failed = Message { failed: true, ..tool_result("c2", "no light") };
    let messages =
        vec![user("Hi"), assistant_with_calls(&[("c1", "{}")]), tool_result("c1", "a cat"), failed];
    let converted = json!([
        {"role": "user", "content": [{"text": "Hi"}]},
        {"role": "assistant", "content": [{"text": "[Call c1 of the tool look: {}]"}]},
        {"role": "user", "content": [
            {"text": "[Result of the call c1]"}, {"text": "a cat"},
            {"text": "[Failure of the call c2]"}, {"text": "no light"},
        ]},
    ]);
    let without = task(messages);
    let forbidden = TextTask { tools: vec![tool()], tool_choice: ToolChoice::None, ..without.clone() };
    for task in [without, forbidden] {
        assert_eq!(body(CLAUDE, &task).unwrap(), json!({"messages": converted}));
    }
}

#[test]
fn tool_choice_is_converted() {
    let cases = [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::Required, json!({"any": {}})),
        (ToolChoice::Named("look".into()), json!({"tool": {"name": "look"}})),
    ];
    for (tool_choice, chosen) in cases {
        let task = TextTask { tools: vec![tool()], tool_choice, ..task(vec![user("Hi")]) };
        assert_eq!(body(CLAUDE, &task).unwrap()["toolConfig"]["toolChoice"], chosen);
    }
}

#[test]
fn thinking_of_claude_has_a_budget_or_an_effort() {
    use ReasoningEffort::{High, Low, Medium, Minimal, None, Tokens};
    let budget = |tokens: u32| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
    let adaptive =
        |effort: &str| json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}});
    let cases = [
        (CLAUDE, None, Value::Null),
        (CLAUDE, Tokens(0), Value::Null),
        (CLAUDE, Minimal, budget(1024)),
        (CLAUDE, Medium, budget(8192)),
        (CLAUDE, Tokens(5), budget(1024)),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", Tokens(5000), budget(5000)),
        ("us.anthropic.claude-opus-4-20250514-v1:0", Low, budget(4096)),
        ("anthropic.claude-opus-4-6-v1", Low, adaptive("low")),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5", Medium, adaptive("medium")),
        ("anthropic.claude-mythos-preview", Tokens(99999), adaptive("high")),
        ("amazon.nova-pro-v1:0", High, Value::Null),
    ];
    for (model, effort, expected) in cases {
        let task = TextTask { reasoning: Some(effort), ..task(vec![user("Hi")]) };
        let fields = &body(model, &task).unwrap()["additionalModelRequestFields"];
        assert_eq!(fields, &expected, "{model} {effort:?}");
    }
}

#[test]
fn inexpressible_request_is_invalid() {
    let with_image = |url: &str| {
        task(vec![Message { images: vec![PlacedImage { at: 0, image: Image::at(url) }], ..user("") }])
    };
    let hi = task(vec![user("Hi")]);
    let with_tools = |last: Message| TextTask { tools: vec![tool()], ..task(vec![user("Hi"), last]) };
    let short = Sampling { max_tokens: Some(1024), ..Sampling::default() };
    let cases = [
        (with_image("https://example.org/a.png"), "messages"),
        (with_image("data:image/tiff;base64,AAAA"), "messages"),
        (task(vec![Message::new(Role::System, "Be brief.")]), "messages"),
        (with_tools(assistant_with_calls(&[("c", "[]")])), "messages"),
        (with_tools(Message::new(Role::Tool, "lost")), "messages"),
        (TextTask { reasoning: Some(ReasoningEffort::Low), sampling: short, ..hi }, "max_tokens"),
    ];
    for (task, param) in cases {
        let error = body(CLAUDE, &task).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some(param)));
    }
}

#[test]
fn model_is_one_segment_of_the_path() {
    assert_eq!(
        path("anthropic.claude-x-v1:0", AnswerMode::Stream).unwrap(),
        "/model/anthropic.claude-x-v1%3A0/converse-stream"
    );
    assert_eq!(
        path("arn:aws:x/é", AnswerMode::Stream).unwrap(),
        "/model/arn%3Aaws%3Ax%2F%C3%A9/converse-stream"
    );
}

/// The events of a stream of these frames, to its end.
fn events(frames: &[(&str, Value)]) -> Result<Vec<RunEventBody>, ApiError> {
    let mut decoder = ConverseDecoder::default();
    let mut events = Vec::new();
    for (event, data) in frames {
        decoder.decode(Frame { event, data: &data.to_string() }, &mut events)?;
    }
    events.extend(decoder.end()?);
    Ok(events)
}

fn delta(index: u32, delta: &Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abcd"}))
}

fn begins(index: u32, id: &str) -> (&'static str, Value) {
    let start = json!({"toolUse": {"toolUseId": id, "name": "look"}});
    ("contentBlockStart", json!({"contentBlockIndex": index, "start": start}))
}

fn stops(index: u32) -> (&'static str, Value) {
    ("contentBlockStop", json!({"contentBlockIndex": index}))
}

fn ends(reason: &str) -> (&'static str, Value) {
    ("messageStop", json!({"stopReason": reason}))
}

fn usage() -> (&'static str, Value) {
    let usage = json!({"inputTokens": 9, "outputTokens": 5, "totalTokens": 21, "cacheReadInputTokens": 4,
        "cacheWriteInputTokens": 3});
    ("metadata", json!({"usage": usage, "metrics": {"latencyMs": 1}}))
}

#[test]
fn text_thoughts_calls_and_usage_are_decoded() {
    let events = events(&[
        ("messageStart", json!({"role": "assistant"})),
        delta(0, &json!({"reasoningContent": {"text": "Hm."}})),
        delta(0, &json!({"reasoningContent": {"text": "", "signature": ""}})),
        delta(0, &json!({"reasoningContent": {}})),
        delta(0, &json!({"reasoningContent": {"signature": "EqQB"}})),
        stops(0),
        delta(1, &json!({"reasoningContent": {"redactedContent": "AAEC"}})),
        stops(1),
        delta(2, &json!({"text": ""})),
        delta(2, &json!({"text": "It"})),
        stops(2),
        begins(3, "a"),
        delta(3, &json!({"toolUse": {"input": ""}})),
        delta(3, &json!({"toolUse": {"input": "{\"x\":"}})),
        delta(3, &json!({"toolUse": {"input": "1}"}})),
        stops(3),
        begins(4, "b"),
        stops(4),
        ("unknownEvent", json!({})),
        ends("tool_use"),
        usage(),
    ])
    .unwrap();
    let emitted: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(
        emitted,
        [
            json!({"event": "reasoning", "index": 0, "text": "Hm."}),
            json!({"event": "reasoning", "index": 0, "text": "", "signature": "EqQB"}),
            json!({"event": "reasoning", "index": 1, "text": "", "encrypted": "AAEC"}),
            json!({"event": "delta", "text": "It"}),
            json!({"event": "tool_call", "index": 0, "begins": {"id": "a", "name": "look"}, "arguments": ""}),
            json!({"event": "tool_call", "index": 0, "arguments": "{\"x\":"}),
            json!({"event": "tool_call", "index": 0, "arguments": "1}"}),
            json!({"event": "tool_call", "index": 1, "begins": {"id": "b", "name": "look"}, "arguments": ""}),
            json!({"event": "tool_call", "index": 1, "arguments": "{}"}),
            serde_json::to_value(RunEventBody::Usage {
                usage: Usage {
                    prompt_tokens: 16,
                    completion_tokens: 5,
                    cached_tokens: 4,
                    cache_write_tokens: 3,
                    reasoning_tokens: 0
                },
            })
            .unwrap(),
            json!({"event": "done", "finish_reason": "tool_calls"}),
        ]
    );
}

#[test]
fn stop_reason_maps_to_finish_reason() {
    let cases = [
        ("end_turn", Ok(FinishReason::Stop)),
        ("stop_sequence", Ok(FinishReason::Stop)),
        ("max_tokens", Ok(FinishReason::Length)),
        ("model_context_window_exceeded", Ok(FinishReason::Length)),
        ("guardrail_intervened", Ok(FinishReason::ContentFilter)),
        ("content_filtered", Ok(FinishReason::ContentFilter)),
        ("malformed_tool_use", Err(ErrorCode::ProviderError)),
        ("unknown_reason", Err(ErrorCode::ProviderError)),
    ];
    for (reason, expected) in cases {
        let ended = events(&[delta(0, &json!({"text": "a"})), ends(reason)]);
        let ended = ended.map(|events| events.last().cloned()).map_err(|error| error.code);
        let expected = expected.map(|finish_reason| Some(RunEventBody::Done { finish_reason }));
        assert_eq!(ended, expected, "{reason}");
    }
}

#[test]
fn exception_and_early_end_are_errors() {
    let error = |message: &str| json!({"message": message});
    let model_error = json!({"message": "no", "originalStatusCode": 429, "originalMessage": "slow"});
    let cases = [
        (("throttlingException", error("slow")), ErrorCode::ProviderRateLimited),
        (("modelStreamErrorException", model_error), ErrorCode::ProviderRateLimited),
        (("modelStreamErrorException", error("no")), ErrorCode::ProviderError),
        (("internalServerException", error("no")), ErrorCode::ProviderError),
        (("serviceUnavailableException", json!({})), ErrorCode::ProviderError),
        (("modelTimeoutException", error("no")), ErrorCode::ProviderTimeout),
        (("validationException", error("no")), ErrorCode::InvalidRequest),
        (("validationException", error("Input is too long.")), ErrorCode::ContextLengthExceeded),
        (("InternalError", error("no")), ErrorCode::ProviderError),
        (stops(0), ErrorCode::ProviderError),
        (delta(7, &json!({"toolUse": {"input": "{"}})), ErrorCode::ProviderError),
        (("contentBlockDelta", json!([])), ErrorCode::ProviderError),
    ];
    for (last, code) in cases {
        let error = events(&[delta(0, &json!({"text": "a"})), last.clone()]).unwrap_err();
        assert_eq!(error.code, code, "{last:?}");
    }
    assert!(events(&[stops(0)]).unwrap_err().message.contains("broke off"));
}

/// The bytes of an answer of these frames.
fn bytes(frames: &[(&str, Value)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (event, data) in frames {
        let kind = if event.ends_with("Exception") { "exception" } else { "event" };
        let header =
            |name: String, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
        let headers = vec![
            header(format!(":{kind}-type"), event),
            header(":content-type".to_owned(), "application/json"),
            header(":message-type".to_owned(), kind),
        ];
        write_message_to(&EventMessage::new_from_parts(headers, data.to_string()), &mut bytes).unwrap();
    }
    bytes
}

/// The events of a provider with `key` whose answer arrives in pieces of 7 bytes, and the request that it received.
async fn generate(key: &str, frames: &[(&str, Value)]) -> (Result<Vec<RunEventBody>, ApiError>, Vec<String>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = bytes(frames);
    let received = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&received);
    let route = post(move |uri: Uri, headers: HeaderMap, body: String| async move {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        *record.lock().unwrap() = vec![uri.to_string(), header("accept"), header("authorization"), body];
        let pieces: Vec<_> =
            answer.chunks(7).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        Body::from_stream(stream::iter(pieces))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/model/{model}/converse-stream", route);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let endpoint = Endpoint {
        name: "aws".into(),
        vendor: vendor::of_kind("bedrock").unwrap(),
        auth: vendor::of_kind("bedrock").unwrap().auth,
        dialect: crate::dialect::Dialect::Bedrock,
        base_url,
        key: Some(Secret::new(key)),
        region: None,
        signs_as_process: false,
        timeouts: Timeouts::default(),
    };
    let provider = HttpProvider::new(endpoint, crate::vendor_client().unwrap());
    let generation = Generation::new(None, task(vec![user("Hi")]));
    let call = Call {
        run: RunId::new(),
        model: ModelId::new("a.b:0"),
        generation: generation.into(),
        delivery: Delivery::Stream,
        trace: Default::default(),
    };
    let events = match provider.generate(call).await {
        Ok(events) => Ok(events.collect().await),
        Err(error) => Err(error),
    };
    server.abort();
    let received = received.lock().unwrap().clone();
    (events, received)
}

#[tokio::test]
async fn answer_in_binary_messages_is_decoded() {
    let text = |text: &str| delta(0, &json!({"text": text}));
    let (events, received) = generate("ABSK", &[text("Hé"), text("llo"), ends("end_turn"), usage()]).await;
    let events = events.unwrap();
    let deltas: Vec<_> = events.iter().filter(|event| matches!(event, RunEventBody::Delta { .. })).collect();
    assert_eq!(deltas, [&RunEventBody::text("Hé"), &RunEventBody::text("llo")]);
    assert_eq!(events.last(), Some(&RunEventBody::Done { finish_reason: FinishReason::Stop }));
    assert_eq!(
        received,
        [
            "/model/a.b%3A0/converse-stream",
            "application/vnd.amazon.eventstream",
            "Bearer ABSK",
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}]}"
        ]
    );
}

#[tokio::test]
async fn exception_and_truncated_answer_end_the_run_with_an_error() {
    let text = delta(0, &json!({"text": "a"}));
    let slow = ("throttlingException", json!({"message": "slow"}));
    for (frames, code) in
        [(vec![text.clone(), slow], ErrorCode::ProviderRateLimited), (vec![text], ErrorCode::ProviderError)]
    {
        let (events, _) = generate("ABSK", &frames).await;
        let last = events.unwrap().pop();
        assert!(matches!(&last, Some(RunEventBody::Error { error }) if error.code == code), "{last:?}");
    }
}

#[tokio::test]
async fn credentials_require_a_region_in_the_address() {
    let (events, received) = generate("AKID:secret", &[]).await;
    let error = events.unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderAuth);
    assert!(error.message.contains("REGION") && !error.message.contains("secret"), "{error}");
    assert!(received.is_empty());
}
