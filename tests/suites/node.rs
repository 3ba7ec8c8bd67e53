//! The node below the gateway: several runs at once, models that come and go, and what breaks.

use hearth_tests::{Client, Events, Home, corrupt_copy, eventually, signal, truncated_copy};
use serde_json::{Value, json};

/// The tokens of a run that goes on until it is stopped.
const MANY: u64 = 3500;

async fn endless(client: &Client) -> Events {
    let body = json!({
        "input": {"prompt": "Tell me a story."},
        "parameters": {"ignore_eos": true, "max_tokens": MANY},
        "stream": true,
    });
    client.stream("/v1/generate", &body).await
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

#[tokio::test]
async fn two_runs_share_the_model() {
    let home = Home::start().await;
    let client = home.client();
    let (mut one, mut other) = (endless(&client).await, endless(&client).await);
    one.next_named("delta").await;
    other.next_named("delta").await;
    assert_eq!(runtime(&client, &home.model).await["active"], 2);
    for stream in [&one, &other] {
        client.delete(&format!("/v1/requests/{}", stream.request_id)).await;
    }
    for mut stream in [one, other] {
        assert_eq!(stream.next_named("complete").await.data["finish_reason"], "cancelled");
    }
    home.stop().await;
}

#[tokio::test]
async fn more_runs_than_slots_wait_their_turn_and_are_told_so() {
    let home = Home::start().await;
    let client = home.client();
    client.ask("Hello!").await;
    let slots = runtime(&client, &home.model).await["slots"].as_u64().unwrap();
    let mut running = Vec::new();
    for _ in 0..slots {
        let mut stream = endless(&client).await;
        stream.next_named("delta").await;
        running.push(stream);
    }
    let mut waiting = endless(&client).await;
    assert_eq!(waiting.next_named("queued").await.data["position"], 1);
    let path = format!("/v1/requests/{}", waiting.request_id);
    assert_eq!(client.get(&path).await.json()["status"], "queued");

    client.delete(&format!("/v1/requests/{}", running[0].request_id)).await;
    waiting.next_named("delta").await;
    for stream in running.iter().chain([&waiting]) {
        client.delete(&format!("/v1/requests/{}", stream.request_id)).await;
    }
    home.stop().await;
}

#[tokio::test]
async fn an_unloaded_model_is_loaded_again_when_it_is_asked() {
    let home = Home::start().await;
    let client = home.client();
    client.ask("Hello!").await;
    let before = home.worker(&home.model).await;
    let unload = client.post(&format!("/v1/models/{}/unload", home.model), &json!({})).await;
    assert!(unload.status.is_success(), "{unload:?}");
    until_state(&client, &home.model, "unloaded").await;
    assert_eq!(client.get("/v1/models/loaded").await.json()["models"], json!([]));

    let body = json!({"input": {"prompt": "Hello!"}, "stream": true});
    let mut stream = client.stream("/v1/generate", &body).await;
    stream.next_named("loading").await;
    stream.next_named("complete").await;
    assert_ne!(home.worker(&home.model).await, before, "the memory was not freed");
    home.stop().await;
}

#[tokio::test]
async fn a_model_can_be_loaded_before_it_is_asked_but_not_unloaded_in_use() {
    let home = Home::start().await;
    let client = home.client();
    let unload = format!("/v1/models/{}/unload", home.model);
    let mut stream = endless(&client).await;
    stream.next_named("delta").await;
    client.post(&unload, &json!({})).await.error(409, "conflict");
    client.delete(&format!("/v1/requests/{}", stream.request_id)).await;
    stream.rest().await;

    client.post(&unload, &json!({})).await;
    until_state(&client, &home.model, "unloaded").await;
    let load = client.post(&format!("/v1/models/{}/load", home.model), &json!({})).await;
    assert!(load.status.is_success(), "{load:?}");
    until_state(&client, &home.model, "loaded").await;
    client.post("/v1/models/none/load", &json!({})).await.error(404, "model_not_found");
    home.stop().await;
}

#[tokio::test]
async fn a_worker_that_dies_fails_its_run_and_no_other() {
    let home = Home::start().await;
    let client = home.client();
    let mut stream = endless(&client).await;
    stream.next_named("delta").await;
    signal("KILL", home.worker(&home.model).await).await;

    let error = stream.next_named("error").await.data["error"].clone();
    assert_eq!((&error["code"], &error["retryable"]), (&json!("provider_error"), &json!(true)), "{error}");
    assert_eq!(error["request_id"], stream.request_id.as_str());
    assert_eq!(stream.next().await.unwrap().name(), "[DONE]");
    let status = client.get(&format!("/v1/requests/{}", stream.request_id)).await.json();
    assert_eq!((&status["status"], &status["error"]["code"]), (&json!("failed"), &json!("provider_error")));

    assert!(client.ask("What is the capital of France?").await.contains("Paris"));
    home.stop().await;
}

#[tokio::test]
async fn a_broken_file_fails_alone() {
    let home = Home::start().await;
    let client = home.client();
    truncated_copy(&home.data().join("models/half.gguf"));
    corrupt_copy(&home.data().join("models/no-magic.gguf"));
    for model in ["half", "no-magic"] {
        until_state(&client, model, "failed").await;
        let reason = runtime(&client, model).await["error"].clone();
        assert!(reason.as_str().is_some_and(|reason| !reason.is_empty()), "{model}: {reason}");
        let body = json!({"model": model, "input": {"prompt": "Hello!"}});
        let error = client.post("/v1/generate", &body).await.error(503, "model_load_failed");
        assert!(error["message"].as_str().unwrap().contains(model), "{error}");
    }
    assert!(client.ask("What is the capital of France?").await.contains("Paris"));
    home.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_stops_its_run() {
    let home = Home::start().await;
    let client = home.client();
    let mut stream = endless(&client).await;
    stream.next_named("delta").await;
    let path = format!("/v1/requests/{}", stream.request_id);
    drop(stream);
    let run = ended(&client, &path).await;
    assert_eq!(run["status"], "cancelled", "{run}");
    let made = run["usage"]["completion_tokens"].as_u64().unwrap();
    assert!(0 < made && made < MANY, "{run}");
    home.stop().await;
}

#[tokio::test]
async fn a_run_that_is_to_continue_goes_on_without_its_client() {
    let home = Home::start().await;
    let client = home.client();
    let body = json!({
        "input": {"prompt": "Tell me a story."},
        "parameters": {"ignore_eos": true, "max_tokens": 300},
        "on_disconnect": "continue",
        "stream": true,
    });
    let mut stream = client.stream("/v1/generate", &body).await;
    stream.next_named("delta").await;
    let path = format!("/v1/requests/{}", stream.request_id);
    drop(stream);
    let run = ended(&client, &path).await;
    assert_eq!((&run["status"], &run["finish_reason"]), (&json!("completed"), &json!("length")), "{run}");
    assert_eq!(run["usage"]["completion_tokens"], 300);
    home.stop().await;
}

/// The run's last state.
async fn ended(client: &Client, path: &str) -> Value {
    eventually("the end of the run", async || {
        let run = client.get(path).await.json();
        run["finished_at"].is_string().then_some(run)
    })
    .await
}
