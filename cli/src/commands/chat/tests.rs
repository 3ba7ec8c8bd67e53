use std::sync::{Arc, Mutex};

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};

use super::*;
use crate::client::{
    terminal::Printer,
    testing::{event_stream, gateway, serve},
};

fn chunk(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({
        "id": "req_1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-chat",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
    })
}

fn usage() -> Value {
    json!({
        "id": "req_1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-chat", "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
                  "prompt_tokens_details": {"cached_tokens": 0}},
    })
}

fn hello() -> Vec<Value> {
    vec![
        chunk(&json!({"role": "assistant", "content": ""}), None),
        chunk(&json!({"content": "hel"}), None),
        chunk(&json!({"content": "lo"}), None),
        chunk(&json!({}), Some("stop")),
        usage(),
    ]
}

fn sampling() -> Sampling {
    Sampling {
        model: "auto".to_owned(),
        system: Some("be brief".to_owned()),
        temperature: None,
        max_tokens: None,
        seed: None,
    }
}

#[tokio::test]
async fn chunks_are_joined_into_an_answer() {
    let url = serve(Router::new().route("/x", post(async || event_stream(&hello())))).await;
    let mut events = gateway(&url).stream(&["x"], &json!({})).await.unwrap();
    let answer = turn::read(&mut events, &mut Printer::new(false, true)).await.unwrap();
    assert_eq!((answer.request_id.as_str(), answer.text.as_str()), ("req_1", "hello"));
    assert_eq!(answer.finish_reason.as_deref(), Some("stop"));
    assert_eq!(answer.usage.unwrap().total_tokens, 3);
}

#[tokio::test]
async fn turn_sends_the_whole_conversation_without_failed_turns() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    let complete = async move |Json(body): Json<Value>| {
        let last = body["messages"].as_array().unwrap().last().unwrap()["content"].clone();
        seen.lock().unwrap().push(body);
        event_stream(&if last == "break" { vec![json!({"no": "chunk"})] } else { hello() })
    };
    let url = serve(Router::new().route("/v1/chat/completions", post(complete))).await;
    let mut conversation = Conversation {
        thinking: true,
        gateway: gateway(&url),
        sampling: sampling(),
        json: false,
        messages: Vec::new(),
    };
    conversation.reset();
    conversation.take_turn("one".to_owned()).await.unwrap();
    conversation.take_turn("break".to_owned()).await.unwrap_err();
    conversation.take_turn("two".to_owned()).await.unwrap();
    let requests = requests.lock().unwrap();
    assert_eq!(
        requests[2]["messages"],
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "two"},
        ])
    );
    assert_eq!(requests[2]["stream"], true);
    assert!(requests[2].get("seed").is_none());
}
