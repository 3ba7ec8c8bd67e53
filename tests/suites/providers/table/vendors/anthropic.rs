//! Anthropic's messages.

use hearth_tests::{Received, Reply};
use serde_json::{Value, json};

use super::{Failure, Vendor, has_key, has_mark, named_events, streams_by_body as streams};
use crate::table::neutral::{
    Answer, Call, End, Part, Request, Turn, UNKNOWN, halves, list, parameters, text,
};

pub(in crate::table) const VENDOR: Vendor = Vendor {
    name: "anthropic",
    path: "/v1",
    settings: "kind = 'anthropic'",
    model: "claude-sonnet-4-5",
    stream_answer,
    whole_answer,
    streams,
    begins,
    fails,
    parse_request,
};

fn start(answer: &Answer) -> Value {
    let usage = answer.usage;
    let usage = json!({
        "input_tokens": usage.prompt - usage.cached, "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": 0, "output_tokens": 1,
    });
    let message =
        json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": usage});
    json!({"type": "message_start", "message": message})
}

fn stream_answer(answer: &Answer) -> Reply {
    let mut events = vec![start(answer), json!({"type": "ping"})];
    let mut index = 0;
    let mut block = |block: Value, deltas: Vec<Value>| {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        events.extend(
            deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
        );
        events.push(json!({"type": "content_block_stop", "index": index}));
        index += 1;
    };
    let pieces = |kind: &str, name: &str, text: &str| {
        halves(text).map(|half| json!({"type": kind, name: half})).to_vec()
    };
    if !answer.thoughts.is_empty() {
        let mut deltas = pieces("thinking_delta", "thinking", &answer.thoughts);
        deltas.push(json!({"type": "signature_delta", "signature": answer.seal}));
        block(json!({"type": "thinking", "thinking": "", "signature": ""}), deltas);
    }
    // It has no word for a refusal but the reason of the end.
    let whole = format!("{}{}", answer.text, answer.refusal);
    if !whole.is_empty() {
        block(json!({"type": "text", "text": ""}), pieces("text_delta", "text", &whole));
    }
    for call in &answer.calls {
        block(
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}),
            pieces("input_json_delta", "partial_json", &call.arguments.to_string()),
        );
    }
    let (reason, stop) = ending(answer);
    let usage = json!({
        "output_tokens": answer.usage.completion, "output_tokens_details": {"thinking_tokens": answer.usage.thoughts},
    });
    let delta = json!({"stop_reason": reason, "stop_sequence": stop});
    events.push(json!({"type": "message_delta", "delta": delta, "usage": usage}));
    events.push(json!({"type": "message_stop"}));
    named_events(&events)
}

/// Why an answer ended, and by which text.
fn ending(answer: &Answer) -> (&'static str, Option<&String>) {
    match &answer.end {
        End::Turn => ("end_turn", None),
        End::StopText(stop) => ("stop_sequence", Some(stop)),
        End::Length => ("max_tokens", None),
        End::Calls => ("tool_use", None),
        End::Filtered => ("refusal", None),
    }
}

fn whole_answer(answer: &Answer) -> Reply {
    let mut blocks = Vec::new();
    if !answer.thoughts.is_empty() {
        blocks.push(json!({"type": "thinking", "thinking": answer.thoughts, "signature": answer.seal}));
    }
    let whole = format!("{}{}", answer.text, answer.refusal);
    if !whole.is_empty() {
        blocks.push(json!({"type": "text", "text": whole}));
    }
    blocks.extend(
        answer.calls.iter().map(
            |call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}),
        ),
    );
    let (usage, (reason, stop)) = (answer.usage, ending(answer));
    Reply::json(
        200,
        &json!({
            "id": "msg_1", "type": "message", "role": "assistant", "content": blocks,
            "stop_reason": reason, "stop_sequence": stop,
            "usage": {
                "input_tokens": usage.prompt - usage.cached, "cache_read_input_tokens": usage.cached,
                "cache_creation_input_tokens": 0, "output_tokens": usage.completion,
                "output_tokens_details": {"thinking_tokens": usage.thoughts},
            },
        }),
    )
}

fn begun(text: &str) -> Vec<Value> {
    vec![
        start(&Answer::default()),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
    ]
}

fn begins(text: &str) -> Reply {
    named_events(&begun(text))
}

fn fails(text: &str, failure: Failure) -> Reply {
    let kind = match failure {
        Failure::Overloaded => "overloaded_error",
        Failure::Fault => "api_error",
    };
    let mut events = begun(text);
    events.push(json!({"type": "error", "error": {"type": kind, "message": "not now"}}));
    named_events(&events)
}

fn parse_request(received: &Received) -> Request {
    let body = &received.body;
    has_key(received, "x-api-key", "sk-anthropic");
    assert_eq!(received.path, "/v1/messages");
    // Without a limit it takes nothing.
    assert!(body["max_tokens"].is_u64(), "{body}");
    let mut request = Request {
        system: body["system"].as_str().map(str::to_owned),
        schema: body["output_config"]["format"].get("schema").cloned(),
        stop: list(&body["stop_sequences"]).iter().map(text).collect(),
        seed: body["seed"].as_u64().and_then(|seed| u32::try_from(seed).ok()),
        unknown: body.get(UNKNOWN).is_some(),
        ..Request::default()
    };
    request.mark = has_mark(&body["messages"][0]["content"]);
    if let [tool] = list(&body["tools"]) {
        assert_eq!((&tool["name"], &tool["input_schema"]), (&json!("look"), &parameters()));
        request.tool = true;
    }
    request.turns = list(&body["messages"]).iter().map(turn).collect();
    request
}

fn turn(message: &Value) -> Turn {
    let blocks = list(&message["content"]);
    if message["role"] == "assistant" {
        return assistants(blocks);
    }
    let result = |block: &Value| (text(&block["tool_use_id"]), text(&block["content"][0]["text"]));
    if blocks.iter().any(|block| block["type"] == "tool_result") {
        return Turn::Results(blocks.iter().map(result).collect());
    }
    let part = |block: &Value| {
        let source = &block["source"];
        match source["type"].as_str() {
            Some("base64") if source["media_type"] == "image/png" => Part::Picture(text(&source["data"])),
            Some("base64") if block["type"] == "document" => Part::Document(text(&source["data"])),
            Some(_) => Part::Link(text(&source["url"])),
            None => Part::Text(text(&block["text"])),
        }
    };
    Turn::User(blocks.iter().map(part).collect())
}

fn assistants(blocks: &[Value]) -> Turn {
    let (mut thoughts, mut spoken, mut calls) = (Vec::new(), String::new(), Vec::new());
    for block in blocks {
        match block["type"].as_str() {
            Some("thinking") => thoughts.push((text(&block["thinking"]), text(&block["signature"]))),
            Some("tool_use") => calls.push(Call {
                id: text(&block["id"]),
                name: text(&block["name"]),
                arguments: block["input"].clone(),
            }),
            _ => spoken.push_str(&text(&block["text"])),
        }
    }
    Turn::Assistant { thoughts, text: spoken, calls }
}
