//! Webhooks: events to receivers that fail, are slow, are gone, redirect or close early; their order, signatures, replays, and
//! what a kill leaves of them; events of nodes and budgets; emails, Slack and PagerDuty.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod deliveries;
mod failures;
mod kills;
mod manage;
mod notices;
mod outbox;
mod receiver;
mod resume;
mod signatures;
mod slow;
mod sources;

use hearth_tests::{Client, Home, Setup, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// Settings with which a receiver of the test may be named, and tries follow each other quickly.
const SETTINGS: &str = "[webhooks]\nprivate_addresses = true\nretry_seconds = 0\ntimeout_seconds = 2\n";

/// A gateway without a model: its runs fail at once, and what they end with is an event too.
async fn gateway_with(settings: &str) -> Home {
    Setup::new().settings(&format!("{SETTINGS}{settings}")).arguments(&["--no-node"]).start().await
}

/// A gateway with the small model.
async fn gateway() -> Home {
    Setup::new().settings(SETTINGS).start().await
}

/// Creates a webhook; returns it with its secret.
async fn create(client: &Client, body: Value) -> Value {
    let answer = client.post("/v1/webhooks", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// A webhook of all events at `url`.
async fn create_at(client: &Client, url: &str) -> Value {
    create(client, json!({"events": ["*"], "url": url})).await
}

fn id(webhook: &Value) -> &str {
    webhook["id"].as_str().unwrap()
}

/// Sends a test event; returns its id.
async fn send_test(client: &Client, webhook: &Value) -> String {
    let answer = client.post(&format!("/v1/webhooks/{}/test", id(webhook)), &json!({})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["event"].as_str().unwrap().to_owned()
}

/// Sends a request that the small model answers; returns the run's id.
async fn run(client: &Client) -> String {
    let body = json!({"input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 4}});
    let answer = client.post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["request_id"].as_str().unwrap().to_owned()
}

/// The deliveries of a webhook, the newest first.
async fn deliveries(client: &Client, webhook: &Value) -> Vec<Value> {
    let answer = client.get(&format!("/v1/webhooks/{}/deliveries", id(webhook))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["deliveries"].as_array().unwrap().clone()
}

/// Waits until the delivery of an event has ended; returns it.
async fn ended(client: &Client, webhook: &Value, event: &str) -> Value {
    eventually("the end of a delivery", async || {
        let all = deliveries(client, webhook).await;
        all.into_iter().find(|one| one["event"] == event && one["state"] != "pending")
    })
    .await
}

/// Waits until a webhook has a state; returns it.
async fn until_state(client: &Client, webhook: &Value, state: &str) -> Value {
    eventually("the state of a webhook", async || {
        let webhook = client.get(&format!("/v1/webhooks/{}", id(webhook))).await.json();
        (webhook["state"] == state).then_some(webhook)
    })
    .await
}

async fn patch(client: &Client, webhook: &Value, body: Value) -> hearth_tests::Answer {
    let path = format!("/v1/webhooks/{}", id(webhook));
    client.send(client.request(Method::PATCH, &path).json(&body)).await
}

/// `POST` to a path below a webhook.
async fn post(client: &Client, webhook: &Value, path: &str, body: Value) -> hearth_tests::Answer {
    client.post(&format!("/v1/webhooks/{}/{path}", id(webhook)), &body).await
}
