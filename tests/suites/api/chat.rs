//! `POST /v1/chat/completions`. OpenAI's own clients are tested in `tests/sdk`.

use hearth_tests::Home;
use serde_json::{Value, json};

use crate::with;

fn question(model: &str) -> Value {
    json!({
        "model": model,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "temperature": 0,
    })
}

#[tokio::test]
async fn completion_is_one_document() {
    let home = Home::start().await;
    let answer = home.client().post("/v1/chat/completions", &question(&home.model)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!(home.model)));
    assert_eq!(body["id"], answer.header("x-request-id"));
    let choice = &body["choices"][0];
    assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(0), &json!("stop")));
    assert_eq!(choice["message"]["role"], "assistant");
    assert!(choice["message"]["content"].as_str().unwrap().contains("Paris"), "{body}");
    assert!(body["usage"]["total_tokens"].as_u64() > body["usage"]["prompt_tokens"].as_u64());
    home.stop().await;
}

#[tokio::test]
async fn completion_streams_chunks_with_usage() {
    let home = Home::start().await;
    let client = home.client();
    let whole = client.post("/v1/chat/completions", &question(&home.model)).await.json();
    let body = with(question(&home.model), "stream", true);
    let body = with(body, "stream_options", json!({"include_usage": true}));
    let events = client.stream("/v1/chat/completions", &body).await.rest().await;

    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(done.name(), "[DONE]");
    let chunks: Vec<&Value> = chunks.iter().map(|event| &event.data).collect();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"), "{chunks:?}");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"].as_str().unwrap());
    let reasons: Vec<&str> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(reasons, ["stop"]);
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], whole["usage"]["total_tokens"]);
    home.stop().await;
}

#[tokio::test]
async fn unknown_field_is_ignored_and_invalid_one_named() {
    let home = Home::start().await;
    let client = home.client();
    let answer = client.post("/v1/chat/completions", &with(question(&home.model), "colour", "red")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let bad = [
        ("temperature", json!("hot"), "temperature"),
        ("temperature", json!(3), "temperature"),
        ("messages", json!([]), "messages"),
        ("n", json!(33), "n"),
        ("top_logprobs", json!(1), "top_logprobs"),
        ("response_format", json!({"type": "xml"}), "response_format.type"),
        ("response_format", json!({"type": "json_schema"}), "response_format.json_schema"),
        ("tools", json!([{"type": "function", "function": {}}]), "tools[0].function.name"),
        ("tools", json!([{"type": "function", "function": {"name": "no name"}}]), "tools[0].function.name"),
        ("tool_choice", json!("required"), "tool_choice"),
        ("tool_choice", json!("sometimes"), "tool_choice"),
        ("functions", json!([{"name": "f"}]), "functions"),
        ("priority", json!("highest"), "priority"),
        ("while_loading", json!("sleep"), "while_loading"),
    ];
    for (key, value, param) in bad {
        let answer = client.post("/v1/chat/completions", &with(question(&home.model), key, value)).await;
        assert_eq!(answer.error(400, "invalid_request")["param"], param);
    }
    let answer = client.post("/v1/chat/completions", &question("no-such-model")).await;
    assert_eq!(answer.error(404, "model_not_found")["param"], "model");
    home.stop().await;
}
