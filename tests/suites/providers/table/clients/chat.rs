//! `/v1/chat/completions`.

use serde_json::{Map, Value, json};

use super::{Client, messages, own_error, tool};
use crate::table::neutral::{
    Answer, Call, End, Part, Request, Turn, UNKNOWN, Usage, address, list, mark, number, parsed, text,
};

pub(super) const CLIENT: Client = Client {
    name: "chat",
    path: "/v1/chat/completions",
    request,
    set_max_tokens,
    parse_answer,
    join_stream,
    next_request,
    stream_error,
    error: own_error,
};

fn request(request: &Request, model: &str) -> Value {
    let mut all = Vec::new();
    all.extend(request.system.as_ref().map(|text| json!({"role": "system", "content": text})));
    all.extend(messages(request));
    let mut body = json!({"model": model, "messages": all});
    if request.tool {
        body["tools"] = json!([tool()]);
    }
    if request.mark {
        let marked = |part: &Part| json!({"type": "text", "text": text_of(part), "cache_control": mark()});
        body["messages"] = request
            .turns
            .iter()
            .map(|turn| match turn {
                Turn::User(parts) => {
                    json!({"role": "user", "content": parts.iter().map(marked).collect::<Vec<_>>()})
                }
                _ => Value::Null,
            })
            .collect();
    }
    if let Some(schema) = &request.schema {
        let mut schema = json!({"schema": schema, "strict": true});
        schema["name"] = json!(request.schema_name.as_deref().unwrap_or("response"));
        body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
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

/// A turn, as OpenAI writes its messages.
pub(super) fn turn(turn: &Turn) -> Vec<Value> {
    match turn {
        Turn::User(parts) => vec![json!({"role": "user", "content": content(parts)})],
        Turn::Assistant { text, calls, .. } => {
            let mut message = json!({"role": "assistant", "content": text});
            if !calls.is_empty() {
                message["tool_calls"] = calls.iter().map(call).collect();
            }
            vec![message]
        }
        Turn::Results(results) => results.iter().map(|(id, text)| result(id, text)).collect(),
    }
}

fn content(parts: &[Part]) -> Value {
    if let [Part::Text(text)] = parts {
        return json!(text);
    }
    let part = |part: &Part| match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Document(_) => {
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": address(part)}})
        }
        image => json!({"type": "image_url", "image_url": {"url": address(image)}}),
    };
    parts.iter().map(part).collect()
}

/// The text of a part.
pub(super) fn text_of(part: &Part) -> &str {
    match part {
        Part::Text(text) => text,
        _ => "",
    }
}

fn call(call: &Call) -> Value {
    let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
    json!({"id": call.id, "type": "function", "function": function})
}

pub(super) fn result(id: &str, text: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": text})
}

/// Calls as OpenAI tells them.
pub(super) fn calls(value: &Value) -> Vec<Call> {
    let call = |call: &Value| {
        let function = &call["function"];
        Call {
            id: text(&call["id"]),
            name: text(&function["name"]),
            arguments: parsed(&function["arguments"]),
        }
    };
    list(value).iter().map(call).collect()
}

fn set_max_tokens(body: &mut Value, tokens: u32) {
    body["max_tokens"] = json!(tokens);
}

fn parse_answer(answer: &Value) -> Answer {
    let (choice, usage) = (&answer["choices"][0], &answer["usage"]);
    let message = &choice["message"];
    let refusal = text(&message["refusal"]);
    Answer {
        thoughts: text(&message["reasoning_content"]),
        text: text(&message["content"]),
        calls: calls(&message["tool_calls"]),
        end: match choice["finish_reason"].as_str() {
            // The refusal is the whole text.
            Some("stop") if !refusal.is_empty() => End::Filtered,
            Some("stop") => End::Turn,
            Some("length") => End::Length,
            Some("tool_calls") => End::Calls,
            Some("content_filter") => End::Filtered,
            other => panic!("finish_reason {other:?}"),
        },
        usage: Usage {
            prompt: number(&usage["prompt_tokens"]),
            completion: number(&usage["completion_tokens"]),
            cached: number(&usage["prompt_tokens_details"]["cached_tokens"]),
            thoughts: number(&usage["completion_tokens_details"]["reasoning_tokens"]),
        },
        refusal,
        ..Answer::default()
    }
}

/// Texts are appended, lists grow, and calls are matched by their index.
fn join_stream(events: &[Value]) -> Value {
    let (mut message, mut calls, mut reason, mut usage) = (Map::new(), Vec::new(), Value::Null, Value::Null);
    assert_eq!(events.last(), Some(&json!("[DONE]")));
    for chunk in events {
        if chunk["usage"].is_object() {
            usage = chunk["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        for (name, value) in choice["delta"].as_object().into_iter().flatten() {
            match value {
                Value::String(more) => {
                    let before = message.get(name).map(text).unwrap_or_default();
                    message.insert(name.clone(), json!(before + more));
                }
                Value::Array(pieces) if name == "tool_calls" => {
                    pieces.iter().for_each(|piece| go_on(&mut calls, piece))
                }
                Value::Array(more) => {
                    let mut all = message.get(name).map(list).unwrap_or_default().to_vec();
                    all.extend_from_slice(more);
                    message.insert(name.clone(), json!(all));
                }
                _ => {}
            }
        }
        if choice["finish_reason"].is_string() {
            reason = choice["finish_reason"].clone();
        }
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), json!(calls));
    }
    json!({"choices": [{"message": message, "finish_reason": reason}], "usage": usage})
}

fn go_on(calls: &mut Vec<Value>, piece: &Value) {
    let index = usize::try_from(number(&piece["index"])).unwrap_or(usize::MAX);
    if index == calls.len() {
        calls.push(piece.clone());
    } else {
        let arguments = &mut calls[index]["function"]["arguments"];
        *arguments = json!(text(arguments) + &text(&piece["function"]["arguments"]));
    }
}

fn next_request(mut body: Value, answer: &Value, with: &str) -> Value {
    let message = answer["choices"][0]["message"].clone();
    if let Some(messages) = body["messages"].as_array_mut() {
        messages.extend([message, result("c1", with)]);
    }
    body
}

fn stream_error(events: &[Value]) -> Option<String> {
    let [.., error, done] = events else { return None };
    assert_eq!(done, "[DONE]");
    error["error"]["code"].as_str().map(str::to_owned)
}
