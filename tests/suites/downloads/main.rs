//! Downloads of models as jobs, from a played hub, registry and file server ([`hub::Hub`]), and the search of a hub.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod commands;
mod faults;
mod hub;
mod jobs;
mod registration;
mod restart;
mod search;
mod sources;

use hearth_tests::{Answer, Client, Home, Setup, eventually};
use serde_json::{Value, json};

use hub::Hub;

/// The repository of the played hub.
const REPO: &str = "owner/tiny-GGUF";
/// The id of its model.
const MODEL: &str = "tiny-Q8_0";

/// Starts a gateway whose hub and registry are `hub`. Retries are few, so that a failure comes soon.
async fn start(hub: &Hub, downloads: &str) -> Home {
    setup(hub, downloads).start().await
}

fn setup(hub: &Hub, downloads: &str) -> Setup {
    let url = &hub.url;
    Setup::new().settings(&format!(
        "[hub]\nurl = '{url}'\n[downloads]\nregistry = '{url}'\nattempts = 3\nrange_bytes = 65536\n{downloads}"
    ))
}

async fn download(client: &Client, body: &Value) -> Value {
    let answer = client.post("/v1/models/download", body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()
}

async fn job(client: &Client, id: &str) -> Value {
    let answer = client.get(&format!("/v1/jobs/{id}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Waits until a job has a state.
async fn job_in(client: &Client, id: &str, state: &str) -> Value {
    eventually(&format!("{id} in the state {state}"), async || {
        let job = job(client, id).await;
        let now = job["state"].as_str().unwrap();
        let is_other_end = ["completed", "failed", "cancelled"].contains(&now) && now != state;
        assert!(!is_other_end, "{job}");
        (now == state).then_some(job)
    })
    .await
}

/// Downloads the usual file of the hub, and waits for a state.
async fn download_until(client: &Client, body: &Value, state: &str) -> Value {
    let job = download(client, body).await;
    job_in(client, job["id"].as_str().unwrap(), state).await
}

fn usual() -> Value {
    json!({ "source": REPO })
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

/// The bytes of the downloaded file, if it is there.
fn file(home: &Home) -> Option<Vec<u8>> {
    std::fs::read(home.data().join("models").join(REPO).join("tiny-Q8_0.gguf")).ok()
}

/// Names of the files below the folder of the repository.
fn files(home: &Home) -> Vec<String> {
    let folder = home.data().join("models").join(REPO);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap().to_owned()
}
