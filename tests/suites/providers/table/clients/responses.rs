//! `/v1/responses`.

use serde_json::{Value, json};

use super::{Client, own_error};
use crate::table::neutral::{
    Answer, Call, End, Part, Request, Turn, UNKNOWN, Usage, address, list, mark, number, parameters, parsed,
    text,
};

pub(super) const CLIENT: Client = Client {
    name: "responses",
    path: "/v1/responses",
    request,
    set_max_tokens,
    parse_answer,
    join_stream,
    next_request,
    stream_error,
    error: own_error,
};

fn request(request: &Request, model: &str) -> Value {
    let items: Vec<Value> = request.turns.iter().flat_map(turn).collect();
    let mut body = json!({
        "model": model, "input": items, "store": false, "include": ["reasoning.encrypted_content"],
    });
    if let Some(system) = &request.system {
        body["instructions"] = json!(system);
    }
    if request.tool {
        body["tools"] = json!([{"type": "function", "name": "look", "description": "Look somewhere.", "parameters": parameters()}]);
    }
    if request.mark {
        body["input"][0]["content"][0]["cache_control"] = mark();
    }
    if let Some(schema) = &request.schema {
        let name = request.schema_name.as_deref().unwrap_or("response");
        body["text"] = json!({"format": {"type": "json_schema", "name": name, "schema": schema}});
    }
    if !request.stop.is_empty() {
        body["stop"] = json!(request.stop);
    }
    if let Some(seed) = request.seed {
        body["seed"] = json!(seed);
    }
    if request.unknown {
        body[UNKNOWN] = json!({"level": 1});
    }
    body
}

fn turn(turn: &Turn) -> Vec<Value> {
    match turn {
        Turn::User(parts) => {
            let content: Vec<Value> = parts.iter().map(part).collect();
            vec![json!({"type": "message", "role": "user", "content": content})]
        }
        Turn::Assistant { text, calls, .. } => {
            let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
            let message = json!({"type": "message", "role": "assistant", "content": content});
            let calls = calls.iter().map(|call| {
                let arguments = call.arguments.to_string();
                json!({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments})
            });
            std::iter::once(message).chain(calls).collect()
        }
        Turn::Results(results) => results.iter().map(|(id, text)| result(id, text)).collect(),
    }
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({"type": "input_text", "text": text}),
        Part::Document(_) => {
            json!({"type": "input_file", "filename": "a.pdf", "file_data": address(part)})
        }
        image => json!({"type": "input_image", "image_url": address(image), "detail": "auto"}),
    }
}

fn result(id: &str, text: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": text})
}

fn set_max_tokens(body: &mut Value, tokens: u32) {
    body["max_output_tokens"] = json!(tokens);
}

fn parse_answer(answer: &Value) -> Answer {
    let items = list(&answer["output"]);
    let parts = |item: &str, part: &str, field: &str| -> String {
        let items = items.iter().filter(|one| one["type"] == item);
        let parts = items.flat_map(|one| list(&one["content"])).filter(|one| one["type"] == part);
        parts.map(|one| text(&one[field])).collect()
    };
    let refusal = parts("message", "refusal", "refusal");
    let calls: Vec<Call> = items
        .iter()
        .filter(|item| item["type"] == "function_call")
        .map(|item| Call {
            id: text(&item["call_id"]),
            name: text(&item["name"]),
            arguments: parsed(&item["arguments"]),
        })
        .collect();
    let usage = &answer["usage"];
    let why = answer["incomplete_details"]["reason"].as_str();
    Answer {
        thoughts: parts("reasoning", "reasoning_text", "text"),
        text: parts("message", "output_text", "text"),
        end: match (answer["status"].as_str(), why) {
            (Some("completed"), None) if !refusal.is_empty() => End::Filtered,
            (Some("completed"), None) if !calls.is_empty() => End::Calls,
            (Some("completed"), None) => End::Turn,
            (Some("incomplete"), Some("max_output_tokens")) => End::Length,
            (Some("incomplete"), Some("content_filter")) => End::Filtered,
            other => panic!("it ended as {other:?}"),
        },
        calls,
        usage: Usage {
            prompt: number(&usage["input_tokens"]),
            completion: number(&usage["output_tokens"]),
            cached: number(&usage["input_tokens_details"]["cached_tokens"]),
            thoughts: number(&usage["output_tokens_details"]["reasoning_tokens"]),
        },
        refusal,
        ..Answer::default()
    }
}

/// The last event has it all; what came before in pieces must be the same.
fn join_stream(events: &[Value]) -> Value {
    let whole = events.last().map(|event| event["response"].clone()).unwrap_or_default();
    let response = parse_answer(&whole);
    for (kind, text_of) in [
        ("response.output_text.delta", &response.text),
        ("response.refusal.delta", &response.refusal),
        ("response.reasoning_text.delta", &response.thoughts),
    ] {
        let pieces = events.iter().filter(|event| event["type"] == kind);
        let joined: String = pieces.map(|event| text(&event["delta"])).collect();
        assert_eq!(joined, *text_of, "{kind}");
    }
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    assert_eq!(done.map(|event| event["item"].clone()).collect::<Vec<_>>(), list(&whole["output"]));
    whole
}

fn next_request(mut body: Value, answer: &Value, with: &str) -> Value {
    if let Some(input) = body["input"].as_array_mut() {
        input.extend(list(&answer["output"]).iter().cloned());
        input.push(result("c1", with));
    }
    body
}

fn stream_error(events: &[Value]) -> Option<String> {
    let last = events.last()?;
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    last["response"]["error"]["code"].as_str().map(str::to_owned)
}
