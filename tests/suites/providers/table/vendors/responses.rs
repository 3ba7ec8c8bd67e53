//! OpenAI's responses.

use hearth_tests::{Received, Reply};
use serde_json::{Value, json};

use super::{Failure, Vendor, has_key, has_mark, named_events, streams_by_body as streams};
use crate::table::neutral::{
    Answer, Call, End, Part, Request, Turn, UNKNOWN, add_result, document, halves, list, parameters, parsed,
    pictured, text,
};

pub(in crate::table) const VENDOR: Vendor = Vendor {
    name: "responses",
    path: "/v1",
    settings: "kind = 'openai'\napi = 'responses'",
    model: "big",
    stream_answer,
    whole_answer,
    streams,
    begins,
    fails,
    parse_request,
};

fn stream_answer(answer: &Answer) -> Reply {
    let mut events = vec![json!({"type": "response.created", "response": {"status": "in_progress"}})];
    let mut place = 0;
    let mut item = |item: Value, deltas: Vec<Value>, done: Value| {
        events.push(json!({"type": "response.output_item.added", "output_index": place, "item": item}));
        events.extend(deltas.into_iter().map(|mut delta| {
            delta["output_index"] = json!(place);
            delta
        }));
        events.push(json!({"type": "response.output_item.done", "output_index": place, "item": done}));
        place += 1;
    };
    let pieces =
        |kind: &str, text: &str| halves(text).map(|half| json!({"type": kind, "delta": half})).to_vec();
    if !answer.thoughts.is_empty() {
        let begun = json!({"type": "reasoning", "id": "rs_1", "summary": []});
        let done = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": answer.seal,
            "summary": [{"type": "summary_text", "text": answer.thoughts}]});
        item(begun, pieces("response.reasoning_summary_text.delta", &answer.thoughts), done);
    }
    let full_text = full_text(answer);
    for (text, kind) in [(&full_text, "output_text"), (&answer.refusal, "refusal")] {
        if !text.is_empty() {
            let message = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []});
            item(message.clone(), pieces(&format!("response.{kind}.delta"), text), message);
        }
    }
    for call in &answer.calls {
        let arguments = call.arguments.to_string();
        let mut of = json!({"type": "function_call", "id": format!("fc_{}", call.id), "call_id": call.id, "name": call.name, "arguments": ""});
        let begun = of.clone();
        of["arguments"] = json!(arguments);
        item(begun, pieces("response.function_call_arguments.delta", &arguments), of);
    }
    let response = response(answer);
    let kind = format!("response.{}", text(&response["status"]));
    events.push(json!({"type": kind, "response": response}));
    named_events(&events)
}

/// The text of an answer: it knows no stop texts, and goes on behind one.
fn full_text(answer: &Answer) -> String {
    match &answer.end {
        End::StopText(stop) => format!("{}{stop} and more", answer.text),
        _ => answer.text.clone(),
    }
}

/// Returns the end of a response, with its usage.
fn response(answer: &Answer) -> Value {
    let usage = answer.usage;
    let mut response = json!({"object": "response", "status": "completed", "error": null, "usage": {
        "input_tokens": usage.prompt, "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.completion, "output_tokens_details": {"reasoning_tokens": usage.thoughts},
    }});
    let why = match answer.end {
        End::Length => Some("max_output_tokens"),
        End::Filtered if answer.refusal.is_empty() => Some("content_filter"),
        _ => None,
    };
    if let Some(why) = why {
        response["status"] = json!("incomplete");
        response["incomplete_details"] = json!({"reason": why});
    }
    response
}

fn whole_answer(answer: &Answer) -> Reply {
    let mut output = Vec::new();
    if !answer.thoughts.is_empty() {
        output.push(json!({"type": "reasoning", "id": "rs_1", "encrypted_content": answer.seal,
            "summary": [{"type": "summary_text", "text": answer.thoughts}]}));
    }
    let full_text = full_text(answer);
    let parts = [
        json!({"type": "output_text", "text": full_text, "annotations": []}),
        json!({"type": "refusal", "refusal": answer.refusal}),
    ];
    for (text, part) in [&full_text, &answer.refusal].into_iter().zip(parts) {
        if !text.is_empty() {
            output.push(json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}));
        }
    }
    output.extend(answer.calls.iter().map(|call| {
        json!({"type": "function_call", "id": format!("fc_{}", call.id), "call_id": call.id, "name": call.name,
            "arguments": call.arguments.to_string(), "status": "completed"})
    }));
    let mut response = response(answer);
    response["output"] = json!(output);
    Reply::json(200, &response)
}

fn begun(text: &str) -> Vec<Value> {
    let message = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []});
    vec![
        json!({"type": "response.created", "response": {"status": "in_progress"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": message}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": text}),
    ]
}

fn begins(text: &str) -> Reply {
    named_events(&begun(text))
}

fn fails(text: &str, failure: Failure) -> Reply {
    let mut events = begun(text);
    events.push(match failure {
        Failure::Overloaded => {
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down"})
        }
        Failure::Fault => {
            let error = json!({"code": "server_error", "message": "it broke"});
            json!({"type": "response.failed", "response": {"status": "failed", "error": error}})
        }
    });
    named_events(&events)
}

fn parse_request(received: &Received) -> Request {
    let body = &received.body;
    has_key(received, "authorization", "Bearer sk-responses");
    assert_eq!(received.path, "/v1/responses");
    // `store` is false.
    assert_eq!(body["store"], false);
    let mut request = Request {
        schema: body["text"]["format"].get("schema").cloned(),
        stop: list(&body["stop"]).iter().map(text).collect(),
        seed: body["seed"].as_u64().and_then(|seed| u32::try_from(seed).ok()),
        unknown: body.get(UNKNOWN).is_some(),
        ..Request::default()
    };
    let name = body["text"]["format"]["name"].as_str();
    request.schema_name = name.filter(|name| *name != "response").map(str::to_owned);
    if let [tool] = list(&body["tools"]) {
        assert_eq!((&tool["name"], &tool["parameters"]), (&json!("look"), &parameters()));
        request.tool = true;
    }
    for item in list(&body["input"]) {
        match (item["type"].as_str(), item["role"].as_str()) {
            (Some("message"), Some("system")) => request.system = Some(text(&item["content"])),
            (Some("message"), Some("user")) => {
                request.mark |= has_mark(&item["content"]);
                request.turns.push(Turn::User(parts(&item["content"])));
            }
            (Some("function_call_output"), _) => {
                add_result(&mut request.turns, text(&item["call_id"]), text(&item["output"]));
            }
            _ => assistants(&mut request.turns, item),
        }
    }
    request
}

fn parts(content: &Value) -> Vec<Part> {
    if content.is_string() {
        return vec![Part::Text(text(content))];
    }
    let part = |part: &Value| match part["type"].as_str() {
        Some("input_file") => document(&text(&part["file_data"])),
        Some("input_image") => pictured(&text(&part["image_url"])),
        _ => Part::Text(text(&part["text"])),
    };
    list(content).iter().map(part).collect()
}

/// Items of the assistant's that follow each other are one turn.
fn assistants(turns: &mut Vec<Turn>, item: &Value) {
    if !matches!(turns.last(), Some(Turn::Assistant { .. })) {
        turns.push(Turn::Assistant { thoughts: Vec::new(), text: String::new(), calls: Vec::new() });
    }
    let Some(Turn::Assistant { thoughts, text: spoken, calls }) = turns.last_mut() else { return };
    match item["type"].as_str() {
        Some("reasoning") => {
            thoughts.push((text(&item["summary"][0]["text"]), text(&item["encrypted_content"])));
        }
        Some("function_call") => calls.push(Call {
            id: text(&item["call_id"]),
            name: text(&item["name"]),
            arguments: parsed(&item["arguments"]),
        }),
        _ => spoken.push_str(&text(&item["content"])),
    }
}
