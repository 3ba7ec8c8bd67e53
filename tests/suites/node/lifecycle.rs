//! Loading and unloading of models.

use std::time::{Duration, Instant};

use hearth_tests::{Client, Home, Setup, cancel_run, eventually, is_running};
use serde_json::{Value, json};

use crate::{
    ask, load, metric, runtime_status, setup_for_endless_runs, start_endless, start_endless_on,
    wait_for_state,
};

#[tokio::test]
async fn unloaded_model_is_loaded_at_the_next_request() {
    let home = Home::start().await;
    let client = home.client();
    client.ask("Hello!").await;
    let before = home.worker(&home.model).await;
    let unload = client.post(&format!("/v1/models/{}/unload", home.model), &json!({})).await;
    assert!(unload.status.is_success(), "{unload:?}");
    wait_for_state(&client, &home.model, "unloaded").await;
    assert_eq!(client.get("/v1/models/loaded").await.json()["models"], json!([]));
    eventually("the end of its process", async || (!is_running(before)).then_some(())).await;

    let body = json!({"input": {"prompt": "Hello!"}, "stream": true});
    let mut stream = client.stream("/v1/generate", &body).await;
    stream.next_named("loading").await;
    stream.next_named("complete").await;
    assert_ne!(home.worker(&home.model).await, before, "the process was not replaced");
    home.stop().await;
}

#[tokio::test]
async fn model_can_be_loaded_in_advance_and_not_unloaded_in_use() {
    let home = setup_for_endless_runs(&[], "slots = 1").start().await;
    let client = home.client();
    let unload = format!("/v1/models/{}/unload", home.model);
    let mut stream = start_endless(&client).await;
    stream.next_named("delta").await;
    client.post(&unload, &json!({})).await.error(409, "conflict");
    cancel_run(&client, &stream.request_id).await;
    stream.rest().await;

    client.post(&unload, &json!({})).await;
    wait_for_state(&client, &home.model, "unloaded").await;
    load(&client, &home.model).await;
    client.post("/v1/models/none/load", &json!({})).await.error(404, "model_not_found");
    home.stop().await;
}

#[tokio::test]
async fn idle_model_is_unloaded_after_its_last_run_and_the_default_stays() {
    let home = setup_for_endless_runs(&["other"], "slots = 1\nidle_seconds = 1").start().await;
    let client = home.client();
    let default = home.worker(&home.model).await;
    let began = Instant::now();
    let mut stream = start_endless_on(&client, "other").await;
    let worker = eventually("its worker", async || home.worker_if_loaded("other").await).await;
    while began.elapsed() < Duration::from_millis(2500) {
        stream.next_named("delta").await;
    }
    assert_eq!(home.worker("other").await, worker, "it was unloaded during a run");
    let finished = Instant::now();
    cancel_run(&client, &stream.request_id).await;
    wait_for_state(&client, "other", "unloaded").await;
    assert!(finished.elapsed() >= Duration::from_secs(1), "it was unloaded after {:?}", finished.elapsed());
    assert_eq!(home.worker(&home.model).await, default);
    ask(&client, "other").await;
    home.stop().await;
}

#[tokio::test]
async fn least_recently_used_model_is_evicted() {
    let home = Setup::new().models(&["a", "b", "c"]).settings("[node]\nmax_loaded_models = 3").start().await;
    let client = home.client();
    for model in ["a", "b", "a"] {
        ask(&client, model).await;
    }
    let (default, a) = (home.worker(&home.model).await, home.worker("a").await);
    ask(&client, "c").await;
    assert_eq!(loaded(&client).await, ["a", "c", &home.model]);
    assert_eq!((home.worker(&home.model).await, home.worker("a").await), (default, a));
    home.stop().await;
}

/// The ids of the loaded models.
async fn loaded(client: &Client) -> Vec<String> {
    let loaded = client.get("/v1/models/loaded").await.json();
    let ids = |models: &Value| -> Vec<String> {
        models.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    ids(&loaded["models"])
}

#[tokio::test]
async fn run_waits_while_other_models_are_in_use() {
    let setup = setup_for_endless_runs(&["used", "other"], "slots = 1\nmax_loaded_models = 2");
    let home = setup.start().await;
    let client = home.client();
    let mut stream = start_endless_on(&client, "used").await;
    stream.next_named("delta").await;
    let worker = home.worker("used").await;

    // No model can be evicted: the default is pinned, and `used` is busy.
    let body = json!({"model": "other", "input": {"prompt": "Hello!"}, "stream": true});
    let mut waiting = client.stream("/v1/generate", &body).await;
    assert_eq!(waiting.next_named("queued").await.data["position"], 1);
    ask(&client, &home.model).await;
    client.post("/v1/models/other/load", &json!({})).await.error(503, "no_model_available");
    stream.next_named("delta").await;
    assert_eq!(home.worker("used").await, worker);
    assert_eq!(runtime_status(&client, "other").await["state"], "unloaded");

    cancel_run(&client, &stream.request_id).await;
    assert_eq!(waiting.next_named("complete").await.data["finish_reason"], "stop");
    assert_eq!(loaded(&client).await, [home.model.as_str(), "other"]);
    home.stop().await;
}

#[tokio::test]
async fn alternating_requests_do_not_reload_models_for_each_run() {
    let settings = "[node]\nmax_loaded_models = 2\nslots = 1";
    let home = Setup::new().models(&["a", "b"]).settings(settings).start().await;
    let client = home.client();
    for model in ["a", "b", "a", "b"] {
        ask(&client, model).await;
    }
    let before = metric(&client, "hearth_model_load_seconds_count").await;
    let all = (0..12).map(|index| ask(&client, if index % 2 == 0 { "a" } else { "b" }));
    futures::future::join_all(all).await;
    let loads = metric(&client, "hearth_model_load_seconds_count").await - before;
    assert!(loads <= 3.0, "{loads} loads for 12 runs");
    home.stop().await;
}
