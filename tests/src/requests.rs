//! Requests that several suites send.

use serde_json::{Value, json};

use crate::Client;

/// Tokens of [`endless_run`]: generating them takes seconds, and they fit into the small model's context.
const ENDLESS_RUN_TOKENS: u64 = 3500;

/// The body of a streamed native request that generates until it is cancelled.
#[must_use]
pub fn endless_run() -> Value {
    endless_run_of("auto", ENDLESS_RUN_TOKENS)
}

/// The same for a model, with a limit of `max_tokens`.
#[must_use]
pub fn endless_run_of(model: &str, max_tokens: u64) -> Value {
    json!({
        "model": model,
        "input": {"prompt": "Tell me a story."},
        "parameters": {"ignore_eos": true, "max_tokens": max_tokens},
        "stream": true,
    })
}

/// The body of a chat request with one message of the user.
#[must_use]
pub fn chat_request(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// Cancels a run.
///
/// # Panics
/// If the gateway refuses.
pub async fn cancel_run(client: &Client, run: &str) {
    let answer = client.delete(&format!("/v1/requests/{run}")).await;
    assert!(answer.status.is_success(), "{answer:?}");
}
