//! A mock of a vendor, in a process of its own: OpenAI's chat completions, answered at once.
//!
//! An answer has as many tokens as the request's `max_tokens`, each of them [`WORD`] with a number, each a chunk of a
//! stream, so that a check for repeated text finds none.
//! `seed` is the pause before each chunk in microseconds, since every gateway passes a seed on; without one a
//! stream is sent as fast as it can be.

use std::{convert::Infallible, time::Duration};

use anyhow::Result;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
    routing::{get, post},
    serve::ListenerExt as _,
};
use futures::{Stream, StreamExt as _, stream};
use http::{StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::MissedTickBehavior};

/// First word of each token of an answer, and of nothing else.
pub(super) const WORD: &str = "kudo";
/// The only model.
pub(super) const MODEL: &str = "mock-1";

#[derive(Deserialize)]
struct Ask {
    #[serde(default)]
    stream: bool,
    max_tokens: Option<usize>,
    /// The newer name for the same.
    max_completion_tokens: Option<usize>,
    seed: Option<u64>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Serves on a free port until the process is ended, and says where in a line of JSON.
pub(crate) async fn serve() -> Result<()> {
    let models = json!({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "mock"}]});
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(|| async { Json(models) }))
        .route("/health", get(|| async { "ok" }));
    serve_on_a_free_port(router).await
}

/// Serves with packets that don't wait to be filled.
pub(super) async fn serve_on_a_free_port(router: Router) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", json!({"url": format!("http://{}", listener.local_addr()?)}));
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn complete(body: Bytes) -> Response {
    let ask: Ask = match serde_json::from_slice(&body) {
        Ok(ask) => ask,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let tokens = ask.max_tokens.or(ask.max_completion_tokens).unwrap_or(1);
    if !ask.stream {
        return Json(whole(tokens)).into_response();
    }
    let with_usage = ask.stream_options.is_some_and(|options| options.include_usage);
    let pause = ask.seed.filter(|pause| *pause > 0).map(Duration::from_micros);
    let frames = chunks(tokens, with_usage);
    let body = match pause {
        None => Body::from_stream(stream::iter(frames).map(Ok::<_, Infallible>)),
        Some(pause) => Body::from_stream(paced(frames, pause).map(Ok::<_, Infallible>)),
    };
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn whole(tokens: usize) -> Value {
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion", "created": 1_700_000_000, "model": MODEL,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": (0..tokens).map(token).collect::<String>()},
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": usage(tokens),
    })
}

fn chunks(tokens: usize, with_usage: bool) -> Vec<Bytes> {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL,
            "choices": choices,
            "usage": usage,
        });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let choice = |delta: Value, reason: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]), Value::Null)
    };
    let mut frames = vec![choice(json!({"role": "assistant", "content": ""}), None)];
    frames.extend((0..tokens).map(|index| choice(json!({"content": token(index)}), None)));
    frames.push(choice(json!({}), Some("stop")));
    frames.extend(with_usage.then(|| chunk(json!([]), usage(tokens))));
    frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    frames
}

fn token(index: usize) -> String {
    format!("{WORD}{index} ")
}

fn usage(tokens: usize) -> Value {
    json!({"prompt_tokens": 12, "completion_tokens": tokens, "total_tokens": 12 + tokens})
}

fn paced(frames: Vec<Bytes>, pause: Duration) -> impl Stream<Item = Bytes> {
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold((frames.into_iter(), ticks), |(mut frames, mut ticks)| async move {
        let frame = frames.next()?;
        ticks.tick().await;
        Some((frame, (frames, ticks)))
    })
}
