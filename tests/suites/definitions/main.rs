//! Schemas and templates: `/v1/schemas`, `/v1/templates`, and requests that refer to them.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod cloud;
mod commands;
mod management;
mod requests;
mod sandbox;
mod turns;
mod walls;

use hearth_tests::{Answer, Client, Home, Reply, Setup, Upstream};
use reqwest::Method;
use serde_json::{Value, json};

/// A `hearth up` with the played vendor `rig`.
async fn played(upstream: &Upstream) -> Home {
    let provider = format!(
        "[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
        upstream.url
    );
    Setup::new().settings(&provider).without_node().start().await
}

/// A whole answer of the vendor's.
fn answer(text: &str) -> Reply {
    let chunk = |delta: Value, finish: Option<&str>| json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": text}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 4}}),
    ])
}

fn receipt() -> Value {
    json!({
        "type": "object",
        "properties": {"shop": {"type": "string", "maxLength": 8}, "total": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["shop", "total"],
        "additionalProperties": false,
    })
}

/// A template with a system message, one required variable and one with a default.
fn summary() -> Value {
    json!({
        "messages": [
            {"role": "system", "content": "Be {{ style }}."},
            {"role": "user", "content": "Sum up: {{ text }}"},
        ],
        "variables": {
            "type": "object",
            "properties": {"text": {"type": "string"}, "style": {"enum": ["short", "long"], "default": "short"}},
            "required": ["text"],
        },
        "parameters": {"temperature": 0.25, "max_tokens": 40},
    })
}

async fn send(client: &Client, method: Method, path: &str, body: &Value) -> Answer {
    client.send(client.request(method, path).json(body)).await
}

async fn put(client: &Client, path: &str, body: &Value) -> Answer {
    send(client, Method::PUT, path, body).await
}

/// Creates a schema; returns its body.
async fn create_schema(client: &Client, name: &str, fields: &Value) -> Value {
    create(client, "schemas", &json!({"name": name, "schema": receipt()}), fields).await
}

/// Creates a template; returns its body.
async fn create_template(client: &Client, name: &str, fields: &Value) -> Value {
    create(client, "templates", &json!({"name": name, "template": summary()}), fields).await
}

async fn create(client: &Client, plural: &str, body: &Value, fields: &Value) -> Value {
    let mut body = body.clone();
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let created = client.post(&format!("/v1/{plural}"), &body).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.json()
}

/// The names of a list.
async fn names(client: &Client, path: &str) -> Vec<String> {
    let listed = client.get(path).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let listed = listed.json();
    let entries = listed["data"].as_array().unwrap();
    entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}
