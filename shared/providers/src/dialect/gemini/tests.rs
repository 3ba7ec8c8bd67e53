use axum::{
    Router,
    http::{HeaderMap, Uri},
    routing::post,
};
use futures::StreamExt as _;
use hearth_domain::{
    Delivery, FinishReason, Generation, Image, Message, ModelId, PlacedImage, Reasoning, ReasoningEffort,
    ResponseFormat, Role, RunId, Sampling, Secret, Task, TextTask, Tool, ToolCall, ToolChoice, Usage,
};
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody, answer::Answers, gemini::GenerateContentRequest,
    stream::Render as _,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    path,
    request::body_of_task,
    stream::GeminiDecoder,
    thought_signature::{self, SignedPart},
};
use crate::{
    Call, Decoder as _, Endpoint, Frame, HttpProvider, Provider as _, Timeouts,
    dialect::{AnswerMode, Dialect, body::PassThrough},
    json_tree::Json,
    vendor,
};

const MODEL: &str = "gemini-2.5-flash";

fn body(model: &str, task: &TextTask) -> Result<Value, ApiError> {
    body_of_task(PassThrough::Nothing, model, task).map(|body| Json::from(body).to_value())
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn tool_call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "look".into(), arguments: arguments.into() }
}

fn model_with_calls(calls: Vec<ToolCall>) -> Message {
    Message { tool_calls: calls, ..Message::new(Role::Assistant, "") }
}

fn tool_result(id: &str, text: &str) -> Message {
    Message { tool_call_id: Some(id.into()), name: Some("look".into()), ..Message::new(Role::Tool, text) }
}

fn body_of(messages: Vec<Message>) -> Value {
    body(MODEL, &TextTask::new(messages, Sampling::default())).unwrap()
}

#[test]
fn every_kind_of_message_is_converted() {
    let image = |at, url: &str| PlacedImage { at, image: Image::at(url) };
    let messages = vec![
        Message::new(Role::System, "Be brief."),
        Message {
            images: vec![
                image(5, "https://example.org/a.PNG?x=1.gif"),
                image(5, "data:image/webp;base64,AAAA"),
                image(5, "https://example.org/a"),
            ],
            ..user("What is this?")
        },
        model_with_calls(vec![tool_call("c1", "{\"at\":1}"), tool_call("c2", "")]),
        tool_result("c1", "a cat"),
        Message { failed: true, ..tool_result("c2", "no light") },
        user("And?"),
        Message::new(Role::Assistant, "A cat."),
        Message::new(Role::System, "Be long."),
        user("So?"),
    ];
    let sampling = Sampling {
        temperature: Some(0.7),
        top_p: Some(0.9),
        top_k: Some(3),
        seed: Some(u32::MAX),
        max_tokens: Some(9),
        presence_penalty: Some(0.5),
        frequency_penalty: Some(-0.5),
        stop: vec!["X".into()],
        ..Sampling::default()
    };
    let parameters = json!({"type": "object", "properties": {"at": {"type": "integer"}}});
    let tool = Tool { name: "look".into(), description: Some("Looks.".into()), parameters, strict: true };
    let bare = Tool { name: "wait".into(), description: None, parameters: json!({}), strict: false };
    let task = TextTask {
        tools: vec![tool, bare],
        tool_choice: ToolChoice::Named("look".into()),
        response_format: ResponseFormat::JsonSchema(json!({"type": "array"})),
        choices: 2,
        top_logprobs: Some(4),
        reasoning: Some(ReasoningEffort::Medium),
        ..TextTask::new(messages, sampling)
    };
    assert_eq!(
        body(MODEL, &task).unwrap(),
        json!({
            "contents": [
                {"role": "user", "parts": [
                    {"text": "What "},
                    {"fileData": {"fileUri": "https://example.org/a.PNG?x=1.gif", "mimeType": "image/png"}},
                    {"inlineData": {"mimeType": "image/webp", "data": "AAAA"}},
                    {"fileData": {"fileUri": "https://example.org/a"}},
                    {"text": "is this?"},
                ]},
                {"role": "model", "parts": [
                    {"functionCall": {"id": "c1", "name": "look", "args": {"at": 1}}},
                    {"functionCall": {"id": "c2", "name": "look", "args": {}}},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "c1", "name": "look", "response": {"result": "a cat"}}},
                    {"functionResponse": {"id": "c2", "name": "look", "response": {"error": "no light"}}},
                    {"text": "And?"},
                ]},
                {"role": "model", "parts": [{"text": "A cat."}]},
                {"role": "user", "parts": [{"text": "So?"}]},
            ],
            "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be long."}]},
            "tools": [{"functionDeclarations": [
                {"name": "look", "description": "Looks.", "parametersJsonSchema":
                    {"type": "object", "properties": {"at": {"type": "integer"}}}},
                {"name": "wait"},
            ]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
            "generationConfig": {
                "temperature": 0.7, "topP": 0.9, "topK": 3, "maxOutputTokens": 9, "stopSequences": ["X"],
                "seed": -1, "presencePenalty": 0.5, "frequencyPenalty": -0.5, "candidateCount": 2,
                "responseLogprobs": true, "logprobs": 4,
                "responseMimeType": "application/json", "responseJsonSchema": {"type": "array"},
                "thinkingConfig": {"thinkingBudget": 8192, "includeThoughts": true},
            },
        })
    );
    assert_eq!(body_of(vec![user("Hi")]), json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}));
}

#[test]
fn tool_choice_is_converted() {
    let tool = Tool { name: "look".into(), description: None, parameters: json!({}), strict: false };
    let cases = [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!({"mode": "NONE"})),
        (ToolChoice::Required, json!({"mode": "ANY"})),
    ];
    for (tool_choice, calling) in cases {
        let task = TextTask { tools: vec![tool.clone()], tool_choice, ..task() };
        assert_eq!(body(MODEL, &task).unwrap()["toolConfig"]["functionCallingConfig"], calling);
    }
}

fn task() -> TextTask {
    TextTask::new(vec![user("Hi")], Sampling::default())
}

/// The body for a client of this dialect: parsed to the gateway's types and converted back.
fn converted_back(body: &Value) -> Value {
    let request: GenerateContentRequest = serde_json::from_value(body.clone()).unwrap();
    let generation = request.into_generation("m".to_owned()).unwrap();
    let Task::Text(task) = generation.task.clone() else { panic!("a text") };
    let call = Call {
        run: RunId::new(),
        model: ModelId::new(MODEL),
        generation: generation.into(),
        delivery: Delivery::Stream,
        trace: Default::default(),
    };
    Dialect::Gemini.body(&call, &task, AnswerMode::Stream).unwrap().to_value()
}

#[test]
fn request_of_a_client_of_this_dialect_is_unchanged() {
    let body = json!({
        "contents": [
            {"role": "user", "parts": [
                {"text": "Look", "partMetadata": {"a": 1}}, {"text": "here."},
                {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
                {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"fps": 1}},
            ]},
            {"role": "model", "parts": [
                {"text": "Hm.", "thought": true, "thoughtSignature": "T"}, {"text": "I "},
                {"text": "look.", "thoughtSignature": "X"},
                {"functionCall": {"id": "c1", "name": "look", "args": {"at": 1}}, "thoughtSignature": "C"},
                {"functionCall": {"id": "c2", "name": "look", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c1", "name": "look", "response": {"output": "a cat"}, "scheduling": "SILENT"}},
                {"functionResponse": {"id": "c2", "name": "look", "response": {"result": "a dog"}}},
            ]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [
            {"functionDeclarations": [{"name": "look", "parametersJsonSchema": {"type": "object"}, "behavior": "BLOCKING"}]},
            {"googleSearch": {"timeRangeFilter": {}}}, {"codeExecution": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}, "retrievalConfig": {"languageCode": "en"}},
        "generationConfig": {
            "topK": 3, "maxOutputTokens": 9, "mediaResolution": "LOW", "speechConfig": {"a": 1},
            "thinkingConfig": {"thinkingLevel": "LOW"},
        },
        "safetySettings": [{"category": "C", "threshold": "T"}], "cachedContent": "cachedContents/1", "labels": {"a": "b"},
    });
    assert_eq!(converted_back(&body), body);
    let enumeration = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig":
        {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}});
    assert_eq!(converted_back(&enumeration), enumeration);
}

#[test]
fn turn_of_the_model_is_sent_in_the_clients_order() {
    let parts = json!([
        {"text": "a", "partMetadata": {"n": 1}}, {"text": "b", "thoughtSignature": "B", "partMetadata": {"n": 2}},
        {"functionCall": {"id": "c1", "name": "look", "args": {}}, "thoughtSignature": "C"},
        {"text": "d"}, {"text": "E", "thought": true},
        {"executableCode": {"code": "1"}, "thoughtSignature": "F"},
        {"codeExecutionResult": {"output": "1"}, "thoughtSignature": "G"},
        {"text": "H", "thought": true, "thoughtSignature": "H"}, {"text": "I", "thought": true},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "J"},
        {"text": "k", "thoughtSignature": "K"}, {"text": "", "thoughtSignature": "L"},
        {"functionCall": {"id": "c2", "name": "look", "args": {}}},
        {"toolResponse": {"id": "1"}, "thoughtSignature": "M"},
        {"text": "", "thoughtSignature": "N"},
    ]);
    let body = json!({"contents": [{"role": "model", "parts": parts}]});
    assert_eq!(converted_back(&body)["contents"][0]["parts"], parts);
}

#[test]
fn signature_in_another_dialects_turn_is_placed_by_its_bytes() {
    let sealed = |signature: &str| Reasoning { signature: Some(signature.into()), ..Reasoning::default() };
    let image = PlacedImage { at: 2, image: Image::at("data:image/png;base64,AAAA") };
    let message = Message {
        images: vec![image],
        reasoning: vec![
            sealed("gemini:text:1-2:A"),
            sealed("gemini:text:4-4:B"),
            sealed("gemini:text:1-3:C"),
        ],
        tool_calls: vec![tool_call("c1", "")],
        ..Message::new(Role::Assistant, "abcd")
    };
    assert_eq!(
        body_of(vec![user("Hi"), message])["contents"][1]["parts"],
        json!([
            {"text": "a"}, {"text": "b", "thoughtSignature": "A"},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"text": "cd"}, {"text": "", "thoughtSignature": "B"}, {"text": "", "thoughtSignature": "C"},
            {"functionCall": {"id": "c1", "name": "look", "args": {}}},
        ])
    );
}

#[test]
fn thinking_has_a_budget_or_a_level() {
    use ReasoningEffort::{High, Low, Medium, Minimal, None, Tokens};
    let cases = [
        ("gemini-2.5-flash", None, json!({"thinkingBudget": 0})),
        ("gemini-2.5-flash", Tokens(0), json!({"thinkingBudget": 0})),
        ("models/gemini-2.5-pro", None, json!({"thinkingBudget": 128})),
        ("gemini-2.5-pro", Low, json!({"thinkingBudget": 1024, "includeThoughts": true})),
        ("gemini-2.5-pro", High, json!({"thinkingBudget": 24576, "includeThoughts": true})),
        ("gemini-2.5-pro", Tokens(77), json!({"thinkingBudget": 77, "includeThoughts": true})),
        ("gemini-3-pro-preview", Minimal, json!({"thinkingLevel": "LOW", "includeThoughts": true})),
        ("gemini-3-flash-preview", Minimal, json!({"thinkingLevel": "MINIMAL", "includeThoughts": true})),
        ("gemini-3.1-pro", None, json!({"thinkingLevel": "LOW"})),
        ("gemini-flash-latest", None, json!({"thinkingLevel": "MINIMAL"})),
        ("gemini-3-flash-preview", Medium, json!({"thinkingLevel": "MEDIUM", "includeThoughts": true})),
        ("gemini-4-x", High, json!({"thinkingLevel": "HIGH", "includeThoughts": true})),
        ("gemini-3-pro-preview", Tokens(5), json!({"thinkingBudget": 5, "includeThoughts": true})),
    ];
    for (model, effort, expected) in cases {
        let task = TextTask { reasoning: Some(effort), ..task() };
        let config = &body(model, &task).unwrap()["generationConfig"]["thinkingConfig"];
        assert_eq!(config, &expected, "{model} {effort:?}");
    }
}

#[test]
fn inexpressible_request_is_invalid() {
    let image = PlacedImage { at: 0, image: Image::at("data:image/png,x") };
    let cases = [
        vec![Message::new(Role::System, "Be brief.")],
        vec![user("")],
        vec![Message { images: vec![image], ..user("") }],
        vec![user("Hi"), model_with_calls(vec![tool_call("c", "[1]")])],
        vec![user("Hi"), model_with_calls(vec![tool_call("c", "{")])],
        vec![user("Hi"), Message { name: None, ..tool_result("c", "x") }],
    ];
    for messages in cases {
        let error = body(MODEL, &TextTask::new(messages, Sampling::default())).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("messages")));
    }
}

#[test]
fn model_without_a_folder_is_in_models() {
    let cases = [
        ("gemini-x", "/models/gemini-x:streamGenerateContent?alt=sse"),
        ("models/gemini-x", "/models/gemini-x:streamGenerateContent?alt=sse"),
        ("tunedModels/mine", "/tunedModels/mine:streamGenerateContent?alt=sse"),
        ("a/b/c?d", "/a/b%2Fc%3Fd:streamGenerateContent?alt=sse"),
    ];
    for (model, expected) in cases {
        assert_eq!(path(model, AnswerMode::Stream).unwrap(), expected);
    }
}

#[test]
fn signatures_are_sent_back_in_their_places() {
    let block = |text: &str, signature: Option<&str>| Reasoning {
        text: text.into(),
        signature: signature.map(Into::into),
        encrypted: None,
    };
    let parts = |model: &str, reasoning: &[Reasoning], calls: &[&str]| {
        let calls = calls.iter().map(|id| tool_call(id, "")).collect();
        let message = Message {
            reasoning: reasoning.to_vec(),
            tool_calls: calls,
            ..Message::new(Role::Assistant, "héllo")
        };
        let task = TextTask::new(vec![user("Hi"), message], Sampling::default());
        body(model, &task).unwrap()["contents"][1]["parts"].clone()
    };
    let call = |id: &str| json!({"id": id, "name": "look", "args": {}});
    let foreign = [block("Hm.", None), block("Hm!", Some("EqQB"))];
    assert_eq!(parts(MODEL, &foreign, &[]), json!([{"text": "héllo"}]));
    // The first of parallel calls of another vendor's model has the placeholder.
    assert_eq!(
        parts("gemini-3-pro-preview", &foreign, &["a", "b"]),
        json!([
            {"text": "héllo"},
            {"functionCall": call("a"), "thoughtSignature": "skip_thought_signature_validator"},
            {"functionCall": call("b")},
        ])
    );
    let own = [
        block("Hm.", None),
        block("Ah.", Some("gemini:thought:T+/=")),
        block("", Some("gemini:text:3-3:X1")),
        block("", Some("gemini:text:3-6:X2")),
        // The text has no such place.
        block("", Some("gemini:text:4-99:X3")),
        block("", Some("gemini:call:a:b:C1")),
        block("Hm!", Some("EqQB")),
    ];
    assert_eq!(
        parts("gemini-3-pro-preview", &own, &["a:b", "b"]),
        json!([
            {"text": "Hm.", "thought": true},
            {"text": "Ah.", "thought": true, "thoughtSignature": "T+/="},
            {"text": "hé"},
            {"text": "", "thoughtSignature": "X1"},
            {"text": "llo", "thoughtSignature": "X2"},
            {"text": "", "thoughtSignature": "X3"},
            {"functionCall": call("a:b"), "thoughtSignature": "C1"},
            {"functionCall": call("b")},
        ])
    );
    for odd in ["gemini:", "gemini:x", "gemini:x:y", "gemini:text:1:y", "gemini:text:1-:y", "thought:x"] {
        assert_eq!(thought_signature::decode(odd), None, "{odd}");
    }
}

proptest! {
    #[test]
    fn signature_and_its_place_are_read_back(
        id in "\\PC{0,12}", from in any::<usize>(), to in any::<usize>(), sealed in "[A-Za-z0-9+/=_-]{0,20}",
    ) {
        for place in [SignedPart::Thought, SignedPart::Text(from, to), SignedPart::Call(&id)] {
            let signature = thought_signature::encode(place, &sealed);
            prop_assert_eq!(thought_signature::decode(&signature), Some((place, sealed.as_str())));
            prop_assert!(thought_signature::is_gemini(&signature));
        }
    }

    /// Gemini's thoughts, text and calls are sent back unchanged, with the signatures in their places.
    #[test]
    fn answer_is_sent_back_unchanged(
        thoughts in prop::collection::vec(("[a-zé]{1,5}", prop::option::of("[A-Z]{3}")), 0..4),
        texts in prop::collection::vec(("[a-zé]{0,5}", prop::option::of("[A-Z]{3}")), 0..5),
        calls in prop::collection::vec(("[a-z]{1,5}", prop::option::of("[A-Z]{3}")), 0..3),
    ) {
        let sealed = |mut part: Value, seal: &Option<String>| {
            if let Some(seal) = seal {
                part["thoughtSignature"] = json!(seal);
            }
            part
        };
        let thoughts = thoughts.iter().map(|(text, seal)| sealed(json!({"text": text, "thought": true}), seal));
        let texts = texts.iter().map(|(text, seal)| sealed(json!({"text": text}), seal));
        let calls = calls.iter().enumerate().map(|(number, (name, seal))| {
            let call = json!({"id": format!("c{number}"), "name": name, "args": {"a": number}});
            sealed(json!({"functionCall": call}), seal)
        });
        let parts: Vec<Value> = thoughts.chain(texts).chain(calls).collect();

        let mut frames: Vec<Value> = parts.iter().map(|part| frame(std::slice::from_ref(part), None)).collect();
        frames.push(frame(&[], Some("STOP")));
        let mut answers = Answers::default();
        events(&frames).unwrap().iter().for_each(|event| answers.apply(event));
        let answer = answers.all()[0].clone();
        let message = Message {
            reasoning: answer.reasoning,
            tool_calls: answer.tool_calls,
            ..Message::new(Role::Assistant, answer.text)
        };
        let back = body_of(vec![user("Hi"), message, user("So?")])["contents"][1]["parts"].clone();

        let any_seal = parts.iter().any(|part| part.get("thoughtSignature").is_some());
        let expected = parts.into_iter().filter(|part| any_seal || part.get("thought").is_none());
        prop_assert_eq!(joined(back.as_array().cloned().unwrap_or_default()), joined(expected));
    }
}

/// A part of an answer that has this number.
fn part(number: usize) -> impl Strategy<Value = Value> {
    let call = json!({"functionCall": {"id": format!("c{number}"), "name": "look", "args": {"a": number}}});
    let kind = prop_oneof![
        "[a-z\u{e9}]{0,3}".prop_map(|text| json!({"text": text})),
        "[a-z\u{e9}]{0,3}".prop_map(|text| json!({"text": text, "thought": true})),
        Just(call),
        Just(json!({"executableCode": {"code": "1"}})),
        Just(json!({"toolResponse": {"id": "t"}})),
    ];
    (kind, prop::option::of("[A-Z]{3}")).prop_map(|(mut part, signature)| {
        if let Some(signature) = signature {
            part["thoughtSignature"] = json!(signature);
        }
        part
    })
}

proptest! {
    /// A client gets the parts of a whole answer as they are, and sends them back so.
    #[test]
    fn whole_answer_keeps_its_parts(
        parts in (0..9_usize).prop_flat_map(|count| (0..count).map(part).collect::<Vec<_>>()),
    ) {
        let request = json!({"contents": [], "generationConfig": {"thinkingConfig": {"includeThoughts": true}}});
        let request: GenerateContentRequest = serde_json::from_value(request).unwrap();
        let events: Vec<RunEvent> = (1..)
            .zip(events(&[frame(&parts, Some("STOP"))]).unwrap())
            .map(|(seq, body)| RunEvent { seq, body })
            .collect();
        let answer = json!(request.renderer(RunId::new()).into_answer(&events).unwrap());
        let mut shown = answer["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default();
        let expected = with_joined_thoughts(parts);
        let is_own = |part: &Value| part.get("toolResponse").is_some() || part.get("executableCode").is_some();
        let is_signed = expected.iter().any(|part| part.get("thoughtSignature").is_some() && !is_own(part));
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": shown}]});
        if !is_signed {
            // Reasoning without Gemini's signatures is packed into one of the gateway.
            let calls = shown.iter_mut().filter(|part| part.get("functionCall").is_some());
            calls.for_each(|call| _ = call.as_object_mut().unwrap().remove("thoughtSignature"));
        }
        prop_assert_eq!(&shown, &expected);

        let sent = converted_back(&body)["contents"][1]["parts"].as_array().cloned().unwrap_or_default();
        // Thoughts without any signature are left out.
        let expected: Vec<_> = expected.into_iter().filter(|part| is_signed || part.get("thought").is_none()).collect();
        prop_assert_eq!(sent, expected);
    }
}

/// Joins thoughts up to a signature, and removes empty parts.
fn with_joined_thoughts(parts: Vec<Value>) -> Vec<Value> {
    let mut joined: Vec<Value> = Vec::new();
    for part in parts {
        let is_unsigned = |part: &Value| part.get("thoughtSignature").is_none();
        if is_unsigned(&part) && part["text"] == "" {
            continue;
        }
        match joined.last_mut().filter(|last| last.get("thought").is_some() && is_unsigned(last)) {
            Some(last) if part.get("thought").is_some() => {
                let text =
                    [last["text"].as_str(), part["text"].as_str()].map(Option::unwrap_or_default).concat();
                *last = part;
                last["text"] = json!(text);
            }
            _ => joined.push(part),
        }
    }
    joined
}

/// Joins text and thoughts without signatures, and removes empty parts.
fn joined(parts: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut joined: Vec<Value> = Vec::new();
    for part in parts {
        let free =
            |part: &Value| part.get("thoughtSignature").is_none() && part.get("functionCall").is_none();
        if free(&part) && part["text"] == "" {
            continue;
        }
        // A signature ends its thoughts.
        let continues = |last: &Value| free(last) && last.get("thought") == part.get("thought");
        let thought = part.get("thought").is_some();
        match joined.last_mut() {
            Some(last) if continues(last) && (thought || free(&part)) => {
                let text = format!(
                    "{}{}",
                    last["text"].as_str().unwrap(),
                    part["text"].as_str().unwrap_or_default()
                );
                if part.get("functionCall").is_none() {
                    let seal = part.get("thoughtSignature").cloned();
                    last["text"] = json!(text);
                    if let Some(seal) = seal {
                        last["thoughtSignature"] = seal;
                    }
                    continue;
                }
                joined.push(part);
            }
            _ => joined.push(part),
        }
    }
    joined
}

fn frame(parts: &[Value], finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({"candidates": [candidate], "modelVersion": "x", "responseId": "y"})
}

/// The events of a stream of these frames, to its end.
fn events(frames: &[Value]) -> Result<Vec<RunEventBody>, ApiError> {
    let mut decoder = GeminiDecoder::default();
    let mut events = Vec::new();
    for frame in frames {
        decoder.decode(Frame { event: "message", data: &frame.to_string() }, &mut events)?;
    }
    events.extend(decoder.end()?);
    Ok(events)
}

fn emitted(frames: &[Value]) -> Vec<Value> {
    let events = events(frames).unwrap();
    events.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

#[test]
fn text_thoughts_calls_and_usage_are_decoded() {
    let mut last = frame(&[json!({"text": ""})], Some("STOP"));
    last["usageMetadata"] = json!({"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 2,
        "toolUsePromptTokenCount": 1, "cachedContentTokenCount": 4, "totalTokenCount": 17});
    let mut first = frame(&[json!({"text": "Hm", "thought": true})], None);
    first["usageMetadata"] = json!({"promptTokenCount": 9});
    let call = json!({"name": "f", "args": {"x": 1}});
    let frames = [
        first,
        frame(&[json!({"text": "m.", "thought": true}), json!({"text": "It"})], None),
        frame(&[json!({"text": " is", "thoughtSignature": "S1"})], None),
        frame(&[json!({"text": "So", "thought": true, "thoughtSignature": "S2"})], None),
        frame(
            &[json!({"functionCall": call, "thoughtSignature": "S3"}), json!({"executableCode": {}})],
            None,
        ),
        frame(&[json!({"functionCall": {"id": "mine", "name": "g"}})], None),
        last,
    ];
    let emitted = emitted(&frames);
    let id = emitted[7]["begins"]["id"].as_str().unwrap();
    assert!(id.starts_with("call_") && id.len() == 29, "{id}");
    assert_eq!(
        emitted,
        [
            json!({"event": "reasoning", "index": 0, "text": "Hm"}),
            json!({"event": "reasoning", "index": 0, "text": "m."}),
            json!({"event": "delta", "text": "It"}),
            json!({"event": "delta", "text": " is"}),
            json!({"event": "reasoning", "index": 1, "text": "", "signature": "gemini:text:2-5:S1"}),
            json!({"event": "reasoning", "index": 2, "text": "So", "signature": "gemini:thought:S2"}),
            json!({"event": "reasoning", "index": 3, "text": "", "signature": format!("gemini:call:{id}:S3")}),
            json!({"event": "tool_call", "index": 0, "begins": {"id": id, "name": "f"}, "arguments": "{\"x\":1}"}),
            json!({"event": "tool_call", "index": 1, "begins": {"id": "mine", "name": "g"}, "arguments": "{}"}),
            serde_json::to_value(RunEventBody::Usage {
                usage: Usage {
                    prompt_tokens: 10,
                    completion_tokens: 7,
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
fn log_probabilities_are_decoded() {
    let mut frame = frame(&[json!({"text": "Hi"})], Some("STOP"));
    frame["candidates"][0]["logprobsResult"] = json!({
        "chosenCandidates": [{"token": "Hi", "tokenId": 1, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [
            {"token": "Hi", "logProbability": -0.5}, {"token": "Ho", "logProbability": -1.5}]}],
    });
    let entry = |text: &str, logprob: f64| json!({"bytes": text.as_bytes(), "logprob": logprob});
    let mut token = entry("Hi", -0.5);
    token["top"] = json!([entry("Hi", -0.5), entry("Ho", -1.5)]);
    assert_eq!(emitted(&[frame])[0], json!({"event": "delta", "text": "Hi", "logprobs": [token]}));
}

#[test]
fn finish_reason_is_mapped() {
    let cases = [
        ("STOP", Ok(FinishReason::Stop)),
        ("MAX_TOKENS", Ok(FinishReason::Length)),
        ("SAFETY", Ok(FinishReason::ContentFilter)),
        ("RECITATION", Ok(FinishReason::ContentFilter)),
        ("BLOCKLIST", Ok(FinishReason::ContentFilter)),
        ("PROHIBITED_CONTENT", Ok(FinishReason::ContentFilter)),
        ("SPII", Ok(FinishReason::ContentFilter)),
        ("UNKNOWN_REASON", Err(ErrorCode::ProviderError)),
        ("MALFORMED_FUNCTION_CALL", Err(ErrorCode::ProviderError)),
        ("OTHER", Err(ErrorCode::ProviderError)),
    ];
    for (reason, expected) in cases {
        let ended = events(&[frame(&[json!({"text": "a"})], Some(reason))]);
        let ended = ended.map(|events| events.last().cloned()).map_err(|error| error.code);
        let expected = expected.map(|finish_reason| Some(RunEventBody::Done { finish_reason }));
        assert_eq!(ended, expected, "{reason}");
    }
    // A blocked prompt.
    let blocked =
        json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}});
    let events = events(&[blocked]).unwrap();
    let usage = RunEventBody::Usage { usage: Usage { prompt_tokens: 3, ..Usage::default() } };
    assert_eq!(events, [usage, RunEventBody::Done { finish_reason: FinishReason::ContentFilter }]);
}

#[test]
fn each_of_several_answers_has_its_finish_reason() {
    let one = |index: u32, text: &str, finish: Option<&str>| {
        let mut frame = frame(&[json!({"text": text})], finish);
        frame["candidates"][0]["index"] = json!(index);
        frame
    };
    let events = events(&[
        one(1, "b", None),
        one(0, "a", None),
        one(1, "", Some("MAX_TOKENS")),
        one(0, "", Some("STOP")),
    ])
    .unwrap();
    assert!(events.contains(&RunEventBody::ChoiceDone { choice: 1, finish_reason: FinishReason::Length }));
    assert_eq!(events.last(), Some(&RunEventBody::Done { finish_reason: FinishReason::Stop }));
}

#[test]
fn error_frame_and_early_end_are_errors() {
    let begun = frame(&[json!({"text": "a"})], None);
    let error = |code: u32, status: &str| json!({"error": {"code": code, "message": "no", "status": status}});
    let mut far = begun.clone();
    far["candidates"][0]["index"] = json!(4_000_000_000_u32);
    let cases = [
        (vec![begun.clone()], ErrorCode::ProviderError),
        (vec![], ErrorCode::ProviderError),
        (vec![begun.clone(), error(429, "RESOURCE_EXHAUSTED")], ErrorCode::ProviderRateLimited),
        (vec![begun.clone(), error(503, "UNAVAILABLE")], ErrorCode::ProviderError),
        (vec![error(504, "DEADLINE_EXCEEDED")], ErrorCode::ProviderTimeout),
        (vec![json!(["no response"])], ErrorCode::ProviderError),
        (vec![far], ErrorCode::ProviderError),
    ];
    for (frames, code) in cases {
        assert_eq!(events(&frames).unwrap_err().code, code, "{frames:?}");
    }
    assert!(events(&[begun]).unwrap_err().message.contains("broke off"));
}

#[tokio::test]
async fn streamed_answer_over_http_is_decoded() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = |model: &'static str, uri: Uri, headers: HeaderMap| async move {
        assert_eq!(uri.to_string(), format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"));
        assert_eq!(
            (&headers["x-goog-api-key"], headers.get("authorization")),
            (&"AIza".parse().unwrap(), None)
        );
        let frames = [frame(&[json!({"text": "Hé"})], None), frame(&[json!({"text": "llo"})], Some("STOP"))];
        frames.iter().map(|frame| format!("data: {frame}\r\n\r\n")).collect::<String>()
    };
    let answer = move |uri, headers| answer("gemini-x", uri, headers);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1beta", listener.local_addr().unwrap());
    let router = Router::new().route("/v1beta/models/{call}", post(answer));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let endpoint = Endpoint {
        name: "google".into(),
        vendor: vendor::of_kind("google").unwrap(),
        auth: vendor::of_kind("google").unwrap().auth,
        dialect: Dialect::Gemini,
        base_url,
        key: Some(Secret::new("AIza")),
        region: None,
        signs_as_process: false,
        timeouts: Timeouts::default(),
    };
    let provider = HttpProvider::new(endpoint, crate::vendor_client().unwrap());
    let generation = Generation::new(None, task());
    let call = Call {
        run: RunId::new(),
        model: ModelId::new("models/gemini-x"),
        generation: generation.into(),
        delivery: Delivery::Stream,
        trace: Default::default(),
    };
    let events: Vec<RunEventBody> = provider.generate(call).await.unwrap().collect().await;
    server.abort();
    assert_eq!(
        events,
        [
            RunEventBody::Started { prompt_tokens: 0 },
            RunEventBody::text("Hé"),
            RunEventBody::text("llo"),
            RunEventBody::Done { finish_reason: FinishReason::Stop },
        ]
    );
}
