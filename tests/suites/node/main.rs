//! The node below the gateway: several runs at once, models that come and go, and what breaks.
//!
//! What a client notices is tested through `hearth up`. What no dialect can ask for, or what must happen at
//! a moment that only the node knows, is asked of a node in this process ([`inside`]), whose workers are
//! processes of the same binary.

#![expect(clippy::unwrap_used, reason = "what a test calls fails as the test does")]

mod answers;
mod backends;
mod cancel;
mod catalog;
mod hostile;
mod inside;
mod lifecycle;
mod memory;
mod prefix;
mod queue;
mod runs;
mod survival;
mod templates;
mod thoughts;
mod workers;

use hearth_tests::{Client, Events, Setup, eventually};
use serde_json::{Value, json};

/// The tokens of a run that goes on until it is stopped. It takes minutes.
const MANY: u64 = 30_000;
/// The context of [`LONG`], with room for such a run.
const CONTEXT: u64 = 32_768;
/// A model whose runs can be as long as that.
const LONG: &str = "long";

/// A `hearth up` with models whose runs can be long. The first is [`LONG`], the default; then come `others`.
/// The settings are its node's.
fn long(others: &[&str], settings: &str) -> Setup {
    let tokens = u32::try_from(CONTEXT).unwrap();
    let models = [LONG].iter().chain(others);
    let setup = models.fold(Setup::new(), |setup, name| setup.model_with_context(name, tokens));
    setup.settings(&format!("model = '{LONG}'\n[node]\ncontext_length = {CONTEXT}\n{settings}"))
}

/// A run of the default model that goes on until it is stopped.
async fn endless(client: &Client) -> Events {
    endless_on(client, "auto").await
}

/// A run that goes on until it is stopped.
async fn endless_on(client: &Client, model: &str) -> Events {
    let body = json!({
        "model": model,
        "input": {"prompt": "Tell me a story."},
        "parameters": {"ignore_eos": true, "max_tokens": MANY},
        "stream": true,
    });
    client.stream("/v1/generate", &body).await
}

/// Asks a model, and gives its answer.
async fn ask(client: &Client, model: &str) -> String {
    let body = json!({
        "model": model,
        "input": {"prompt": "What is the capital of France?"},
        "parameters": {"temperature": 0},
    });
    let answer = client.post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.json()["output"]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("Paris"), "{text:?}");
    text
}

/// Stops a run.
async fn cancel(client: &Client, stream: &Events) {
    let answer = client.delete(&format!("/v1/requests/{}", stream.request_id)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn runtime(client: &Client, model: &str) -> Value {
    client.get(&format!("/v1/models/{model}/status")).await.json()["runtime_status"].clone()
}

/// Waits until the model is in this state.
async fn until_state(client: &Client, model: &str, state: &str) {
    eventually(&format!("{model} is {state}"), async || {
        (runtime(client, model).await["state"] == state).then_some(())
    })
    .await;
}

/// Loads a model and waits until it is in memory.
async fn load(client: &Client, model: &str) {
    let load = client.post(&format!("/v1/models/{model}/load"), &json!({})).await;
    assert!(load.status.is_success(), "{load:?}");
    until_state(client, model, "loaded").await;
}

/// The run's record, once it has ended.
async fn ended(client: &Client, run: &str) -> Value {
    eventually("the end of the run", async || {
        let run = client.get(&format!("/v1/requests/{run}")).await.json();
        run["finished_at"].is_string().then_some(run)
    })
    .await
}

/// A counter or gauge of the metrics, summed over its labels; 0 while it isn't there.
async fn metric(client: &Client, name: &str) -> f64 {
    let answer = client.get("/metrics").await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().unwrap())
    });
    values.sum()
}
