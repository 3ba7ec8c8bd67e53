//! Sessions: their turns, their messages, and OpenAI's conversations over the same store.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod context;
mod conversations;
mod kill;
mod limits_of_turns;
mod management;
mod quota;
mod regenerate;
mod turns;

use hearth_tests::{Client, Home, Reply, Setup, Upstream};
use serde_json::{Value, json};

/// The smallest PNG there is: one pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// The head of a binary glTF.
const GLB: &[u8] = b"glTF\x02\x00\x00\x00\x0c\x00\x00\x00";

/// A `hearth up` with the played vendor `rig`.
async fn played(upstream: &Upstream, more: &str) -> Home {
    let provider = format!(
        "[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
        upstream.url
    );
    Setup::new().settings(&format!("{more}\n{provider}")).without_node().start().await
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

/// A complete answer of the vendor's.
fn answer(text: &str) -> Reply {
    answer_with(text, 11)
}

/// The same, whose prompt has so many tokens.
fn answer_with(text: &str, prompt_tokens: u32) -> Reply {
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": text}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": 4}}),
    ])
}

fn prompt(text: &str) -> Value {
    json!({"input": {"prompt": text}})
}

/// Sends a request that is answered.
async fn post(client: &Client, path: &str, body: &Value) -> Value {
    let answer = client.post(path, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Creates a session with these fields; returns its id.
async fn create(client: &Client, fields: &Value) -> String {
    let path = if *fields == json!({}) { "/v1/conversations" } else { "/v1/sessions" };
    let created = client.post(path, fields).await;
    assert!(created.status.is_success(), "{created:?}");
    created.json()["id"].as_str().unwrap().to_owned()
}

/// The items of a session, oldest first; a hundred at most.
async fn items(client: &Client, session: &str) -> Vec<Value> {
    let page = client.get(&format!("/v1/conversations/{session}/items?order=asc&limit=100")).await;
    assert_eq!(page.status, 200, "{page:?}");
    page.json()["data"].as_array().unwrap().clone()
}

/// The texts of a session's messages, oldest first.
async fn texts(client: &Client, session: &str) -> Vec<String> {
    let items = items(client, session).await;
    items.iter().map(|item| item["content"][0]["text"].as_str().unwrap_or_default().to_owned()).collect()
}
