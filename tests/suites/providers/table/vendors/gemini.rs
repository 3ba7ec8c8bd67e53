//! Google's `generateContent`.

use hearth_tests::{Received, Reply};
use serde_json::{Value, json};

use super::{Failure, Vendor, has_key};
use crate::table::neutral::{
    Answer, Call, End, Part, Request, Turn, UNKNOWN, halves, list, parameters, text,
};

pub(in crate::table) const VENDOR: Vendor = Vendor {
    name: "gemini",
    path: "/v1beta",
    settings: "kind = 'google'",
    model: "gemini-2.5-flash",
    stream_answer,
    whole_answer,
    streams,
    begins,
    fails,
    parse_request,
};

/// Frames as they go over the wire: Google ends its lines as Windows does.
fn frames(frames: &[Value]) -> Reply {
    Reply::stream(&frames.iter().map(|frame| format!("data: {frame}\r\n\r\n")).collect::<String>())
}

fn part(part: &Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]})
}

fn stream_answer(answer: &Answer) -> Reply {
    let mut all: Vec<Value> = parts(answer).iter().map(part).collect();
    all.push(response(answer, &[]));
    frames(&all)
}

fn whole_answer(answer: &Answer) -> Reply {
    Reply::json(200, &response(answer, &parts(answer)))
}

fn streams(received: &Received) -> bool {
    let streams = received.path.ends_with(":streamGenerateContent?alt=sse");
    assert!(streams || received.path.ends_with(":generateContent"), "{}", received.path);
    streams
}

fn parts(answer: &Answer) -> Vec<Value> {
    let mut parts = Vec::new();
    let halves = |text: &str| halves(text).map(|half| json!({"text": half})).to_vec();
    if !answer.thoughts.is_empty() {
        parts.extend(halves(&answer.thoughts).into_iter().map(|mut thought| {
            thought["thought"] = json!(true);
            thought
        }));
    }
    // It has no word for a refusal but the reason of the end.
    parts.extend(halves(&format!("{}{}", answer.text, answer.refusal)));
    for (index, call) in answer.calls.iter().enumerate() {
        let mut part = json!({"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}});
        // The seal is on the first call, if there is one.
        if index == 0 && !answer.seal.is_empty() {
            part["thoughtSignature"] = json!(answer.seal);
        }
        parts.push(part);
    }
    parts
}

/// The response with the answer's end.
fn response(answer: &Answer, parts: &[Value]) -> Value {
    let reason = match answer.end {
        End::Turn | End::StopText(_) | End::Calls => "STOP",
        End::Length => "MAX_TOKENS",
        End::Filtered => "SAFETY",
    };
    let usage = answer.usage;
    json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reason, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": usage.prompt, "candidatesTokenCount": usage.completion - usage.thoughts,
            "thoughtsTokenCount": usage.thoughts, "cachedContentTokenCount": usage.cached,
        },
    })
}

fn begins(text: &str) -> Reply {
    frames(&[part(&json!({"text": text}))])
}

fn fails(text: &str, failure: Failure) -> Reply {
    let error = match failure {
        Failure::Overloaded => json!({"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}),
        Failure::Fault => json!({"code": 500, "message": "it broke", "status": "INTERNAL"}),
    };
    frames(&[part(&json!({"text": text})), json!({"error": error})])
}

fn parse_request(received: &Received) -> Request {
    let body = &received.body;
    has_key(received, "x-goog-api-key", "sk-gemini");
    let path = format!("/v1beta/models/{}", VENDOR.model);
    assert!(received.path.starts_with(&path), "{}", received.path);
    let config = &body["generationConfig"];
    let mut request = Request {
        system: body["systemInstruction"]["parts"].get(0).map(|part| text(&part["text"])),
        schema: config.get("responseJsonSchema").cloned(),
        stop: list(&config["stopSequences"]).iter().map(text).collect(),
        seed: config["seed"].as_u64().and_then(|seed| u32::try_from(seed).ok()),
        unknown: body.get(UNKNOWN).is_some(),
        ..Request::default()
    };
    assert_eq!(request.schema.is_some(), config["responseMimeType"] == "application/json", "{body}");
    if let [tool] = list(&body["tools"][0]["functionDeclarations"]) {
        assert_eq!((&tool["name"], &tool["parametersJsonSchema"]), (&json!("look"), &parameters()));
        request.tool = true;
    }
    request.turns = list(&body["contents"]).iter().map(turn).collect();
    request
}

fn turn(content: &Value) -> Turn {
    let parts = list(&content["parts"]);
    if content["role"] == "model" {
        return models(parts);
    }
    let result = |part: &Value| {
        let response = &part["functionResponse"];
        (text(&response["id"]), text(&response["response"]["result"]))
    };
    if parts.iter().any(|part| part["functionResponse"].is_object()) {
        return Turn::Results(parts.iter().map(result).collect());
    }
    let part = |part: &Value| match (part.get("inlineData"), part.get("fileData")) {
        (Some(data), _) if data["mimeType"] == "image/png" => Part::Picture(text(&data["data"])),
        (Some(data), _) if data["mimeType"] == "application/pdf" => Part::Document(text(&data["data"])),
        (_, Some(file)) => Part::Link(text(&file["fileUri"])),
        _ => Part::Text(text(&part["text"])),
    };
    Turn::User(parts.iter().map(part).collect())
}

/// Thoughts count where they have a seal, as the one on a call.
fn models(parts: &[Value]) -> Turn {
    let (mut thoughts, mut spoken, mut calls) = (Vec::new(), String::new(), Vec::new());
    for part in parts {
        if let Some(seal) = part["thoughtSignature"].as_str() {
            thoughts.push((String::new(), seal.to_owned()));
        }
        let call = &part["functionCall"];
        if call.is_object() {
            calls.push(Call {
                id: text(&call["id"]),
                name: text(&call["name"]),
                arguments: call["args"].clone(),
            });
        } else if part["thought"] != true {
            spoken.push_str(&text(&part["text"]));
        }
    }
    Turn::Assistant { thoughts, text: spoken, calls }
}
