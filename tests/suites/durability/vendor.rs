//! A vendor that answers each request with another text, in pieces at intervals. A request for [`LONG_TOKENS`] gets a long answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse as _, Response},
    routing::post,
};
use hearth_tests::{Home, Setup};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Pieces of an answer.
const PIECES: u64 = 12;
const PIECE_INTERVAL: Duration = Duration::from_millis(8);
/// Pieces of a long answer, and the limit of tokens of a request that gets one.
const LONG_PIECES: u64 = 250;
pub(crate) const LONG_TOKENS: u64 = 500;

/// Starts the vendor on a free port, and a `hearth up` with its model `vendor:big`.
pub(crate) async fn home_with_vendor(more: &str) -> Home {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicU64::new(0));
    let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(count);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = format!(
        "{more}\n[providers.vendor]\nkind = 'openai_compatible'\nbase_url = '{url}/v1'\napi_key = 'sk-vendor'\nmodels = ['big']\n"
    );
    Setup::new().settings(&settings).start().await
}

async fn answer(State(count): State<Arc<AtomicU64>>, Json(body): Json<Value>) -> Response {
    let number = count.fetch_add(1, Ordering::Relaxed);
    let is_long = body["max_tokens"] == LONG_TOKENS;
    let pieces = if is_long { LONG_PIECES } else { PIECES };
    let usage = json!({"prompt_tokens": 3, "completion_tokens": pieces});
    if body["stream"] != true {
        tokio::time::sleep(PIECE_INTERVAL).await;
        let message = json!({"role": "assistant", "content": text(number)});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        let whole = json!({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage});
        return Json(whole).into_response();
    }
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        json!({"id": "x", "object": "chat.completion.chunk", "choices": [choice]})
    };
    let frames = async_stream::stream! {
        for piece in 0..pieces {
            tokio::time::sleep(PIECE_INTERVAL).await;
            yield chunk(json!({"content": format!("{number}.{piece} ")}), Value::Null);
        }
        yield chunk(json!({}), json!("stop"));
        yield json!({"choices": [], "usage": usage});
    };
    let bytes = async_stream::stream! {
        for await frame in frames {
            yield Ok::<_, std::io::Error>(Bytes::from(format!("data: {frame}\n\n")));
        }
        yield Ok(Bytes::from_static(b"data: [DONE]\n\n"));
    };
    ([("content-type", "text/event-stream")], Body::from_stream(bytes)).into_response()
}

fn text(number: u64) -> String {
    (0..PIECES).map(|piece| format!("{number}.{piece} ")).collect()
}
