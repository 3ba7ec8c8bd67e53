//! The order of an answer: its reasoning, texts, calls and the tools that the vendor ran go back to the vendor as they came,
//! however the client continues the conversation.

use hearth_tests::{Client, Reply, Upstream};
use serde_json::{Value, json};

use super::{
    clients, home,
    neutral::{list, parameters, text},
    vendors,
};

/// Ways to continue a conversation of the responses API.
const WAYS: [&str; 5] = ["previous_response_id", "conversation", "items", BARE_ITEMS, "references"];
/// Items as they are read without `include`: reasoning has no encrypted content.
const BARE_ITEMS: &str = "bare items";

/// An answer of a vendor, in one piece and as the frames of a stream.
struct Ordered {
    vendor: &'static str,
    whole: Value,
    frames: Vec<Value>,
}

impl Ordered {
    /// An answer of the responses API with these items.
    fn of_items(items: &[Value]) -> Self {
        let usage = json!({"input_tokens": 5, "output_tokens": 7});
        let whole = json!({"id": "resp_1", "object": "response", "status": "completed", "output": items, "usage": usage});
        let mut frames = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let mut begun = item.clone();
            let delta = match item["type"].as_str() {
                Some("message") => {
                    begun["content"] = json!([]);
                    Some(("output_text", &item["content"][0]["text"]))
                }
                Some("function_call") => {
                    begun["arguments"] = json!("");
                    Some(("function_call_arguments", &item["arguments"]))
                }
                _ => None,
            };
            frames.push(json!({"type": "response.output_item.added", "output_index": index, "item": begun}));
            frames.extend(delta.map(|(kind, delta)| {
                json!({"type": format!("response.{kind}.delta"), "output_index": index, "delta": delta})
            }));
            frames.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
        }
        frames.push(json!({"type": "response.completed", "response": whole}));
        Self { vendor: "responses", whole, frames }
    }

    /// An answer of Anthropic with these blocks.
    fn of_blocks(blocks: &[Value]) -> Self {
        let usage = json!({"input_tokens": 5, "output_tokens": 7});
        let whole = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "big", "content": blocks,
            "stop_reason": "tool_use", "stop_sequence": null, "usage": usage});
        let mut frames = vec![json!({"type": "message_start", "message": {"usage": {"input_tokens": 5}}})];
        for (index, block) in blocks.iter().enumerate() {
            let mut begun = block.clone();
            let deltas = match block["type"].as_str() {
                Some("text") => {
                    begun["text"] = json!("");
                    vec![json!({"type": "text_delta", "text": block["text"]})]
                }
                Some("thinking") => {
                    (begun["thinking"], begun["signature"]) = (json!(""), json!(""));
                    vec![
                        json!({"type": "thinking_delta", "thinking": block["thinking"]}),
                        json!({"type": "signature_delta", "signature": block["signature"]}),
                    ]
                }
                Some("tool_use") => {
                    begun["input"] = json!({});
                    vec![json!({"type": "input_json_delta", "partial_json": block["input"].to_string()})]
                }
                _ => Vec::new(),
            };
            frames.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
            frames.extend(
                deltas
                    .iter()
                    .map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
            );
            frames.push(json!({"type": "content_block_stop", "index": index}));
        }
        frames.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": usage}));
        frames.push(json!({"type": "message_stop"}));
        Self { vendor: "anthropic", whole, frames }
    }

    fn reply(&self, streamed: bool) -> Reply {
        if !streamed {
            return Reply::json(200, &self.whole);
        }
        let frame = |frame: &Value| format!("event: {}\ndata: {frame}\n\n", text(&frame["type"]));
        Reply::stream(&self.frames.iter().map(frame).collect::<String>())
    }
}

fn message(text: &str) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": []});
    json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]})
}

fn reasoning(encrypted: &str) -> Value {
    json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted})
}

fn function_call(id: &str) -> Value {
    json!({"type": "function_call", "id": format!("fc_{id}"), "status": "completed", "call_id": id, "name": "look",
        "arguments": "{\"at\":\"Ulm\"}"})
}

fn search_call() -> Value {
    json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "Ulm"}})
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn thinking(thoughts: &str) -> Value {
    json!({"type": "thinking", "thinking": thoughts, "signature": format!("signature of {thoughts}")})
}

fn tool_use(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "look", "input": {"at": "Ulm"}})
}

/// A short form of an item or a block that was sent to a vendor.
fn short(piece: &Value) -> String {
    match piece["type"].as_str().unwrap_or_default() {
        "message" if piece["content"].is_array() => text(&piece["content"][0]["text"]),
        "message" => text(&piece["content"]),
        "text" => text(&piece["text"]),
        "reasoning" => format!("reasoning {}", text(&piece["encrypted_content"])),
        "thinking" => format!("thinking {}", text(&piece["thinking"])),
        "function_call" => format!("call {}", text(&piece["call_id"])),
        "tool_use" => format!("call {}", text(&piece["id"])),
        "function_call_output" => format!("result {}", text(&piece["call_id"])),
        "tool_result" => format!("result {}", text(&piece["tool_use_id"])),
        other => other.to_owned(),
    }
}

/// The pieces that the vendor was sent last, in order.
fn sent(upstream: &Upstream) -> Vec<String> {
    let body = upstream.received().pop().map(|received| received.body).unwrap_or_default();
    if body["input"].is_array() {
        return list(&body["input"]).iter().map(short).collect();
    }
    let contents = list(&body["messages"]).iter().flat_map(|message| match &message["content"] {
        Value::String(text) => vec![text.clone()],
        content => list(content).iter().map(short).collect(),
    });
    contents.collect()
}

/// Sends a request; returns the response, of a stream its last state.
async fn ask(client: &Client, mut body: Value, streamed: bool) -> Value {
    if streamed {
        body["stream"] = json!(true);
        let events = client.stream("/v1/responses", &body).await.rest().await;
        return events.last().map(|event| event.data["response"].clone()).unwrap_or_default();
    }
    let answer = client.post("/v1/responses", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Lets a client of the responses API get an answer and continue the conversation in this way, at the vendor `then`. Returns the
/// pieces that this vendor was sent.
async fn continue_responses(
    (upstream, client): (&Upstream, &Client),
    answer: &Ordered,
    (way, streamed): (&str, bool),
    then: &str,
) -> Vec<String> {
    let base = json!({
        "model": format!("{}:big", answer.vendor), "max_output_tokens": 100,
        "include": ["reasoning.encrypted_content"],
        "tools": [{"type": "function", "name": "look", "parameters": parameters()}, {"type": "web_search"}],
    });
    let mut base = base;
    if way == BARE_ITEMS {
        base["include"] = json!([]);
    }
    let question = json!({"type": "message", "role": "user", "content": "Look!"});
    let mut body = base.clone();
    body["input"] = json!([question]);
    let conversation = if way == "conversation" {
        client.post("/v1/conversations", &json!({})).await.json()["id"].clone()
    } else {
        Value::Null
    };
    body["conversation"] = conversation.clone();
    upstream.reply(answer.reply(streamed));
    let response = ask(client, body, streamed).await;
    let output = list(&response["output"]);
    let ids = |items: &[Value]| items.iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
    let stored = client.get(&format!("/v1/responses/{}", text(&response["id"]))).await.json();
    assert_eq!(ids(list(&stored["output"])), ids(output), "{way}");
    if let Some(id) = conversation.as_str() {
        let items = client.get(&format!("/v1/conversations/{id}/items?order=asc")).await.json();
        assert_eq!(ids(&list(&items["data"])[1..]), ids(output));
    }

    let calls = output.iter().filter(|item| item["type"] == "function_call");
    let results = calls
        .map(|call| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "a cat"}));
    let mut results: Vec<Value> = results.collect();
    if results.is_empty() {
        results.push(json!({"type": "message", "role": "user", "content": "And then?"}));
    }
    let reference = |item: &Value| json!({"type": "item_reference", "id": item["id"]});
    let mut body = base;
    body["model"] = json!(format!("{then}:big"));
    body["input"] = match way {
        "items" | BARE_ITEMS => json!([vec![question], output.to_vec(), results].concat()),
        "references" => json!([vec![question], output.iter().map(reference).collect(), results].concat()),
        _ => json!(results),
    };
    match way {
        "previous_response_id" => body["previous_response_id"] = response["id"].clone(),
        "conversation" => body["conversation"] = conversation,
        _ => {}
    }
    let last = if then == "anthropic" {
        Ordered::of_blocks(&[text_block("A cat.")])
    } else {
        Ordered::of_items(&[message("A cat.")])
    };
    upstream.reply(last.reply(streamed));
    ask(client, body, streamed).await;
    sent(upstream)
}

#[tokio::test]
async fn items_of_a_response_are_sent_back_in_their_order() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let client = home.client();
    let cases = [
        (
            vec![message("a"), function_call("1"), search_call(), message("b"), function_call("2")],
            vec!["a", "call 1", "web_search_call", "b", "call 2", "result 1", "result 2"],
        ),
        (
            vec![reasoning("A"), search_call(), reasoning("B"), message("Found.")],
            vec!["reasoning A", "web_search_call", "reasoning B", "Found.", "And then?"],
        ),
        (
            vec![reasoning("A"), function_call("1"), reasoning("B"), message("b"), function_call("2")],
            vec!["reasoning A", "call 1", "reasoning B", "b", "call 2", "result 1", "result 2"],
        ),
    ];
    for (items, expected) in cases {
        for way in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
            let answer = Ordered::of_items(&items);
            // Models don't read reasoning before the last question.
            if way.0 == BARE_ITEMS && expected.last() == Some(&"And then?") {
                continue;
            }
            let sent = continue_responses((&upstream, &client), &answer, way, "responses").await;
            assert_eq!(sent[0], "Look!");
            assert_eq!(sent[1..], expected, "{way:?}");
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn another_vendor_gets_texts_and_calls_in_their_order() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let client = home.client();
    let answer = Ordered::of_items(&[
        message("a"),
        function_call("1"),
        search_call(),
        reasoning("B"),
        message("b"),
        function_call("2"),
    ]);
    for way in WAYS {
        let sent = continue_responses((&upstream, &client), &answer, (way, false), "anthropic").await;
        assert_eq!(sent, ["Look!", "a", "call 1", "b", "call 2", "result 1", "result 2"], "{way}");
    }
    home.stop().await;
}

#[tokio::test]
async fn blocks_of_claude_return_through_the_responses_api_in_their_order() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let client = home.client();
    let answer = Ordered::of_blocks(&[
        thinking("A"),
        text_block("a"),
        tool_use("1"),
        thinking("B"),
        text_block("b"),
        tool_use("2"),
    ]);
    for way in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        let sent = continue_responses((&upstream, &client), &answer, way, "anthropic").await;
        let expected =
            ["Look!", "thinking A", "a", "call 1", "thinking B", "b", "call 2", "result 1", "result 2"];
        assert_eq!(sent, expected, "{way:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn blocks_of_a_message_are_sent_back_in_their_order() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let client = home.client();
    let dialect = clients::ALL.iter().find(|client| client.name == "messages").unwrap();
    let search = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}});
    let result = json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []});
    let answers = [
        vec![text_block("a"), tool_use("1"), search, result, text_block("b"), tool_use("2")],
        vec![thinking("A"), text_block("a"), tool_use("1"), thinking("B"), text_block("b"), tool_use("2")],
    ];
    for (blocks, streamed) in answers.iter().flat_map(|blocks| [(blocks, false), (blocks, true)]) {
        let answer = Ordered::of_blocks(blocks);
        let question = json!({"role": "user", "content": "Look!"});
        let mut body = json!({
            "model": "anthropic:big", "max_tokens": 100, "messages": [question], "thinking": {"type": "adaptive"},
            "tools": [{"name": "look", "input_schema": parameters()}, {"type": "web_search_20250305", "name": "web_search"}],
        });
        upstream.reply(answer.reply(streamed));
        let content = if streamed {
            body["stream"] = json!(true);
            let events = client.stream("/v1/messages", &body).await.rest().await;
            let events: Vec<_> = events.into_iter().map(|event| event.data).collect();
            (dialect.join_stream)(&events)["content"].clone()
        } else {
            client.post("/v1/messages", &body).await.json()["content"].clone()
        };
        let results =
            ["1", "2"].map(|id| json!({"type": "tool_result", "tool_use_id": id, "content": "a cat"}));
        body["messages"] = json!([
            question,
            {"role": "assistant", "content": content},
            {"role": "user", "content": results},
        ]);
        body["stream"] = json!(false);
        upstream.reply(Reply::json(200, &Ordered::of_blocks(&[text_block("A cat.")]).whole));
        assert_eq!(client.post("/v1/messages", &body).await.status, 200, "{content:#}");
        let mut expected: Vec<_> = blocks.iter().map(short).collect();
        expected.extend(["result 1", "result 2"].map(str::to_owned));
        assert_eq!(sent(&upstream)[1..], expected, "streamed: {streamed}");
    }
    home.stop().await;
}
