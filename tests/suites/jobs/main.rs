//! Jobs that the gateway carries out: their ends, attempts, dead letters, pauses, order and webhooks, and kills at any
//! point.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod changes;
mod commands;
mod ends;
mod kills;
mod order;
mod retries;
mod stops;
mod vendor;
mod webhooks;

use hearth_tests::{Client, eventually};
use serde_json::{Value, json};

/// The body of a job that asks the vendor's model.
fn job(prompt: &str) -> Value {
    json!({"kind": "generate", "input": {"model": "vendor:big", "input": {"prompt": prompt}}})
}

/// The same with further options.
fn job_with(prompt: &str, options: &Value) -> Value {
    let mut body = job(prompt);
    for (name, value) in options.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Submits a job; returns its id.
async fn submit(client: &Client, body: &Value) -> String {
    let answer = client.post("/v1/jobs", body).await;
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn get(client: &Client, id: &str) -> Value {
    client.get(&format!("/v1/jobs/{id}")).await.json()
}

/// Waits until a job is in a state, and returns it.
async fn in_state(client: &Client, id: &str, state: &str) -> Value {
    eventually(&format!("{id} is {state}"), async || {
        let job = get(client, id).await;
        (job["state"] == state).then_some(job)
    })
    .await
}
