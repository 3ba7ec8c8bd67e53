//! `/v1/messages`.

use serde_json::{Value, json};

use super::{Client, own_error};
use crate::table::neutral::{
    Answer, Call, End, Part, Request, Turn, UNKNOWN, Usage, list, mark, number, parameters, parsed, text,
};

pub(super) const CLIENT: Client = Client {
    name: "messages",
    path: "/v1/messages",
    request,
    set_max_tokens,
    parse_answer,
    join_stream,
    next_request,
    stream_error,
    error: own_error,
};

fn request(request: &Request, model: &str) -> Value {
    let turns: Vec<Value> = request.turns.iter().map(turn).collect();
    let thinking = json!({"type": "adaptive"});
    let mut body = json!({"model": model, "max_tokens": 100, "messages": turns, "thinking": thinking});
    if let Some(system) = &request.system {
        body["system"] = json!(system);
    }
    if request.tool {
        body["tools"] =
            json!([{"name": "look", "description": "Look somewhere.", "input_schema": parameters()}]);
    }
    if request.mark {
        body["messages"][0]["content"][0]["cache_control"] = mark();
    }
    if let Some(schema) = &request.schema {
        body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    }
    if !request.stop.is_empty() {
        body["stop_sequences"] = json!(request.stop);
    }
    if let Some(seed) = request.seed {
        body["seed"] = json!(seed);
    }
    if request.unknown {
        body[UNKNOWN] = json!({"level": 1});
    }
    body
}

fn turn(turn: &Turn) -> Value {
    match turn {
        Turn::User(parts) => json!({"role": "user", "content": parts.iter().map(part).collect::<Vec<_>>()}),
        Turn::Assistant { text, calls, .. } => {
            let mut blocks = vec![json!({"type": "text", "text": text})];
            blocks.extend(calls.iter().map(
                |call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}),
            ));
            json!({"role": "assistant", "content": blocks})
        }
        Turn::Results(results) => {
            let blocks: Vec<Value> = results.iter().map(|(id, text)| result(id, text)).collect();
            json!({"role": "user", "content": blocks})
        }
    }
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Picture(data) => {
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
        }
        Part::Link(url) => json!({"type": "image", "source": {"type": "url", "url": url}}),
        Part::Document(data) => {
            let source = json!({"type": "base64", "media_type": "application/pdf", "data": data});
            json!({"type": "document", "source": source})
        }
    }
}

fn result(id: &str, text: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": text})
}

fn set_max_tokens(body: &mut Value, tokens: u32) {
    body["max_tokens"] = json!(tokens);
}

fn parse_answer(answer: &Value) -> Answer {
    let blocks = list(&answer["content"]);
    let of = |kind: &str, field: &str| -> String {
        blocks.iter().filter(|block| block["type"] == kind).map(|block| text(&block[field])).collect()
    };
    let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
    let usage = &answer["usage"];
    let cached = number(&usage["cache_read_input_tokens"]);
    let stop = &answer["stop_sequence"];
    assert_eq!(stop.is_string(), answer["stop_reason"] == "stop_sequence", "{answer}");
    Answer {
        thoughts: of("thinking", "thinking"),
        text: of("text", "text"),
        calls: calls
            .map(|call| Call {
                id: text(&call["id"]),
                name: text(&call["name"]),
                arguments: call["input"].clone(),
            })
            .collect(),
        end: match answer["stop_reason"].as_str() {
            Some("end_turn") => End::Turn,
            Some("stop_sequence") => End::StopText(text(stop)),
            Some("max_tokens") => End::Length,
            Some("tool_use") => End::Calls,
            Some("refusal") => End::Filtered,
            other => panic!("stop_reason {other:?}"),
        },
        usage: Usage {
            prompt: number(&usage["input_tokens"]).saturating_add(cached),
            completion: number(&usage["output_tokens"]),
            cached,
            thoughts: number(&usage["output_tokens_details"]["thinking_tokens"]),
        },
        ..Answer::default()
    }
}

/// Blocks begin, go on and end one after the other.
fn join_stream(events: &[Value]) -> Value {
    let (mut message, mut input) = (json!({"content": []}), String::new());
    for event in events {
        let index = usize::try_from(number(&event["index"])).unwrap_or(usize::MAX);
        match event["type"].as_str() {
            Some("message_start") => message = event["message"].clone(),
            Some("content_block_start") => {
                input.clear();
                assert_eq!(index, list(&message["content"]).len());
                let mut blocks = list(&message["content"]).to_vec();
                blocks.push(event["content_block"].clone());
                message["content"] = json!(blocks);
            }
            Some("content_block_delta") => {
                let (block, delta) = (&mut message["content"][index], &event["delta"]);
                for field in ["text", "thinking", "signature"] {
                    if let Some(more) = delta[field].as_str() {
                        block[field] = json!(text(&block[field]) + more);
                    }
                }
                input.push_str(&text(&delta["partial_json"]));
            }
            Some("content_block_stop") if message["content"][index]["type"] == "tool_use" => {
                message["content"][index]["input"] = parsed(&json!(input));
            }
            Some("message_delta") => {
                for field in ["stop_reason", "stop_sequence"] {
                    message[field] = event["delta"][field].clone();
                }
                message["usage"] = event["usage"].clone();
            }
            _ => {}
        }
    }
    assert_eq!(events.last().map(|event| text(&event["type"])).as_deref(), Some("message_stop"));
    message
}

fn next_request(mut body: Value, answer: &Value, with: &str) -> Value {
    if let Some(messages) = body["messages"].as_array_mut() {
        messages.push(json!({"role": "assistant", "content": answer["content"]}));
        messages.push(json!({"role": "user", "content": [result("c1", with)]}));
    }
    body
}

fn stream_error(events: &[Value]) -> Option<String> {
    let error = events.last()?;
    assert_eq!(error["type"], "error");
    error["error"]["code"].as_str().map(str::to_owned)
}
