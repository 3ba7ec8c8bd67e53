use hearth_domain::{
    ClientDialect, DocumentSource, FinishReason, Generation, ImageSource, Message, OnDisconnect, Part, Piece,
    Priority, Reasoning, ReasoningEffort, ResponseFormat, Role, RunId, Selection, SelectionMode, Task,
    TextTask, TokenLogprob, ToolChoice, Usage,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    event::ToolCallBegin,
    extension::Extension,
    stream::{Framing, Render as _},
};

fn generation(body: Value) -> Result<Generation, ApiError> {
    serde_json::from_value::<GenerateContentRequest>(body).unwrap().into_generation("m".to_owned())
}

fn task(body: Value) -> TextTask {
    let Task::Text(task) = generation(body).unwrap().task else { panic!("a text") };
    task
}

fn messages(contents: Value) -> Vec<Message> {
    let mut body = json!({});
    body["contents"] = contents;
    task(body).messages.into_inner()
}

fn refused_param(body: Value) -> String {
    let error = generation(body).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
    error.param.unwrap()
}

fn hi() -> Value {
    json!([{"role": "user", "parts": [{"text": "Hi"}]}])
}

#[test]
fn every_field_is_read_in_either_spelling() {
    let camel = json!({
        "contents": [{"parts": {"text": "Hi"}}],
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "tools": [{"functionDeclarations": [
            {"name": "look", "description": "Looks.", "parameters": {"type": "OBJECT", "properties": {"at": {"type": "STRING"}}}},
            {"name": "wait", "parametersJsonSchema": {"type": "object"}},
            {"name": "end"},
        ]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
        "generationConfig": {
            "temperature": 1, "topP": 0.5, "topK": 40.0, "maxOutputTokens": "7", "stopSequences": ["X"], "seed": -1,
            "presencePenalty": 0.5, "frequencyPenalty": -0.5, "candidateCount": 2, "responseLogprobs": true, "logprobs": 3,
            "responseMimeType": "application/json", "responseSchema": {"type": "ARRAY"}, "responseModalities": ["TEXT"],
            "thinkingConfig": {"thinkingBudget": 9, "includeThoughts": true}, "mediaResolution": "LOW",
        },
        "safetySettings": [{"category": "C"}], "cachedContent": "cachedContents/1", "labels": {"a": "b"},
        "on_disconnect": "continue", "priority": "high", "selection_mode": "free_only", "fallback": false,
    });
    let snake: String = {
        let text = camel.to_string();
        let pairs = [
            ("systemInstruction", "system_instruction"),
            ("functionDeclarations", "function_declarations"),
            ("parametersJsonSchema", "parameters_json_schema"),
            ("toolConfig", "tool_config"),
            ("functionCallingConfig", "function_calling_config"),
            ("allowedFunctionNames", "allowed_function_names"),
            ("generationConfig", "generation_config"),
            ("topP", "top_p"),
            ("topK", "top_k"),
            ("maxOutputTokens", "max_output_tokens"),
            ("stopSequences", "stop_sequences"),
            ("presencePenalty", "presence_penalty"),
            ("frequencyPenalty", "frequency_penalty"),
            ("candidateCount", "candidate_count"),
            ("responseLogprobs", "response_logprobs"),
            ("responseMimeType", "response_mime_type"),
            ("responseSchema", "response_schema"),
            ("responseModalities", "response_modalities"),
            ("thinkingConfig", "thinking_config"),
            ("thinkingBudget", "thinking_budget"),
            ("includeThoughts", "include_thoughts"),
            ("safetySettings", "safety_settings"),
            ("cachedContent\"", "cached_content\""),
        ];
        pairs.iter().fold(text, |text, (camel, snake)| text.replace(camel, snake))
    };
    for body in [camel, serde_json::from_str(&snake).unwrap()] {
        let generation = generation(body).unwrap();
        assert_eq!(
            Value::Object(generation.extra.fields.clone()),
            json!({
                "labels": {"a": "b"}, "safetySettings": [{"category": "C"}], "cachedContent": "cachedContents/1",
                "generationConfig": {"mediaResolution": "LOW", "thinkingConfig": {"thinkingBudget": 9, "includeThoughts": true}},
            })
        );
        assert_eq!(generation.extra.dialect, ClientDialect::Gemini);
        assert_eq!((generation.on_disconnect, generation.priority), (OnDisconnect::Continue, Priority::High));
        assert_eq!(
            (generation.route.mode, generation.route.fallbacks),
            (SelectionMode::FreeOnly, Some(vec![]))
        );
        let Task::Text(task) = generation.task else { panic!("a text") };
        let texts: Vec<_> = task.messages.iter().map(|m| (m.role, m.content.as_str())).collect();
        assert_eq!(texts, [(Role::System, "Be brief.\n\nBe kind."), (Role::User, "Hi")]);
        let tools: Vec<_> = task.tools.iter().map(|tool| (tool.name.as_str(), &tool.parameters)).collect();
        let at = json!({"type": "object", "properties": {"at": {"type": "string"}}});
        let (any, none) = (json!({"type": "object"}), json!({"type": "object", "properties": {}}));
        assert_eq!(tools, [("look", &at), ("wait", &any), ("end", &none)]);
        assert_eq!(task.tool_choice, ToolChoice::Named("look".into()));
        assert_eq!(
            (task.choices, task.top_logprobs, task.reasoning),
            (2, Some(3), Some(ReasoningEffort::Tokens(9)))
        );
        assert_eq!(task.response_format, ResponseFormat::JsonSchema(json!({"type": "array"})));
        let sampling = task.sampling;
        assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (Some(1.0), Some(0.5), Some(40)));
        assert_eq!((sampling.max_tokens, sampling.seed), (Some(7), Some(u32::MAX)));
        assert_eq!((sampling.presence_penalty, sampling.frequency_penalty), (Some(0.5), Some(-0.5)));
        assert_eq!(sampling.stop, ["X"]);
    }
}

#[test]
fn files_become_images_documents_or_opaque_parts() {
    let messages = messages(json!([{"role": "user", "parts": [
        {"text": "What is this?"},
        {"inlineData": {"mimeType": "image/jpg", "data": "_-8="}},
        {"inline_data": {"mime_type": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
        {"inlineData": {"mimeType": "text/plain", "data": "aGk="}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/x"}, "videoMetadata": {"fps": 1}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1", "mimeType": "image/png"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
    ]}]));
    let [message] = messages.as_slice() else { panic!("one message") };
    let parts = message.parts_with_extra();
    let Part::Image(image) = parts[1].0 else { panic!("{parts:?}") };
    assert_eq!(image.source, ImageSource::Data { media_type: "image/jpeg".into(), data: "/+8=".into() });
    let Part::Document(document) = parts[2].0 else { panic!("{parts:?}") };
    let pdf = DocumentSource::Data { media_type: "application/pdf".into(), data: "AAAA".into() };
    assert_eq!(document.source, pdf);
    assert_eq!(parts[2].1.map(|extra| json!(extra)), Some(json!({"inlineData": {"displayName": "a.pdf"}})));
    let Part::Document(document) = parts[3].0 else { panic!("{parts:?}") };
    assert_eq!(document.source, DocumentSource::Text("hi".into()));
    let Part::Image(image) = parts[4].0 else { panic!("{parts:?}") };
    assert_eq!(image.source, ImageSource::Url("https://example.org/a".into()));
    assert_eq!(parts[4].1.map(|extra| json!(extra)), Some(json!({"fileData": {"mimeType": "image/png"}})));
    let opaque: Vec<_> = message.opaque_parts().map(|opaque| opaque.param.as_str()).collect();
    let params =
        ["contents[0].parts[5].fileData", "contents[0].parts[6].fileData", "contents[0].parts[7].inlineData"];
    assert_eq!(opaque, params);
    let video = message.opaque_parts().next().unwrap();
    assert_eq!(video.value["videoMetadata"], json!({"fps": 1}));
}

#[test]
fn empty_parts_are_ignored() {
    let messages = messages(json!([{"parts": [{"text": null}, {}, {"text": ""}, {"text": "Hi"}]}]));
    assert_eq!((messages.len(), messages[0].content.as_str()), (1, "Hi"));
    assert!(messages[0].is_text_only());
}

#[test]
fn results_match_calls_by_id_or_by_name_and_order() {
    let call =
        |id: Option<&str>, name: &str| json!({"functionCall": {"id": id, "name": name, "args": {"n": 1}}});
    let result = |id: Option<&str>, name: &str, text: &str| json!({"functionResponse": {"id": id, "name": name, "response": {"result": text}}});
    let messages = messages(json!([
        {"role": "user", "parts": [{"text": "Look!"}]},
        // A stream that was stored piece by piece.
        {"role": "model", "parts": [{"text": "I "}]},
        {"role": "model", "parts": [{"text": "look."}, call(None, "look")]},
        {"role": "model", "parts": [call(Some("mine"), "look"), call(None, "hear")]},
        {"role": "user", "parts": [result(None, "hear", "a bark"), result(Some("mine"), "look", "two"), result(None, "look", "one"), {"text": "So?"}]},
        {"role": "model", "parts": [call(None, "look")]},
        {"role": "function", "parts": [result(Some("lost"), "look", "three")]},
    ]));
    let turns: Vec<_> =
        messages.iter().map(|m| (m.role, m.content.as_str(), m.tool_call_id.as_deref())).collect();
    assert_eq!(
        turns,
        [
            (Role::User, "Look!", None),
            (Role::Assistant, "I look.", None),
            (Role::Tool, "a bark", Some("call_3_1")),
            (Role::Tool, "two", Some("mine")),
            (Role::Tool, "one", Some("call_2_1")),
            (Role::User, "So?", None),
            (Role::Assistant, "", None),
            (Role::Tool, "three", Some("call_5_0")),
        ]
    );
    let ids: Vec<_> =
        messages[1].tool_calls.iter().map(|call| (call.id.as_str(), call.arguments.as_str())).collect();
    assert_eq!(ids, [("call_2_1", "{\"n\":1}"), ("mine", "{\"n\":1}"), ("call_3_1", "{\"n\":1}")]);
    assert_eq!(messages[2].name.as_deref(), Some("hear"));
    let lost = json!({"contents": [
        {"role": "user", "parts": [{"text": "Look!"}]},
        {"role": "user", "parts": [result(None, "look", "one")]},
    ]});
    assert_eq!(refused_param(lost), "contents[1].parts[0].functionResponse");
}

#[test]
fn results_become_text_and_stay_unchanged_for_google() {
    let cases = [
        (json!({"result": "a cat"}), "a cat", false, None),
        (json!({"error": "no light"}), "no light", true, None),
        (json!({"output": "a cat"}), "a cat", false, Some(json!({"output": "a cat"}))),
        (json!({"result": {"n": 1}}), "{\"n\":1}", false, Some(json!({"result": {"n": 1}}))),
        (
            json!({"name": "look", "content": "a cat"}),
            "a cat",
            false,
            Some(json!({"name": "look", "content": "a cat"})),
        ),
        (json!({"a": 1, "b": 2}), "{\"a\":1,\"b\":2}", false, Some(json!({"a": 1, "b": 2}))),
        (json!({}), "", false, Some(json!({}))),
    ];
    for (response, text, failed, own) in cases {
        let messages = messages(json!([
            {"role": "model", "parts": [{"functionCall": {"name": "look"}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": response}}]},
        ]));
        assert_eq!((messages[1].content.as_str(), messages[1].failed), (text, failed));
        let extra = messages[1].extra_of(hearth_domain::PartPlace::Message);
        let extra = extra.map(|extra| extra["functionResponse"]["response"].clone());
        assert_eq!(extra, own, "{text}");
    }
}

#[test]
fn hosted_tools_are_optional_or_required() {
    let tools = |tools: Value| generation(json!({"contents": hi(), "tools": tools})).unwrap().extra.hosted;
    let optional = tools(json!([{"googleSearch": {}, "code_execution": {}}, {"urlContext": {}}]));
    assert_eq!(
        optional.definitions,
        [json!({"googleSearch": {}}), json!({"code_execution": {}}), json!({"urlContext": {}})]
    );
    assert_eq!(optional.needed, None);
    assert_eq!(tools(json!([{"computerUse": {}}])).needed.as_deref(), Some("computerUse"));
}

#[test]
fn function_calling_mode_becomes_a_tool_choice() {
    let choice = |calling: Value| {
        let tools = json!([{"functionDeclarations": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}]);
        let calling = json!({"functionCallingConfig": calling});
        let generation =
            generation(json!({"contents": hi(), "tools": tools, "toolConfig": calling})).unwrap();
        let Task::Text(task) = generation.task else { panic!("a text") };
        let names: String = task.tools.iter().map(|tool| tool.name.as_str()).collect();
        (task.tool_choice, names, generation.extra.fields.contains_key("toolConfig"))
    };
    assert_eq!(choice(json!({"mode": "AUTO"})), (ToolChoice::Auto, "abc".into(), false));
    assert_eq!(choice(json!({"mode": "none"})), (ToolChoice::None, "abc".into(), false));
    assert_eq!(choice(json!({"mode": "ANY"})), (ToolChoice::Required, "abc".into(), false));
    let some = json!({"mode": "ANY", "allowedFunctionNames": ["a", "c"]});
    assert_eq!(choice(some), (ToolChoice::Required, "ac".into(), false));
    assert_eq!(choice(json!({"mode": "VALIDATED"})), (ToolChoice::Auto, "abc".into(), true));
}

#[test]
fn unsupported_request_is_refused_with_the_fields_name() {
    let config = |config: Value| json!({"contents": hi(), "generationConfig": config});
    let cases = [
        (json!({}), "contents"),
        (json!({"contents": [{"role": "system", "parts": []}]}), "contents[0].role"),
        (config(json!({"temperature": 3})), "generationConfig.temperature"),
        (config(json!({"topP": 2})), "generationConfig.topP"),
        (config(json!({"topK": -1})), "generationConfig.topK"),
        (config(json!({"maxOutputTokens": 0})), "generationConfig.maxOutputTokens"),
        (config(json!({"candidateCount": 99})), "generationConfig.candidateCount"),
        (config(json!({"responseModalities": ["TEXT", "IMAGE"]})), "generationConfig.responseModalities"),
        (
            config(json!({"thinkingConfig": {"thinkingLevel": "LOTS"}})),
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (config(json!({"responseSchema": {}, "responseJsonSchema": {}})), "generationConfig.responseSchema"),
        (
            json!({"contents": hi(), "tools": [{}, {"functionDeclarations": [{"name": "a b"}]}]}),
            "tools[1].functionDeclarations[0].name",
        ),
        (
            json!({"contents": hi(), "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
            "toolConfig.functionCallingConfig",
        ),
        (
            json!({"contents": hi(), "toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}),
            "toolConfig.functionCallingConfig.mode",
        ),
        (
            json!({"contents": [{"parts": [{"functionCall": {"name": "a"}}]}]}),
            "contents[0].parts[0].functionCall",
        ),
        (
            json!({"contents": hi(), "systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}}),
            "systemInstruction",
        ),
    ];
    for (body, param) in cases {
        assert_eq!(refused_param(body.clone()), param, "{body}");
    }
    let wrong = serde_json::from_value::<GenerateContentRequest>(json!({"contents": "Hi"}));
    assert!(wrong.unwrap_err().to_string().contains("a list or an object"));
}

fn events(bodies: Vec<RunEventBody>) -> Vec<RunEvent> {
    (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect()
}

fn selected() -> RunEventBody {
    RunEventBody::Selected(Selection::example("p:m", "p"))
}

fn reasoning(index: u32, text: &str, signature: Option<&str>) -> RunEventBody {
    let added = Reasoning { text: text.into(), signature: signature.map(Into::into), encrypted: None };
    RunEventBody::Reasoning { choice: 0, index, added }
}

fn call(index: u32, begins: Option<&str>, arguments: &str) -> RunEventBody {
    let begins = begins.map(|id| ToolCallBegin { id: id.into(), name: "look".into() });
    RunEventBody::ToolCall { choice: 0, index, begins, arguments: arguments.into() }
}

fn usage() -> RunEventBody {
    let usage = Usage {
        prompt_tokens: 9,
        completion_tokens: 5,
        cached_tokens: 4,
        reasoning_tokens: 2,
        ..Usage::default()
    };
    RunEventBody::Usage { usage }
}

fn done(finish_reason: FinishReason) -> RunEventBody {
    RunEventBody::Done { finish_reason }
}

fn renderer(shows_thoughts: bool) -> GeminiRenderer {
    GeminiRenderer::new(RunId::new(), shows_thoughts)
}

/// Renders the events as a whole answer and as frames.
fn both(bodies: &[RunEventBody], shows_thoughts: bool) -> (Value, Vec<Value>) {
    let events = events(bodies.to_vec());
    let whole = json!(renderer(shows_thoughts).into_answer(&events).unwrap());
    let mut renderer = renderer(shows_thoughts);
    let frames = events.iter().flat_map(|event| renderer.frames(event));
    let frames: Vec<Value> = frames.map(|frame| serde_json::from_str(&frame.data).unwrap()).collect();
    assert_eq!(renderer.final_frame(), None);
    (whole, frames)
}

fn parts_of(frames: &[Value]) -> Vec<Value> {
    frames
        .iter()
        .flat_map(|frame| frame["candidates"][0]["content"]["parts"].as_array().cloned().unwrap())
        .collect()
}

#[test]
fn answer_has_text_calls_and_usage() {
    let bodies = [
        selected(),
        RunEventBody::Started { prompt_tokens: 9 },
        RunEventBody::text("It "),
        RunEventBody::text("is."),
        call(0, Some("c1"), ""),
        call(1, Some("c2"), "{"),
        call(0, None, "{\"at\":"),
        call(0, None, "1}"),
        call(1, None, "}"),
        usage(),
        done(FinishReason::ToolCalls),
    ];
    let (whole, frames) = both(&bodies, false);
    let usage = json!({"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 14, "cachedContentTokenCount": 4});
    let calls = [
        json!({"functionCall": {"id": "c1", "name": "look", "args": {"at": 1}}}),
        json!({"functionCall": {"id": "c2", "name": "look", "args": {}}}),
    ];
    assert_eq!(
        whole["candidates"],
        json!([{"content": {"role": "model", "parts": [{"text": "It is."}, calls[0], calls[1]]}, "finishReason": "STOP", "index": 0}])
    );
    assert_eq!((&whole["usageMetadata"], &whole["modelVersion"]), (&usage, &json!("p:m")));
    let [one, two] = calls;
    assert_eq!(
        parts_of(&frames),
        [json!({"text": "It "}), json!({"text": "is."}), one, two, json!({"text": ""})]
    );
    let (last, others) = frames.split_last().unwrap();
    assert_eq!((&last["candidates"][0]["finishReason"], &last["usageMetadata"]), (&json!("STOP"), &usage));
    assert!(others.iter().all(|frame| frame["candidates"][0].get("finishReason").is_none()));
    assert!(frames.iter().all(|frame| frame["responseId"].is_string() && frame["modelVersion"] == "p:m"));
}

#[test]
fn incomplete_calls_have_no_arguments() {
    let bodies = [call(0, Some("c1"), "{\"at\":"), done(FinishReason::Length)];
    let (whole, frames) = both(&bodies, false);
    let cut = json!({"functionCall": {"id": "c1", "name": "look", "args": {}}});
    assert_eq!(whole["candidates"][0]["content"]["parts"], json!([cut]));
    assert_eq!(parts_of(&frames)[0], cut);
    assert_eq!(frames.last().unwrap()["candidates"][0]["finishReason"], "MAX_TOKENS");
}

#[test]
fn reasoning_is_rendered_only_on_request() {
    let bodies = [
        reasoning(0, "Hm, ", None),
        reasoning(0, "well.", None),
        RunEventBody::text("Yes."),
        done(FinishReason::Stop),
    ];
    let (whole, frames) = both(&bodies, true);
    let text = json!({"text": "Yes."});
    assert_eq!(
        whole["candidates"][0]["content"]["parts"],
        json!([{"text": "Hm, well.", "thought": true}, text])
    );
    assert_eq!(
        parts_of(&frames)[..2],
        [json!({"text": "Hm, ", "thought": true}), json!({"text": "well.", "thought": true})]
    );
    let (whole, frames) = both(&bodies, false);
    assert_eq!(whole["candidates"][0]["content"]["parts"], json!([text]));
    assert_eq!(parts_of(&frames), [text, json!({"text": ""})]);
}

#[test]
fn signatures_stay_with_their_parts() {
    let bodies = [
        reasoning(0, "Hm.", Some("gemini:thought:T")),
        RunEventBody::text("It is"),
        reasoning(1, "", Some("gemini:text:2-5:X")),
        reasoning(2, "", Some("gemini:call:c1:C")),
        call(0, Some("c1"), "{}"),
        done(FinishReason::ToolCalls),
    ];
    let (whole, frames) = both(&bodies, true);
    let call_part =
        json!({"functionCall": {"id": "c1", "name": "look", "args": {}}, "thoughtSignature": "C"});
    assert_eq!(
        whole["candidates"][0]["content"]["parts"],
        json!([
            {"text": "Hm.", "thought": true, "thoughtSignature": "T"}, {"text": "It"},
            {"text": " is", "thoughtSignature": "X"}, call_part,
        ])
    );
    assert_eq!(
        parts_of(&frames),
        [
            json!({"text": "Hm.", "thought": true, "thoughtSignature": "T"}),
            json!({"text": "It is"}),
            json!({"text": "", "thoughtSignature": "X"}),
            call_part,
            json!({"text": ""}),
        ]
    );
}

#[test]
fn whole_answer_has_the_order_of_the_events() {
    let part = |name: &str| json!({name: {"id": "1"}, "thoughtSignature": "P"});
    let item = |name: &str| RunEventBody::extension(ClientDialect::Gemini, Extension::Item(part(name)));
    let citation = Extension::Annotation(json!({"url": "https://example.org"}));
    let bodies = [
        RunEventBody::text("a"),
        reasoning(0, "", Some("gemini:text:0-1:A")),
        item("executableCode"),
        item("codeExecutionResult"),
        reasoning(1, "B", None),
        RunEventBody::text("c"),
        RunEventBody::extension(ClientDialect::Anthropic, citation),
        RunEventBody::text("d"),
        reasoning(2, "", Some("gemini:call:c1:C")),
        call(0, Some("c1"), "{}"),
        RunEventBody::text("e"),
        RunEventBody::extension(ClientDialect::Gemini, Extension::TextBlock),
        RunEventBody::text("fg"),
        reasoning(3, "", Some("gemini:text:5-6:G")),
        call(1, Some("c2"), "{}"),
        reasoning(4, "", Some("gemini:text:6-6:H")),
        // No text has these bytes.
        reasoning(5, "", Some("gemini:text:2-9:I")),
        done(FinishReason::ToolCalls),
    ];
    let function_call = |id: &str| json!({"functionCall": {"id": id, "name": "look", "args": {}}});
    let signed = |mut part: Value, signature: &str| {
        part["thoughtSignature"] = json!(signature);
        part
    };
    let expected = [
        json!({"text": "a", "thoughtSignature": "A"}),
        part("executableCode"),
        part("codeExecutionResult"),
        json!({"text": "B", "thought": true}),
        json!({"text": "cd"}),
        signed(function_call("c1"), "C"),
        json!({"text": "e"}),
        json!({"text": "f"}),
        json!({"text": "g", "thoughtSignature": "G"}),
        function_call("c2"),
        json!({"text": "", "thoughtSignature": "H"}),
        json!({"text": "", "thoughtSignature": "I"}),
    ];
    let (whole, _) = both(&bodies, true);
    assert_eq!(whole["candidates"][0]["content"]["parts"], json!(expected));
    // Thoughts that the client doesn't get separate no texts.
    let (whole, _) = both(
        &[
            RunEventBody::text("a"),
            reasoning(0, "B", None),
            RunEventBody::text("c"),
            done(FinishReason::Stop),
        ],
        false,
    );
    assert_eq!(whole["candidates"][0]["content"]["parts"], json!([{"text": "ac"}]));
}

#[test]
fn turn_of_the_model_keeps_the_order_of_its_parts() {
    let code = json!({"executableCode": {"code": "1"}, "thoughtSignature": "P"});
    let picture = json!({"thought": true, "inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let messages = messages(json!([{"role": "model", "parts": [
        {"text": "a"}, {"functionCall": {"id": "c1", "name": "look"}, "thoughtSignature": "C"}, {"text": "b", "thoughtSignature": "B"},
        {"text": "D", "thought": true}, {"text": "E", "thought": true}, code, {"text": "F", "thought": true}, picture,
        {"functionCall": {"id": "c2", "name": "look"}}, {"text": "", "thoughtSignature": "G"}, {"thoughtSignature": "H"},
    ]}]));
    let [message] = messages.as_slice() else { panic!("one message") };
    let pieces = message.pieces().into_iter().map(|piece| match piece {
        Piece::Reasoning(Reasoning { text, signature, .. }) => {
            format!("{text} {}", signature.as_deref().unwrap_or_default())
        }
        Piece::Part(_, Part::Text(text)) => text.to_owned(),
        Piece::Part(_, Part::Opaque(opaque)) if opaque.value == code => "code".to_owned(),
        Piece::Part(_, Part::Opaque(opaque)) if opaque.value == picture => "picture".to_owned(),
        Piece::Part(_, part) => panic!("{part:?}"),
        Piece::Call(_, call) => call.id.clone(),
    });
    let expected = [
        "a",
        " gemini:call:c1:C",
        "c1",
        "b",
        " gemini:text:1-2:B",
        "DE ",
        "code",
        "F ",
        "picture",
        "c2",
        " gemini:text:2-2:G",
        " gemini:text:2-2:H",
    ];
    assert_eq!(pieces.collect::<Vec<_>>(), expected);
}

#[test]
fn reasoning_of_another_vendor_comes_back_among_the_parts() {
    let bodies = [
        reasoning(0, "A", Some("s0")),
        reasoning(1, "B", Some("s1")),
        RunEventBody::text("x"),
        reasoning(2, "C", Some("s2")),
        call(0, Some("c1"), "{}"),
        done(FinishReason::ToolCalls),
    ];
    let pieces = |shows_thoughts: bool| -> String {
        let (whole, _) = both(&bodies, shows_thoughts);
        let messages = messages(json!([whole["candidates"][0]["content"]]));
        assert_eq!(messages[0].reasoning.len(), 3);
        let pieces = messages[0].pieces().into_iter().map(|piece| match piece {
            Piece::Reasoning(block) => block.text.clone(),
            Piece::Part(_, Part::Text(text)) => text.to_owned(),
            Piece::Part(_, part) => panic!("{part:?}"),
            Piece::Call(_, call) => call.id.clone(),
        });
        pieces.collect()
    };
    assert_eq!(pieces(true), "ABxCc1");
    // Without the thoughts their places are lost.
    assert_eq!(pieces(false), "ABCxc1");
}

#[test]
fn blocked_answer_is_prompt_feedback() {
    let (whole, frames) = both(&[usage(), done(FinishReason::ContentFilter)], false);
    for answer in [&whole, &frames[0]] {
        assert_eq!(
            (answer.get("candidates"), &answer["promptFeedback"]),
            (None, &json!({"blockReason": "OTHER"}))
        );
    }
    let (whole, _) = both(&[RunEventBody::text("I"), done(FinishReason::ContentFilter)], false);
    assert_eq!(whole["candidates"][0]["finishReason"], "SAFETY");
}

#[test]
fn each_of_several_answers_has_its_index() {
    let delta = |choice, text: &str| RunEventBody::Delta { choice, text: text.into(), logprobs: Vec::new() };
    let bodies = [
        delta(1, "b"),
        delta(0, "a"),
        RunEventBody::ChoiceDone { choice: 1, finish_reason: FinishReason::Length },
        done(FinishReason::Stop),
    ];
    let (whole, frames) = both(&bodies, false);
    let ends = |answer: &Value| -> Vec<(Value, Value)> {
        answer["candidates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["index"].clone(), c["finishReason"].clone()))
            .collect()
    };
    assert_eq!(ends(&whole), [(json!(0), json!("STOP")), (json!(1), json!("MAX_TOKENS"))]);
    assert_eq!(ends(&frames[2]), [(json!(1), json!("MAX_TOKENS"))]);
    assert_eq!(ends(&frames[3]), [(json!(0), json!("STOP"))]);
}

#[test]
fn logprobs_are_rendered() {
    let logprob = |text: &str, logprob| hearth_domain::Logprob { bytes: text.into(), logprob };
    let token = TokenLogprob { token: logprob("a", -0.5), top: vec![logprob("a", -0.5), logprob("b", -2.0)] };
    let delta = RunEventBody::Delta { choice: 0, text: "a".into(), logprobs: vec![token] };
    let (whole, frames) = both(&[delta, done(FinishReason::Stop)], false);
    let expected = json!({
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "b", "logProbability": -2.0}]}],
    });
    assert_eq!(whole["candidates"][0]["logprobsResult"], expected);
    assert_eq!(frames[0]["candidates"][0]["logprobsResult"], expected);
}

#[test]
fn errors_have_googles_format() {
    let error = ApiError::new(ErrorCode::ProviderRateLimited, "slow down").with("provider", "acme");
    let error = error.with_retry_after(Some(std::time::Duration::from_millis(1500)));
    let body = json!(GeminiError::new(&error, "req_1"));
    assert_eq!(
        body,
        json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "PROVIDER_RATE_LIMITED", "domain": "hearth",
                "metadata": {"request_id": "req_1", "retryable": "true", "provider": "acme", "retry_after_seconds": "2"}},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"},
        ]}})
    );
    let events = events(vec![
        RunEventBody::text("I"),
        RunEventBody::Error { error: ApiError::invalid("contents", "no") },
    ]);
    let mut renderer = renderer(false);
    let frames: Vec<_> = events.iter().flat_map(|event| renderer.frames(event)).collect();
    let last: Value = serde_json::from_str(&frames[1].data).unwrap();
    assert_eq!((&last["error"]["status"], &last["error"]["code"]), (&json!("INVALID_ARGUMENT"), &json!(400)));
    assert_eq!(last["error"]["details"][1]["fieldViolations"][0]["field"], "contents");
    assert_eq!(
        (renderer.framing(), renderer.as_array().framing()),
        (Framing::QuietEvents, Framing::JsonArray)
    );
}

#[test]
fn tokens_of_contents_or_of_a_request_are_estimated() {
    let count = |body: Value| {
        serde_json::from_value::<GeminiCountRequest>(body).unwrap().estimate().unwrap().total_tokens
    };
    let text = json!([{"parts": [{"text": "12345678"}]}]);
    assert_eq!(count(json!({"contents": text})), 6);
    let request =
        json!({"contents": text, "systemInstruction": {"parts": [{"text": "1234"}]}, "model": "models/x"});
    assert_eq!(count(json!({"generateContentRequest": request})), 11);
}

#[test]
fn embedding_requests_are_converted() {
    let request = |purpose: &str| json!({"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "taskType": purpose, "output_dimensionality": 3});
    let batch = |requests: Value| {
        serde_json::from_value::<BatchEmbedContentsRequest>(json!({"requests": requests}))
            .unwrap()
            .into_generation("m".into())
    };
    let generation = batch(json!([request("X"), request("X")])).unwrap();
    assert_eq!(Value::Object(generation.extra.fields), json!({"taskType": "X"}));
    let Task::Embedding(task) = generation.task else { panic!("an embedding") };
    assert_eq!((task.inputs.len(), task.dimensions), (2, Some(3)));
    assert_eq!(task.inputs[0], hearth_domain::EmbeddingInput::Text("a\nb".into()));
    assert_eq!(batch(json!([request("X"), request("Y")])).unwrap_err().param.as_deref(), Some("requests[1]"));
    assert_eq!(batch(json!([])).unwrap_err().param.as_deref(), Some("requests"));
    let picture = json!([{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}}]);
    assert_eq!(batch(picture).unwrap_err().param.as_deref(), Some("requests[0].content.parts[0]"));
}

proptest! {
    /// Reasoning of any vendor survives a round trip, streamed or not.
    #[test]
    fn reasoning_of_other_vendors_survives_a_round_trip(
        blocks in prop::collection::vec(("[a-z]{0,6}", prop::option::of("[A-Z]{3}"), prop::option::of("[a-z]{3}")), 0..4),
        shows in any::<bool>(),
    ) {
        let blocks: Vec<Reasoning> = blocks.into_iter().map(|(text, signature, encrypted)| Reasoning { text, signature, encrypted }).collect();
        let mut bodies: Vec<RunEventBody> = (0..).zip(&blocks).map(|(index, block)| {
            RunEventBody::Reasoning { choice: 0, index, added: block.clone() }
        }).collect();
        bodies.extend([RunEventBody::text("Yes."), call(0, Some("c1"), "{}"), done(FinishReason::ToolCalls)]);
        let (whole, frames) = both(&bodies, shows);
        let expected: Vec<Reasoning> = blocks.into_iter().filter(|block| *block != Reasoning::default()).collect();
        for parts in [whole["candidates"][0]["content"]["parts"].clone(), json!(parts_of(&frames))] {
            let messages = messages(json!([{"role": "model", "parts": parts}]));
            prop_assert_eq!(&messages[0].reasoning, &expected);
            prop_assert_eq!(messages[0].content.as_str(), "Yes.");
        }
    }
}
