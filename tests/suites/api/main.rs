//! The HTTP API of a running `hearth up`, over a socket.

#![expect(clippy::unwrap_used, reason = "what a test calls fails as the test does")]

mod authentication;
mod cancel;
mod chat;
mod choices;
mod completions;
mod configuration;
mod embeddings;
mod errors;
mod events;
mod gemini;
mod generate;
mod messages;
mod models;
mod ollama;
mod operations;
mod queue;
mod responses;
mod selection;
mod structured;
mod tokens;
mod tools;

use serde_json::{Value, json};

/// A question with one answer.
fn capital_of_france() -> Value {
    json!({"input": {"prompt": "What is the capital of France?"}, "parameters": {"temperature": 0}})
}

fn with(mut body: Value, key: &str, value: impl Into<Value>) -> Value {
    body[key] = value.into();
    body
}
