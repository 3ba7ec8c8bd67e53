//! A vendor with a model that streams 500 tokens at 100 a second, one without an end, and one for embeddings.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Tokens of a streamed answer.
const TOKENS: u64 = 500;
/// Tokens of a whole answer.
const WHOLE_TOKENS: usize = 200;
const TOKEN_INTERVAL: Duration = Duration::from_millis(10);

/// Starts the vendor on a free port. Returns its base URL.
pub(crate) async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/chat/completions", post(chat)).route("/v1/embeddings", post(embed));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn embed(Json(body): Json<Value>) -> Json<Value> {
    let count = body["input"].as_array().map_or(1, Vec::len);
    let vector = |index| json!({"object": "embedding", "index": index, "embedding": vec![0.25; 768]});
    let data: Vec<Value> = (0..count).map(vector).collect();
    Json(
        json!({"object": "list", "data": data, "model": "embed", "usage": {"prompt_tokens": 2, "total_tokens": 2}}),
    )
}

async fn chat(Json(body): Json<Value>) -> Response {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": TOKENS});
    if body["stream"] != true {
        let message = json!({"role": "assistant", "content": "word ".repeat(WHOLE_TOKENS)});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        return Json(json!({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}))
            .into_response();
    }
    let count = if body["model"] == "endless" { u64::MAX } else { TOKENS };
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        json!({"id": "x", "object": "chat.completion.chunk", "choices": [choice]})
    };
    let frames = async_stream::stream! {
        for token in 0..count {
            tokio::time::sleep(TOKEN_INTERVAL).await;
            yield chunk(json!({"content": format!("w{} ", token % 100)}), Value::Null);
        }
        yield chunk(json!({}), json!("stop"));
        yield json!({"choices": [], "usage": usage});
    };
    let bytes = async_stream::stream! {
        for await frame in frames {
            yield Ok::<_, Infallible>(Bytes::from(format!("data: {frame}\n\n")));
        }
        yield Ok(Bytes::from_static(b"data: [DONE]\n\n"));
    };
    ([("content-type", "text/event-stream")], Body::from_stream(bytes)).into_response()
}
