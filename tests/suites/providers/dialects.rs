//! Every client's dialect over every provider's: what the one says comes out in the other.
//!
//! A row for each provider's dialect, with the shapes of its documentation, and a column for each client's;
//! each cell asks for a text with thoughts before it, and for a call of a tool.

use hearth_tests::{Client, Home, Reply, Setup, Upstream};
use serde_json::{Value, json};

use crate::chunk;

/// What a client was told.
#[derive(Debug, PartialEq)]
struct Told {
    text: String,
    thoughts: String,
    /// The tool's name, and its arguments.
    call: Option<(String, Value)>,
    /// Tokens of the prompt, of the answer, and those of the prompt that were cached.
    usage: (u64, u64, u64),
}

/// A text with thoughts, or a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    Text,
    Call,
}

/// A kind of provider, the path of its base URL, and what it says.
type Provider = (&'static str, &'static str, fn(Asked) -> Reply);
/// A client's route, what its answer told, and what it is called.
type Dialect = (&'static str, fn(&Value) -> Told, &'static str);

/// How each provider's dialect says both.
const PROVIDERS: [Provider; 3] = [
    ("openai_compatible", "/v1", chat_says),
    ("anthropic", "/v1", anthropic_says),
    ("google", "/v1beta", gemini_says),
];

/// How each client's dialect asks, streamed or not, and what it is told.
const CLIENTS: [Dialect; 4] = [
    ("/v1/generate", native_told, "native"),
    ("/v1/chat/completions", chat_told, "chat"),
    ("/v1/messages", messages_told, "messages"),
    ("/v1/responses", responses_told, "responses"),
];

fn expected(asked: Asked) -> Told {
    let usage = (20, 9, 12);
    match asked {
        Asked::Text => Told { text: "Hello there.".into(), thoughts: "Hm.".into(), call: None, usage },
        Asked::Call => Told {
            text: String::new(),
            thoughts: String::new(),
            call: Some(("look".into(), json!({"at": "Ulm"}))),
            usage,
        },
    }
}

fn chat_says(asked: Asked) -> Reply {
    let usage =
        json!({"prompt_tokens": 20, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 12}});
    let usage = json!({"choices": [], "usage": usage});
    let piece = |arguments: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
    let first = json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}]});
    match asked {
        Asked::Text => Reply::chunks(&[
            chunk(json!({"role": "assistant", "reasoning_content": "Hm."}), None),
            chunk(json!({"content": "Hello "}), None),
            chunk(json!({"content": "there."}), None),
            chunk(json!({}), Some("stop")),
            usage,
        ]),
        Asked::Call => Reply::chunks(&[
            chunk(first, None),
            chunk(piece("{\"at\":"), None),
            chunk(piece("\"Ulm\"}"), None),
            chunk(json!({}), Some("tool_calls")),
            usage,
        ]),
    }
}

fn anthropic_says(asked: Asked) -> Reply {
    let usage = json!({"input_tokens": 8, "cache_read_input_tokens": 12, "cache_creation_input_tokens": 0, "output_tokens": 1});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "big", "usage": usage});
    let start = |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta =
        |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
    let mut events = vec![json!({"type": "message_start", "message": message}), json!({"type": "ping"})];
    let reason = match asked {
        Asked::Text => {
            events.extend([
                start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
                delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
                delta(0, json!({"type": "signature_delta", "signature": "sealed"})),
                stop(0),
                start(1, json!({"type": "text", "text": ""})),
                delta(1, json!({"type": "text_delta", "text": "Hello "})),
                delta(1, json!({"type": "text_delta", "text": "there."})),
                stop(1),
            ]);
            "end_turn"
        }
        Asked::Call => {
            events.extend([
                start(0, json!({"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}})),
                delta(0, json!({"type": "input_json_delta", "partial_json": "{\"at\":"})),
                delta(0, json!({"type": "input_json_delta", "partial_json": "\"Ulm\"}"})),
                stop(0),
            ]);
            "tool_use"
        }
    };
    events.push(
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}),
    );
    events.push(json!({"type": "message_stop"}));
    let frame =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    Reply::stream(&events.iter().map(frame).collect::<String>())
}

fn gemini_says(asked: Asked) -> Reply {
    let usage = json!({"promptTokenCount": 20, "candidatesTokenCount": 9, "cachedContentTokenCount": 12, "totalTokenCount": 29});
    let parts = match asked {
        Asked::Text => vec![
            json!({"text": "Hm.", "thought": true}),
            json!({"text": "Hello "}),
            json!({"text": "there."}),
        ],
        Asked::Call => vec![json!({"functionCall": {"name": "look", "args": {"at": "Ulm"}}})],
    };
    let frame = |(index, part): (usize, &Value)| {
        let mut candidate = json!({"content": {"role": "model", "parts": [part]}, "index": 0});
        if index + 1 == parts.len() {
            candidate["finishReason"] = json!("STOP");
        }
        format!("data: {}\r\n\r\n", json!({"candidates": [candidate], "usageMetadata": usage}))
    };
    Reply::stream(&parts.iter().enumerate().map(frame).collect::<String>())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn parsed(name: &Value, arguments: &Value) -> (String, Value) {
    (text(name), serde_json::from_str(arguments.as_str().unwrap_or_default()).unwrap_or(Value::Null))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(u64::MAX)
}

fn native_told(answer: &Value) -> Told {
    let (output, usage) = (&answer["output"], &answer["usage"]);
    let call = output["tool_calls"].get(0).map(|call| &call["function"]);
    Told {
        text: text(&output["text"]),
        thoughts: text(&output["reasoning"]),
        call: call.map(|call| parsed(&call["name"], &call["arguments"])),
        usage: (
            number(&usage["prompt_tokens"]),
            number(&usage["completion_tokens"]),
            number(&usage["cached_tokens"]),
        ),
    }
}

fn chat_told(answer: &Value) -> Told {
    let (message, usage) = (&answer["choices"][0]["message"], &answer["usage"]);
    let call = message["tool_calls"].get(0).map(|call| &call["function"]);
    let cached = &usage["prompt_tokens_details"]["cached_tokens"];
    Told {
        text: text(&message["content"]),
        thoughts: text(&message["reasoning_content"]),
        call: call.map(|call| parsed(&call["name"], &call["arguments"])),
        usage: (number(&usage["prompt_tokens"]), number(&usage["completion_tokens"]), number(cached)),
    }
}

fn messages_told(answer: &Value) -> Told {
    let of = |kind: &str| {
        answer["content"].as_array().into_iter().flatten().find(|block| block["type"] == kind).cloned()
    };
    let (usage, call) = (&answer["usage"], of("tool_use"));
    let cached = number(&usage["cache_read_input_tokens"]);
    Told {
        text: of("text").map(|block| text(&block["text"])).unwrap_or_default(),
        thoughts: of("thinking").map(|block| text(&block["thinking"])).unwrap_or_default(),
        call: call.map(|call| (text(&call["name"]), call["input"].clone())),
        usage: (
            number(&usage["input_tokens"]).saturating_add(cached),
            number(&usage["output_tokens"]),
            cached,
        ),
    }
}

fn responses_told(answer: &Value) -> Told {
    let of = |kind: &str| {
        answer["output"].as_array().into_iter().flatten().find(|item| item["type"] == kind).cloned()
    };
    let (usage, call) = (&answer["usage"], of("function_call"));
    Told {
        text: of("message").map(|item| text(&item["content"][0]["text"])).unwrap_or_default(),
        thoughts: of("reasoning").map(|item| text(&item["content"][0]["text"])).unwrap_or_default(),
        call: call.map(|call| parsed(&call["name"], &call["arguments"])),
        usage: (
            number(&usage["input_tokens"]),
            number(&usage["output_tokens"]),
            number(&usage["input_tokens_details"]["cached_tokens"]),
        ),
    }
}

/// The same question in each client's dialect.
fn body(path: &str, model: &str) -> Value {
    let parameters = json!({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]});
    let function = json!({"name": "look", "description": "Look somewhere.", "parameters": parameters});
    let messages = json!([{"role": "user", "content": "Hello!"}]);
    match path {
        "/v1/generate" => json!({
            "model": model, "input": {"messages": messages}, "tools": [{"type": "function", "function": function}],
        }),
        "/v1/messages" => json!({
            "model": model, "max_tokens": 100, "messages": messages,
            "tools": [{"name": "look", "description": "Look somewhere.", "input_schema": parameters}],
        }),
        "/v1/responses" => json!({
            "model": model, "input": "Hello!", "store": false,
            "tools": [{"type": "function", "name": "look", "description": "Look somewhere.", "parameters": parameters}],
        }),
        _ => {
            json!({"model": model, "messages": messages, "tools": [{"type": "function", "function": function}]})
        }
    }
}

async fn home(upstream: &Upstream) -> Home {
    let provider = |(kind, path, _): &Provider| {
        format!("[providers.{kind}]\nbase_url = '{}{path}'\napi_key = 'sk-{kind}'\n", upstream.url)
    };
    Setup::new().settings(&PROVIDERS.iter().map(provider).collect::<String>()).start().await
}

#[tokio::test]
async fn every_client_hears_what_every_provider_says() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    for (kind, _, says) in PROVIDERS {
        for (path, told, dialect) in CLIENTS {
            for asked in [Asked::Text, Asked::Call] {
                upstream.reply(says(asked));
                let answer = client.post(path, &body(path, &format!("{kind}:big"))).await;
                assert_eq!(answer.status, 200, "{dialect} over {kind}: {answer:?}");
                assert_eq!(told(&answer.json()), expected(asked), "{dialect} over {kind}: {answer:?}");
            }
        }
    }
    home.stop().await;
}

/// All text that a stream gives, in whichever dialect.
async fn streamed(client: &Client, path: &str, model: &str) -> String {
    let mut body = body(path, model);
    body["stream"] = json!(true);
    let events = client.stream(path, &body).await.rest().await;
    let piece = |event: &Value| match path {
        "/v1/generate" if event["event"] == "delta" => text(&event["text"]),
        "/v1/chat/completions" => text(&event["choices"][0]["delta"]["content"]),
        "/v1/messages" => text(&event["delta"]["text"]),
        "/v1/responses" if event["type"] == "response.output_text.delta" => text(&event["delta"]),
        _ => String::new(),
    };
    events.iter().map(|event| piece(&event.data)).collect()
}

#[tokio::test]
async fn every_client_hears_it_piece_by_piece_however_it_is_cut() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    for (kind, _, says) in PROVIDERS {
        for (path, _, dialect) in CLIENTS {
            upstream.reply(says(Asked::Text).split(5));
            let said = streamed(&client, path, &format!("{kind}:big")).await;
            assert_eq!(said, "Hello there.", "{dialect} over {kind}");
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn a_conversation_with_thoughts_calls_and_images_reaches_each_provider() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}});
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "I should look.", "signature": "sealed"},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "it"}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a cat"}]},
    ]);
    for (kind, _, says) in PROVIDERS {
        upstream.reply(says(Asked::Text));
        let mut body = body("/v1/messages", &format!("{kind}:big"));
        body["messages"] = messages.clone();
        body["system"] = json!("Be brief.");
        let answer = home.client().post("/v1/messages", &body).await;
        assert_eq!(answer.status, 200, "{kind}: {answer:?}");
        let received = upstream.received().pop();
        let sent = received.map(|received| received.body.to_string()).unwrap_or_default();
        for part in ["Be brief.", "What is this?", "iVBORw0KGgo=", "look", "a cat"] {
            assert!(sent.contains(part), "{kind} wasn't told {part:?}: {sent}");
        }
        // Thoughts go back to their maker, and to nobody else.
        assert_eq!(sent.contains("sealed"), kind == "anthropic", "{kind}: {sent}");
    }
    home.stop().await;
}
