//! Amazon Bedrock's `ConverseStream`, with one of Anthropic's models.

use hearth_tests::{Received, Reply};
use serde_json::{Value, json};

use super::{Failure, Vendor, has_key};
use crate::table::neutral::{
    Answer, Call, End, Part, Request, Turn, UNKNOWN, halves, list, parameters, parsed, text,
};

pub(in crate::table) const VENDOR: Vendor = Vendor {
    name: "bedrock",
    path: "",
    settings: "kind = 'bedrock'",
    model: "anthropic.claude-sonnet-4-5",
    stream_answer,
    whole_answer,
    streams,
    begins,
    fails,
    parse_request,
};

/// Event, and its content.
type Event = (&'static str, Value);

fn stream_answer(answer: &Answer) -> Reply {
    let mut events: Vec<Event> = vec![("messageStart", json!({"role": "assistant"}))];
    let mut index = 0;
    let mut block = |start: Option<Value>, deltas: Vec<Value>| {
        events.extend(
            start.map(|start| ("contentBlockStart", json!({"contentBlockIndex": index, "start": start}))),
        );
        events.extend(
            deltas
                .iter()
                .map(|delta| ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}))),
        );
        events.push(("contentBlockStop", json!({"contentBlockIndex": index})));
        index += 1;
    };
    if !answer.thoughts.is_empty() {
        let mut deltas =
            halves(&answer.thoughts).map(|half| json!({"reasoningContent": {"text": half}})).to_vec();
        deltas.push(json!({"reasoningContent": {"signature": answer.seal}}));
        block(None, deltas);
    }
    // It has no word for a refusal but the reason of the end.
    let whole = format!("{}{}", answer.text, answer.refusal);
    if !whole.is_empty() {
        block(None, halves(&whole).map(|half| json!({"text": half})).to_vec());
    }
    for call in &answer.calls {
        let pieces = halves(&call.arguments.to_string()).map(|half| json!({"toolUse": {"input": half}}));
        block(Some(json!({"toolUse": {"toolUseId": call.id, "name": call.name}})), pieces.to_vec());
    }
    events.push(("messageStop", stop(answer)));
    events.push(("metadata", json!({"usage": usage(answer)})));
    Reply::messages(&events)
}

fn stop(answer: &Answer) -> Value {
    let mut stop = json!({"stopReason": match answer.end {
        End::Turn => "end_turn",
        End::StopText(_) => "stop_sequence",
        End::Length => "max_tokens",
        End::Calls => "tool_use",
        End::Filtered => "content_filtered",
    }});
    if let End::StopText(text) = &answer.end {
        // As for a request with such a field.
        stop["additionalModelResponseFields"] = json!({"stop_sequence": text});
    }
    stop
}

fn usage(answer: &Answer) -> Value {
    let usage = answer.usage;
    json!({
        "inputTokens": usage.prompt - usage.cached, "outputTokens": usage.completion,
        "cacheReadInputTokens": usage.cached, "cacheWriteInputTokens": 0,
    })
}

fn whole_answer(answer: &Answer) -> Reply {
    let mut blocks = Vec::new();
    if !answer.thoughts.is_empty() {
        let thoughts = json!({"text": answer.thoughts, "signature": answer.seal});
        blocks.push(json!({"reasoningContent": {"reasoningText": thoughts}}));
    }
    let whole = format!("{}{}", answer.text, answer.refusal);
    if !whole.is_empty() {
        blocks.push(json!({"text": whole}));
    }
    blocks.extend(
        answer.calls.iter().map(
            |call| json!({"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}),
        ),
    );
    let mut whole = stop(answer);
    whole["output"] = json!({"message": {"role": "assistant", "content": blocks}});
    whole["usage"] = usage(answer);
    Reply::json(200, &whole)
}

fn streams(received: &Received) -> bool {
    let streams = received.path.ends_with("/converse-stream");
    assert!(streams || received.path.ends_with("/converse"), "{}", received.path);
    streams
}

fn begun(text: &str) -> Vec<Event> {
    vec![
        ("messageStart", json!({"role": "assistant"})),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": text}})),
    ]
}

fn begins(text: &str) -> Reply {
    Reply::messages(&begun(text))
}

fn fails(text: &str, failure: Failure) -> Reply {
    let exception = match failure {
        Failure::Overloaded => "throttlingException",
        Failure::Fault => "internalServerException",
    };
    Reply::messages(&begun(text)).then_exception(exception, &json!({"message": "not now"}))
}

fn parse_request(received: &Received) -> Request {
    let body = &received.body;
    has_key(received, "authorization", "Bearer sk-bedrock");
    let path = format!("/model/{}", VENDOR.model);
    assert!(received.path.starts_with(&path), "{}", received.path);
    let inference = &body["inferenceConfig"];
    let mut request = Request {
        system: body["system"].get(0).map(|block| text(&block["text"])),
        stop: list(&inference["stopSequences"]).iter().map(text).collect(),
        seed: body["seed"].as_u64().and_then(|seed| u32::try_from(seed).ok()),
        unknown: body.get(UNKNOWN).is_some(),
        ..Request::default()
    };
    if let Some(format) = body["outputConfig"].get("textFormat") {
        let schema = &format["structure"]["jsonSchema"];
        request.schema = Some(parsed(&schema["schema"]));
        request.schema_name = schema["name"].as_str().filter(|name| *name != "response").map(str::to_owned);
    }
    if let [tool] = list(&body["toolConfig"]["tools"]) {
        let tool = &tool["toolSpec"];
        assert_eq!((&tool["name"], &tool["inputSchema"]["json"]), (&json!("look"), &parameters()));
        request.tool = true;
    }
    let response = &body["additionalModelResponseFieldPaths"];
    assert_eq!(!request.stop.is_empty(), response == &json!(["/stop_sequence"]), "{body}");
    request.turns = list(&body["messages"]).iter().map(turn).collect();
    request
}

fn turn(message: &Value) -> Turn {
    let blocks = list(&message["content"]);
    if message["role"] == "assistant" {
        return assistants(blocks);
    }
    let result = |block: &Value| {
        let result = &block["toolResult"];
        (text(&result["toolUseId"]), text(&result["content"][0]["text"]))
    };
    if blocks.iter().any(|block| block["toolResult"].is_object()) {
        return Turn::Results(blocks.iter().map(result).collect());
    }
    let part = |block: &Value| match block.get("image").or(block.get("document")) {
        Some(file) if file["format"] == "pdf" => Part::Document(text(&file["source"]["bytes"])),
        Some(image) if image["format"] == "png" => Part::Picture(text(&image["source"]["bytes"])),
        _ => Part::Text(text(&block["text"])),
    };
    Turn::User(blocks.iter().map(part).collect())
}

fn assistants(blocks: &[Value]) -> Turn {
    let (mut thoughts, mut spoken, mut calls) = (Vec::new(), String::new(), Vec::new());
    for block in blocks {
        let (thought, call) = (&block["reasoningContent"]["reasoningText"], &block["toolUse"]);
        if thought.is_object() {
            thoughts.push((text(&thought["text"]), text(&thought["signature"])));
        } else if call.is_object() {
            calls.push(Call {
                id: text(&call["toolUseId"]),
                name: text(&call["name"]),
                arguments: call["input"].clone(),
            });
        } else {
            spoken.push_str(&text(&block["text"]));
        }
    }
    Turn::Assistant { thoughts, text: spoken, calls }
}
