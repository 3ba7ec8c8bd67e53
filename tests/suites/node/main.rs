//! The node: concurrent runs, loading and unloading of models, and failures.
//!
//! Behaviour that a client sees is tested through `hearth up`. Tasks that no dialect can express, and events at a moment
//! that only the node knows, are tested with a node in this process ([`in_process`]), whose workers are processes of the
//! same binary.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod answers;
mod backends;
mod cancel;
mod catalog;
mod crashes;
mod hostile;
mod in_process;
mod lifecycle;
mod link_transport;
mod memory;
mod placement;
mod prefix;
mod queue;
mod reachability;
mod reasoning;
mod relay_leases;
mod relayed_placement;
mod runs;
mod templates;
mod workers;

use hearth_tests::{Client, Events, Setup, endless_run_of, eventually};
use serde_json::{Value, json};

/// Token limit of an endless run, which would take minutes.
const LONG_RUN_TOKENS: u64 = 30_000;
/// Context length of [`LONG_MODEL`], enough for such a run.
const LONG_CONTEXT_TOKENS: u64 = 32_768;
/// The model for endless runs.
const LONG_MODEL: &str = "long";

/// Sets up a `hearth up` with models for endless runs: [`LONG_MODEL`], the default, and `others`. `settings` are the
/// node's.
fn setup_for_endless_runs(others: &[&str], settings: &str) -> Setup {
    let tokens = u32::try_from(LONG_CONTEXT_TOKENS).unwrap();
    let models = [LONG_MODEL].iter().chain(others);
    let setup = models.fold(Setup::new(), |setup, name| setup.model_with_context(name, tokens));
    setup.settings(&format!(
        "model = '{LONG_MODEL}'\n[node]\ncontext_length = {LONG_CONTEXT_TOKENS}\n{settings}"
    ))
}

/// Starts an endless run of the default model.
async fn start_endless(client: &Client) -> Events {
    start_endless_on(client, "auto").await
}

/// Starts an endless run.
async fn start_endless_on(client: &Client, model: &str) -> Events {
    client.stream("/v1/generate", &endless_run_of(model, LONG_RUN_TOKENS)).await
}

/// Asks a model for the capital of France, which it must know.
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

async fn runtime_status(client: &Client, model: &str) -> Value {
    client.get(&format!("/v1/models/{model}/status")).await.json()["runtime_status"].clone()
}

/// Waits until the model is in this state.
async fn wait_for_state(client: &Client, model: &str, state: &str) {
    eventually(&format!("{model} is {state}"), async || {
        (runtime_status(client, model).await["state"] == state).then_some(())
    })
    .await;
}

/// Loads a model and waits until it is in memory.
async fn load(client: &Client, model: &str) {
    let load = client.post(&format!("/v1/models/{model}/load"), &json!({})).await;
    assert!(load.status.is_success(), "{load:?}");
    wait_for_state(client, model, "loaded").await;
}

/// Waits for a run's end and returns its record.
async fn wait_for_end(client: &Client, run: &str) -> Value {
    eventually("the end of the run", async || {
        let run = client.get(&format!("/v1/requests/{run}")).await.json();
        run["finished_at"].is_string().then_some(run)
    })
    .await
}

/// A metric, summed over its labels; 0 if it doesn't exist yet.
async fn metric(client: &Client, name: &str) -> f64 {
    let answer = client.get("/metrics").await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().unwrap())
    });
    values.sum()
}
