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
    FinishReason, Generation, Image, Message, ModelId, PlacedImage, Reasoning, ReasoningEffort,
    ResponseFormat, Role, RunId, Sampling, Secret, TextTask, Tool, ToolCall, ToolChoice, Usage,
};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use serde_json::{Value, json};

use super::{path, request::body, stream::ConverseDecoder};
use crate::{
    Call, Endpoint, HttpProvider, Provider as _, Timeouts,
    dialect::{AnswerMode, Decoder as _, Frame},
    vendor,
};

const CLAUDE: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn called(calls: &[(&str, &str)]) -> Message {
    let call = |(id, arguments): &(&str, &str)| ToolCall {
        id: (*id).into(),
        name: "look".into(),
        arguments: (*arguments).into(),
    };
    Message { tool_calls: calls.iter().map(call).collect(), ..Message::new(Role::Assistant, "") }
}

fn answered(id: &str, text: &str) -> Message {
    Message { tool_call_id: Some(id.into()), ..Message::new(Role::Tool, text) }
}

fn tool() -> Tool {
    Tool { name: "look".into(), description: Some("Looks.".into()), parameters: json!({}), strict: true }
}

fn task(messages: Vec<Message>) -> TextTask {
    TextTask::new(messages, Sampling::default())
}

#[test]
fn a_conversation_with_everything_is_said() {
    let image = |at| PlacedImage { at, image: Image::at("data:image/jpeg;base64,AAAA") };
    let thoughts = vec![
        Reasoning { text: "Hm.".into(), signature: Some("EqQB".into()), encrypted: None },
        Reasoning { encrypted: Some("AAEC".into()), ..Reasoning::default() },
        // Nobody's, and another maker's.
        Reasoning { text: "Hm!".into(), ..Reasoning::default() },
        Reasoning { signature: Some("gemini:thought:X".into()), ..Reasoning::default() },
    ];
    let messages = vec![
        Message::new(Role::System, "Be brief."),
        Message { images: vec![image(5)], ..user("What is this?") },
        Message {
            reasoning: thoughts,
            content: "I look.".into(),
            ..called(&[("c1", "{\"at\":1}"), ("c2", "")])
        },
        Message { images: vec![image(0)], ..answered("c1", "a cat") },
        Message { failed: true, ..answered("c2", "no light") },
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
fn calls_are_told_in_words_where_no_tools_are_on_offer() {
    let failed = Message { failed: true, ..answered("c2", "no light") };
    let messages = vec![user("Hi"), called(&[("c1", "{}")]), answered("c1", "a cat"), failed];
    let told = json!([
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
        assert_eq!(body(CLAUDE, &task).unwrap(), json!({"messages": told}));
    }
}

#[test]
fn a_tool_is_chosen_as_asked() {
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
fn anthropics_models_think_in_tokens_or_as_they_see_fit() {
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
fn what_cant_be_said_is_a_bad_request() {
    let shown = |url: &str| {
        task(vec![Message { images: vec![PlacedImage { at: 0, image: Image::at(url) }], ..user("") }])
    };
    let hi = task(vec![user("Hi")]);
    let with_tools = |last: Message| TextTask { tools: vec![tool()], ..task(vec![user("Hi"), last]) };
    let short = Sampling { max_tokens: Some(1024), ..Sampling::default() };
    let cases = [
        (shown("https://example.org/a.png"), "messages"),
        (shown("data:image/tiff;base64,AAAA"), "messages"),
        (task(vec![Message::new(Role::System, "Be brief.")]), "messages"),
        (with_tools(called(&[("c", "[]")])), "messages"),
        (with_tools(Message::new(Role::Tool, "lost")), "messages"),
        (TextTask { reasoning: Some(ReasoningEffort::Low), sampling: short, ..hi }, "max_tokens"),
    ];
    for (task, param) in cases {
        let error = body(CLAUDE, &task).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some(param)));
    }
}

#[test]
fn a_model_is_one_piece_of_the_path() {
    assert_eq!(
        path("anthropic.claude-x-v1:0", AnswerMode::Stream).unwrap(),
        "/model/anthropic.claude-x-v1%3A0/converse-stream"
    );
    assert_eq!(
        path("arn:aws:x/é", AnswerMode::Stream).unwrap(),
        "/model/arn%3Aaws%3Ax%2F%C3%A9/converse-stream"
    );
}

/// The events of a stream of these, to its end.
fn events(said: &[(&str, Value)]) -> Result<Vec<RunEventBody>, ApiError> {
    let mut decoder = ConverseDecoder::default();
    let mut events = Vec::new();
    for (event, data) in said {
        events.extend(decoder.take(Frame { event, data: &data.to_string() })?);
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

fn spent() -> (&'static str, Value) {
    let usage = json!({"inputTokens": 9, "outputTokens": 5, "totalTokens": 21, "cacheReadInputTokens": 4,
        "cacheWriteInputTokens": 3});
    ("metadata", json!({"usage": usage, "metrics": {"latencyMs": 1}}))
}

#[test]
fn text_thoughts_calls_and_usage_are_read() {
    let events = events(&[
        ("messageStart", json!({"role": "assistant"})),
        delta(0, &json!({"reasoningContent": {"text": "Hm."}})),
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
        ("whatIsYetToCome", json!({})),
        ends("tool_use"),
        spent(),
    ])
    .unwrap();
    let told: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(
        told,
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
                    reasoning_tokens: 0
                },
            })
            .unwrap(),
            json!({"event": "done", "finish_reason": "tool_calls"}),
        ]
    );
}

#[test]
fn each_end_has_its_reason() {
    let cases = [
        ("end_turn", Ok(FinishReason::Stop)),
        ("stop_sequence", Ok(FinishReason::Stop)),
        ("max_tokens", Ok(FinishReason::Length)),
        ("model_context_window_exceeded", Ok(FinishReason::Length)),
        ("guardrail_intervened", Ok(FinishReason::ContentFilter)),
        ("content_filtered", Ok(FinishReason::ContentFilter)),
        ("malformed_tool_use", Err(ErrorCode::ProviderError)),
        ("what_is_yet_to_come", Err(ErrorCode::ProviderError)),
    ];
    for (reason, expected) in cases {
        let ended = events(&[delta(0, &json!({"text": "a"})), ends(reason)]);
        let ended = ended.map(|events| events.last().cloned()).map_err(|error| error.code);
        let expected = expected.map(|finish_reason| Some(RunEventBody::Done { finish_reason }));
        assert_eq!(ended, expected, "{reason}");
    }
}

#[test]
fn an_exception_or_an_end_in_the_middle_is_an_error() {
    let said = |message: &str| json!({"message": message});
    let model_error = json!({"message": "no", "originalStatusCode": 429, "originalMessage": "slow"});
    let cases = [
        (("throttlingException", said("slow")), ErrorCode::ProviderRateLimited),
        (("modelStreamErrorException", model_error), ErrorCode::ProviderRateLimited),
        (("modelStreamErrorException", said("no")), ErrorCode::ProviderError),
        (("internalServerException", said("no")), ErrorCode::ProviderError),
        (("serviceUnavailableException", json!({})), ErrorCode::ProviderError),
        (("modelTimeoutException", said("no")), ErrorCode::ProviderTimeout),
        (("validationException", said("no")), ErrorCode::InvalidRequest),
        (("validationException", said("Input is too long.")), ErrorCode::ContextLengthExceeded),
        (("InternalError", said("no")), ErrorCode::ProviderError),
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

/// An answer's bytes.
fn bytes(said: &[(&str, Value)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (event, data) in said {
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

/// What a provider with `key` says of an answer, which comes in pieces of 7 bytes; and what it was asked.
async fn asked(key: &str, said: &[(&str, Value)]) -> (Result<Vec<RunEventBody>, ApiError>, Vec<String>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = bytes(said);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let route = post(move |uri: Uri, headers: HeaderMap, body: String| async move {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        *told.lock().unwrap() = vec![uri.to_string(), header("accept"), header("authorization"), body];
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
        dialect: crate::dialect::Dialect::Bedrock,
        base_url,
        key: Some(Secret::new(key)),
        timeouts: Timeouts::default(),
    };
    let provider = HttpProvider::new(endpoint, crate::vendor_client().unwrap());
    let generation = Generation::new(None, task(vec![user("Hi")]));
    let call = Call { run: RunId::new(), model: ModelId::new("a.b:0"), generation: generation.into() };
    let events = match provider.generate(call).await {
        Ok(events) => Ok(events.collect().await),
        Err(error) => Err(error),
    };
    server.abort();
    let seen = seen.lock().unwrap().clone();
    (events, seen)
}

#[tokio::test]
async fn an_answer_comes_through_in_binary_messages() {
    let text = |text: &str| delta(0, &json!({"text": text}));
    let (events, seen) = asked("ABSK", &[text("Hé"), text("llo"), ends("end_turn"), spent()]).await;
    let events = events.unwrap();
    let deltas: Vec<_> = events.iter().filter(|event| matches!(event, RunEventBody::Delta { .. })).collect();
    assert_eq!(deltas, [&RunEventBody::text("Hé"), &RunEventBody::text("llo")]);
    assert_eq!(events.last(), Some(&RunEventBody::Done { finish_reason: FinishReason::Stop }));
    assert_eq!(
        seen,
        [
            "/model/a.b%3A0/converse-stream",
            "application/vnd.amazon.eventstream",
            "Bearer ABSK",
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}]}"
        ]
    );
}

#[tokio::test]
async fn an_exception_ends_an_answer_and_a_cut_one_is_an_error() {
    let text = delta(0, &json!({"text": "a"}));
    let slow = ("throttlingException", json!({"message": "slow"}));
    for (said, code) in
        [(vec![text.clone(), slow], ErrorCode::ProviderRateLimited), (vec![text], ErrorCode::ProviderError)]
    {
        let (events, _) = asked("ABSK", &said).await;
        let last = events.unwrap().pop();
        assert!(matches!(&last, Some(RunEventBody::Error { error }) if error.code == code), "{last:?}");
    }
}

#[tokio::test]
async fn credentials_need_an_address_with_a_region() {
    let (events, seen) = asked("AKID:secret", &[]).await;
    let error = events.unwrap_err();
    assert_eq!(error.code, ErrorCode::ProviderAuth);
    assert!(error.message.contains("REGION") && !error.message.contains("secret"), "{error}");
    assert!(seen.is_empty());
}
