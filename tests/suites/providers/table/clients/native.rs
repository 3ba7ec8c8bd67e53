//! `/v1/generate`.

use serde_json::{Value, json};

use super::{
    Client,
    chat::{calls, result},
    messages, own_error, tool,
};
use crate::table::neutral::{Answer, End, Request, UNKNOWN, Usage, number, text};

pub(super) const CLIENT: Client = Client {
    name: "native",
    path: "/v1/generate",
    request,
    set_max_tokens,
    parse_answer,
    join_stream,
    next_request,
    stream_error,
    error: own_error,
};

fn request(request: &Request, model: &str) -> Value {
    let mut body = json!({"model": model, "input": {"messages": messages(request)}, "parameters": {}});
    if let Some(system) = &request.system {
        body["system_prompt"] = json!(system);
    }
    if request.tool {
        body["tools"] = json!([tool()]);
    }
    let parameters = &mut body["parameters"];
    if let Some(schema) = &request.schema {
        let schema = json!({"name": request.schema_name, "schema": schema});
        parameters["response_format"] = json!({"type": "json_schema", "json_schema": schema});
    }
    if !request.stop.is_empty() {
        parameters["stop"] = json!(request.stop);
    }
    if let Some(seed) = request.seed {
        parameters["seed"] = json!(seed);
    }
    if request.unknown {
        body[UNKNOWN] = json!({"level": 1});
    }
    body
}

fn set_max_tokens(body: &mut Value, tokens: u32) {
    body["parameters"]["max_tokens"] = json!(tokens);
}

fn parse_answer(answer: &Value) -> Answer {
    let (output, usage) = (&answer["output"], &answer["usage"]);
    Answer {
        thoughts: text(&output["reasoning"]),
        text: text(&output["text"]),
        calls: calls(&output["tool_calls"]),
        end: match answer["finish_reason"].as_str() {
            Some("stop") => End::Turn,
            Some("length") => End::Length,
            Some("tool_calls") => End::Calls,
            Some("content_filter") => End::Filtered,
            other => panic!("finish_reason {other:?}"),
        },
        usage: Usage {
            prompt: number(&usage["prompt_tokens"]),
            completion: number(&usage["completion_tokens"]),
            cached: number(&usage["cached_tokens"]),
            thoughts: number(&usage["reasoning_tokens"]),
        },
        ..Answer::default()
    }
}

/// The last event but `[DONE]` has it all; what came before in pieces must be the same.
fn join_stream(events: &[Value]) -> Value {
    let [.., complete, done] = events else { panic!("a stream of {} events", events.len()) };
    assert_eq!((&complete["event"], done), (&json!("complete"), &json!("[DONE]")));
    for (event, field) in [("delta", "text"), ("reasoning", "reasoning")] {
        let pieces = events.iter().filter(|one| one["event"] == event);
        let response: String = pieces.map(|one| text(&one["text"])).collect();
        assert_eq!(response, text(&complete["output"][field]), "{event}");
    }
    let begun = events.iter().filter(|one| one["event"] == "tool_call" && one["id"].is_string());
    assert_eq!(begun.count(), calls(&complete["output"]["tool_calls"]).len());
    complete.clone()
}

fn next_request(mut body: Value, answer: &Value, with: &str) -> Value {
    let output = &answer["output"];
    let mut message = json!({"role": "assistant", "content": output["text"]});
    for field in ["reasoning", "reasoning_details", "tool_calls"] {
        if let Some(value) = output.get(field) {
            message[field] = value.clone();
        }
    }
    if let Some(messages) = body["input"]["messages"].as_array_mut() {
        messages.extend([message, result("c1", with)]);
    }
    body
}

fn stream_error(events: &[Value]) -> Option<String> {
    let [.., error, done] = events else { return None };
    assert_eq!((&error["event"], done), (&json!("error"), &json!("[DONE]")));
    error["error"]["code"].as_str().map(str::to_owned)
}
