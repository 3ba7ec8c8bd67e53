//! `/api/chat`, as Ollama's clients ask.

use serde_json::{Map, Value, json};

use super::{Client, tool};
use crate::table::neutral::{Answer, Call, End, Part, Request, Turn, UNKNOWN, Usage, list, number, text};

pub(super) const CLIENT: Client = Client {
    name: "ollama",
    path: "/api/chat",
    request,
    set_max_tokens,
    parse_answer,
    join_stream,
    next_request,
    stream_error,
    error: Value::clone,
};

fn request(request: &Request, model: &str) -> Value {
    let mut messages = Vec::new();
    messages.extend(request.system.as_ref().map(|text| json!({"role": "system", "content": text})));
    messages.extend(request.turns.iter().flat_map(turn));
    let mut options = Map::new();
    if !request.stop.is_empty() {
        options.insert("stop".to_owned(), json!(request.stop));
    }
    if let Some(seed) = request.seed {
        options.insert("seed".to_owned(), json!(seed));
    }
    let mut body = json!({"model": model, "messages": messages, "stream": false, "options": options});
    if request.tool {
        body["tools"] = json!([tool()]);
    }
    if let Some(schema) = &request.schema {
        body["format"] = schema.clone();
    }
    if request.unknown {
        body[UNKNOWN] = json!({"level": 1});
    }
    body
}

fn set_max_tokens(body: &mut Value, tokens: u32) {
    body["options"]["num_predict"] = json!(tokens);
}

fn turn(turn: &Turn) -> Vec<Value> {
    match turn {
        Turn::User(parts) => vec![user(parts)],
        Turn::Assistant { text, calls, .. } => {
            let call = |call: &Call| json!({"id": call.id, "function": {"name": call.name, "arguments": call.arguments}});
            vec![
                json!({"role": "assistant", "content": text, "tool_calls": calls.iter().map(call).collect::<Vec<_>>()}),
            ]
        }
        Turn::Results(results) => results.iter().map(|(id, text)| result(id, text)).collect(),
    }
}

/// Images stand beside the text, as files in base64.
fn user(parts: &[Part]) -> Value {
    let (mut content, mut images) = (String::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(text) => content.push_str(text),
            Part::Picture(file) | Part::Link(file) | Part::Document(file) => images.push(file),
        }
    }
    json!({"role": "user", "content": content, "images": images})
}

fn result(id: &str, text: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "tool_name": "look", "content": text})
}

fn parse_answer(answer: &Value) -> Answer {
    let message = &answer["message"];
    assert_eq!((&message["role"], &answer["done"]), (&json!("assistant"), &json!(true)), "{answer}");
    let call = |call: &Value| Call {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: call["function"]["arguments"].clone(),
    };
    let calls: Vec<Call> = list(&message["tool_calls"]).iter().map(call).collect();
    Answer {
        thoughts: text(&message["thinking"]),
        text: text(&message["content"]),
        end: match answer["done_reason"].as_str() {
            // There is no word for an end by calls.
            Some("stop") if !calls.is_empty() => End::Calls,
            Some("stop") => End::Turn,
            Some("length") => End::Length,
            Some("content_filter") => End::Filtered,
            other => panic!("done_reason {other:?}"),
        },
        calls,
        usage: Usage {
            prompt: number(&answer["prompt_eval_count"]),
            completion: number(&answer["eval_count"]),
            cached: 0,
            thoughts: 0,
        },
        ..Answer::default()
    }
}

/// Texts are appended, calls come whole, and the last line has what it took.
fn join_stream(lines: &[Value]) -> Value {
    let (mut content, mut thinking) = (String::new(), String::new());
    let mut message = json!({"role": "assistant"});
    for line in lines {
        let piece = &line["message"];
        content.push_str(&text(&piece["content"]));
        thinking.push_str(&text(&piece["thinking"]));
        for field in ["tool_calls", "reasoning_details"] {
            if piece[field].is_array() {
                message[field] = piece[field].clone();
            }
        }
    }
    message["content"] = json!(content);
    message["thinking"] = json!(thinking);
    let mut whole = lines.last().cloned().unwrap_or_default();
    whole["message"] = message;
    whole
}

fn next_request(mut body: Value, answer: &Value, with: &str) -> Value {
    if let Some(messages) = body["messages"].as_array_mut() {
        messages.extend([answer["message"].clone(), result("c1", with)]);
    }
    body
}

fn stream_error(lines: &[Value]) -> Option<String> {
    let last = lines.last()?;
    assert!(last["error"].is_string(), "{last}");
    last["code"].as_str().map(str::to_owned)
}
