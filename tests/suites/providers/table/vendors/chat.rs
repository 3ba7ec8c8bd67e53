//! OpenAI's chat completions.

use hearth_tests::{Received, Reply};
use serde_json::{Value, json};

use super::{Failure, Vendor, has_key, has_mark, streams_by_body as streams};
use crate::{
    chunk,
    table::neutral::{
        Answer, Call, End, Part, Request, Turn, UNKNOWN, add_result, document, halves, list, parameters,
        parsed, pictured, text,
    },
};

pub(in crate::table) const VENDOR: Vendor = Vendor {
    name: "chat",
    path: "/v1",
    settings: "kind = 'openai_compatible'",
    model: "big",
    stream_answer,
    whole_answer,
    streams,
    begins,
    fails,
    parse_request,
};

fn stream_answer(answer: &Answer) -> Reply {
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    let pieces = |name: &str, text: &str| halves(text).map(|half| chunk(json!({name: half}), None));
    chunks.extend(pieces("reasoning_content", &answer.thoughts));
    chunks.extend(pieces("content", &answer.text));
    chunks.extend(pieces("refusal", &answer.refusal));
    for (index, call) in answer.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        let begins = json!({"index": index, "id": call.id, "type": "function", "function": function});
        chunks.push(chunk(json!({"tool_calls": [begins]}), None));
        chunks.extend(halves(&call.arguments.to_string()).map(|half| {
            chunk(json!({"tool_calls": [{"index": index, "function": {"arguments": half}}]}), None)
        }));
    }
    let mut last = chunk(json!({}), Some(reason(answer)));
    if let End::StopText(stop) = &answer.end {
        // As vLLM has it (<https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html>).
        last["choices"][0]["stop_reason"] = json!(stop);
    }
    chunks.push(last);
    chunks.push(json!({"choices": [], "usage": usage(answer)}));
    Reply::chunks(&chunks)
}

fn reason(answer: &Answer) -> &'static str {
    match answer.end {
        End::Turn | End::StopText(_) => "stop",
        End::Length => "length",
        End::Calls => "tool_calls",
        End::Filtered if answer.refusal.is_empty() => "content_filter",
        End::Filtered => "stop",
    }
}

fn usage(answer: &Answer) -> Value {
    let usage = answer.usage;
    json!({
        "prompt_tokens": usage.prompt, "completion_tokens": usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.thoughts},
    })
}

fn whole_answer(answer: &Answer) -> Reply {
    let call = |call: &Call| {
        let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
        json!({"id": call.id, "type": "function", "function": function})
    };
    let mut message = json!({"role": "assistant", "content": answer.text, "refusal": null});
    for (name, text) in [("reasoning_content", &answer.thoughts), ("refusal", &answer.refusal)] {
        if !text.is_empty() {
            message[name] = json!(text);
        }
    }
    if !answer.calls.is_empty() {
        message["content"] = Value::Null;
        message["tool_calls"] = answer.calls.iter().map(call).collect();
    }
    let mut choice =
        json!({"index": 0, "message": message, "logprobs": null, "finish_reason": reason(answer)});
    if let End::StopText(stop) = &answer.end {
        choice["stop_reason"] = json!(stop);
    }
    Reply::json(
        200,
        &json!({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage(answer)}),
    )
}

fn begins(text: &str) -> Reply {
    Reply::begun(&[chunk(json!({"role": "assistant", "content": text}), None)])
}

fn fails(text: &str, failure: Failure) -> Reply {
    let error = match failure {
        Failure::Overloaded => json!({"message": "slow down", "type": "overloaded", "code": 529}),
        Failure::Fault => json!({"message": "it broke", "type": "server_error", "code": null}),
    };
    Reply::begun(&[chunk(json!({"role": "assistant", "content": text}), None), json!({"error": error})])
}

fn parse_request(received: &Received) -> Request {
    let body = &received.body;
    has_key(received, "authorization", "Bearer sk-chat");
    assert_eq!(received.path, "/v1/chat/completions");
    assert_eq!(body.get("stream_options").is_some(), streams(received), "{body}");
    let mut request = Request {
        schema: body["response_format"]["json_schema"].get("schema").cloned(),
        stop: list(&body["stop"]).iter().map(text).collect(),
        seed: body["seed"].as_u64().and_then(|seed| u32::try_from(seed).ok()),
        unknown: body.get(UNKNOWN).is_some(),
        ..Request::default()
    };
    let name = body["response_format"]["json_schema"]["name"].as_str();
    request.schema_name = name.filter(|name| *name != "response").map(str::to_owned);
    if let [tool] = list(&body["tools"]) {
        assert_eq!(
            (&tool["function"]["name"], &tool["function"]["parameters"]),
            (&json!("look"), &parameters())
        );
        request.tool = true;
    }
    for message in list(&body["messages"]) {
        match message["role"].as_str() {
            Some("system") => request.system = Some(text(&message["content"])),
            Some("user") => {
                request.mark |= has_mark(&message["content"]);
                request.author = message["name"].as_str().map(str::to_owned);
                request.turns.push(Turn::User(parts(&message["content"])));
            }
            Some("assistant") => request.turns.push(Turn::Assistant {
                // It has no seals.
                thoughts: message
                    .get("reasoning_content")
                    .map(|thought| (text(thought), String::new()))
                    .into_iter()
                    .collect(),
                text: text(&message["content"]),
                calls: list(&message["tool_calls"]).iter().map(called).collect(),
            }),
            _ => add_result(&mut request.turns, text(&message["tool_call_id"]), text(&message["content"])),
        }
    }
    request
}

fn parts(content: &Value) -> Vec<Part> {
    if content.is_string() {
        return vec![Part::Text(text(content))];
    }
    let part = |part: &Value| match part["type"].as_str() {
        Some("file") => document(&text(&part["file"]["file_data"])),
        Some("image_url") => pictured(&text(&part["image_url"]["url"])),
        _ => Part::Text(text(&part["text"])),
    };
    list(content).iter().map(part).collect()
}

fn called(call: &Value) -> Call {
    let function = &call["function"];
    Call { id: text(&call["id"]), name: text(&function["name"]), arguments: parsed(&function["arguments"]) }
}
