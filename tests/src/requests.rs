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

/// A text of so many bytes at least, whose tokens are far more than a third of its bytes.
#[must_use]
pub fn dense_text(script: &str, number: usize, bytes: usize) -> String {
    let mut text = format!("{number} ");
    while text.len() < bytes {
        match script {
            "japanese" => text.push_str("吾輩は猫である。名前はまだ無い。"),
            _ => text += &format!("{:016x}", (text.len() as u64 + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }
    text
}
