//! `:generateContent` and `:streamGenerateContent`, as Google's clients ask.

use serde_json::{Value, json};

use super::Client;
use crate::table::neutral::{
    Answer, Call, End, Part, Request, Turn, UNKNOWN, Usage, list, number, parameters, text,
};

pub(super) const CLIENT: Client = Client {
    name: "gemini",
    path: "/v1beta/models/{model}:generateContent",
    request,
    set_max_tokens,
    parse_answer,
    join_stream,
    next_request,
    stream_error,
    error,
};

fn request(request: &Request, model: &str) -> Value {
    let contents: Vec<Value> = request.turns.iter().map(turn).collect();
    let config = json!({"thinkingConfig": {"includeThoughts": true}});
    let mut body = json!({"model": model, "contents": contents, "generationConfig": config});
    if let Some(system) = &request.system {
        body["systemInstruction"] = json!({"parts": [{"text": system}]});
    }
    if request.tool {
        let function =
            json!({"name": "look", "description": "Look somewhere.", "parametersJsonSchema": parameters()});
        body["tools"] = json!([{"functionDeclarations": [function]}]);
    }
    let config = &mut body["generationConfig"];
    if let Some(schema) = &request.schema {
        config["responseMimeType"] = json!("application/json");
        config["responseJsonSchema"] = schema.clone();
    }
    if !request.stop.is_empty() {
        config["stopSequences"] = json!(request.stop);
    }
    if let Some(seed) = request.seed {
        config["seed"] = json!(seed);
    }
    if request.unknown {
        body[UNKNOWN] = json!({"level": 1});
    }
    body
}

fn set_max_tokens(body: &mut Value, tokens: u32) {
    body["generationConfig"]["maxOutputTokens"] = json!(tokens);
}

fn turn(turn: &Turn) -> Value {
    match turn {
        Turn::User(parts) => json!({"role": "user", "parts": parts.iter().map(part).collect::<Vec<_>>()}),
        Turn::Assistant { text, calls, .. } => {
            let call = |call: &Call| json!({"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}});
            let parts = std::iter::once(json!({"text": text})).chain(calls.iter().map(call));
            json!({"role": "model", "parts": parts.collect::<Vec<_>>()})
        }
        Turn::Results(results) => {
            let results: Vec<Value> = results.iter().map(|(id, text)| result(Some(id), text)).collect();
            json!({"role": "user", "parts": results})
        }
    }
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({"text": text}),
        Part::Picture(data) => json!({"inlineData": {"mimeType": "image/png", "data": data}}),
        Part::Link(url) => json!({"fileData": {"mimeType": "image/png", "fileUri": url}}),
        Part::Document(data) => json!({"inlineData": {"mimeType": "application/pdf", "data": data}}),
    }
}

fn result(id: Option<&str>, text: &str) -> Value {
    json!({"functionResponse": {"id": id, "name": "look", "response": {"result": text}}})
}

fn parse_answer(answer: &Value) -> Answer {
    let candidate = &answer["candidates"][0];
    let parts = list(&candidate["content"]["parts"]);
    let texts = |is_thought: bool| -> String {
        parts
            .iter()
            .filter(|part| (part["thought"] == true) == is_thought)
            .map(|part| text(&part["text"]))
            .collect()
    };
    let calls = parts.iter().map(|part| &part["functionCall"]).filter(|call| call.is_object());
    let calls: Vec<Call> = calls
        .map(|call| Call {
            id: text(&call["id"]),
            name: text(&call["name"]),
            arguments: call["args"].clone(),
        })
        .collect();
    let usage = &answer["usageMetadata"];
    let thoughts = usage["thoughtsTokenCount"].as_u64().unwrap_or_default();
    let completion = number(&usage["candidatesTokenCount"]).saturating_add(thoughts);
    assert_eq!(
        number(&usage["totalTokenCount"]),
        number(&usage["promptTokenCount"]).saturating_add(completion)
    );
    Answer {
        thoughts: texts(true),
        text: texts(false),
        end: match candidate["finishReason"].as_str() {
            // There is no word for an end by calls.
            Some("STOP") if !calls.is_empty() => End::Calls,
            Some("STOP") => End::Turn,
            Some("MAX_TOKENS") => End::Length,
            Some("SAFETY") => End::Filtered,
            other => panic!("finishReason {other:?}"),
        },
        calls,
        usage: Usage {
            prompt: number(&usage["promptTokenCount"]),
            completion,
            cached: usage["cachedContentTokenCount"].as_u64().unwrap_or_default(),
            thoughts,
        },
        ..Answer::default()
    }
}

/// Each piece is a response with some parts more.
fn join_stream(pieces: &[Value]) -> Value {
    let parts = pieces.iter().flat_map(|piece| list(&piece["candidates"][0]["content"]["parts"]).to_vec());
    let parts: Vec<Value> = parts.collect();
    let mut whole = pieces.last().cloned().unwrap_or_default();
    whole["candidates"][0]["content"]["parts"] = json!(parts);
    whole
}

/// The result is matched by the function's name.
fn next_request(mut body: Value, answer: &Value, with: &str) -> Value {
    if let Some(contents) = body["contents"].as_array_mut() {
        contents.push(answer["candidates"][0]["content"].clone());
        contents.push(json!({"role": "user", "parts": [result(None, with)]}));
    }
    body
}

fn stream_error(pieces: &[Value]) -> Option<String> {
    error(pieces.last()?)["code"].as_str().map(str::to_owned)
}

/// The gateway's own words are among the details.
fn error(answer: &Value) -> Value {
    let error = &answer["error"];
    assert!(error["code"].is_number() && error["status"].is_string(), "{answer}");
    let info = &error["details"][0];
    json!({"code": text(&info["reason"]).to_lowercase(), "param": info["metadata"]["param"]})
}
