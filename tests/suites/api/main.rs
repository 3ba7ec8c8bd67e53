//! The HTTP API of a running `hearth up`, over a socket.

#![expect(clippy::unwrap_used, reason = "what a test calls fails as the test does")]

mod analyze;
mod audit;
mod authentication;
mod bad_input;
mod browser;
mod cancel;
mod chat;
mod choices;
mod completions;
mod configuration;
mod credentials;
mod embeddings;
mod energy;
mod erasure;
mod errors;
mod events;
mod gemini;
mod generate;
mod invitations;
mod logins;
mod messages;
mod models;
mod nodes;
mod ollama;
mod operations;
mod organisations;
mod owned_work;
mod people;
mod permissions;
mod queue;
mod registry;
mod requests;
mod responses;
mod rights;
mod schema;
mod selection;
mod sign_in;
mod sign_in_hashes;
mod structured;
mod structured_configurations;
mod structured_published;
mod structured_samples;
mod tokens;
mod tools;
mod wake;

use serde_json::{Value, json};

/// A question with one answer.
fn capital_of_france() -> Value {
    json!({"input": {"prompt": "What is the capital of France?"}, "parameters": {"temperature": 0}})
}

fn with(mut body: Value, key: &str, value: impl Into<Value>) -> Value {
    body[key] = value.into();
    body
}
