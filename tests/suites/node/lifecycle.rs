//! Models come into memory and leave it.

use std::time::{Duration, Instant};

use hearth_tests::{Client, Home, Setup, eventually, is_running};
use serde_json::{Value, json};

use crate::{ask, cancel, endless, endless_on, load, long, metric, runtime, until_state};

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
    eventually("the end of its process", async || (!is_running(before)).then_some(())).await;

    let body = json!({"input": {"prompt": "Hello!"}, "stream": true});
    let mut stream = client.stream("/v1/generate", &body).await;
    stream.next_named("loading").await;
    stream.next_named("complete").await;
    assert_ne!(home.worker(&home.model).await, before, "the memory was not freed");
    home.stop().await;
}

#[tokio::test]
async fn a_model_can_be_loaded_before_it_is_asked_but_not_unloaded_in_use() {
    let home = long("slots = 1").start().await;
    let client = home.client();
    let unload = format!("/v1/models/{}/unload", home.model);
    let mut stream = endless(&client).await;
    stream.next_named("delta").await;
    client.post(&unload, &json!({})).await.error(409, "conflict");
    cancel(&client, &stream).await;
    stream.rest().await;

    client.post(&unload, &json!({})).await;
    until_state(&client, &home.model, "unloaded").await;
    load(&client, &home.model).await;
    client.post("/v1/models/none/load", &json!({})).await.error(404, "model_not_found");
    home.stop().await;
}

#[tokio::test]
async fn an_idle_model_leaves_after_its_last_run_and_the_default_stays() {
    let home = long("slots = 1\nidle_seconds = 1").models(&["other"]).start().await;
    let client = home.client();
    let default = home.worker(&home.model).await;
    let began = Instant::now();
    // `tiny-chat` isn't the default here.
    let mut stream = endless_on(&client, "tiny-chat").await;
    let worker = eventually("its worker", async || home.worker_if_loaded("tiny-chat").await).await;
    while began.elapsed() < Duration::from_millis(2500) {
        stream.next_named("delta").await;
    }
    assert_eq!(home.worker("tiny-chat").await, worker, "it left in the middle of a run");
    let finished = Instant::now();
    cancel(&client, &stream).await;
    until_state(&client, "tiny-chat", "unloaded").await;
    assert!(finished.elapsed() >= Duration::from_secs(1), "it left after {:?}", finished.elapsed());
    assert_eq!(home.worker(&home.model).await, default);
    ask(&client, "tiny-chat").await;
    home.stop().await;
}

#[tokio::test]
async fn the_least_recently_used_makes_room() {
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

/// The models in memory, by name.
async fn loaded(client: &Client) -> Vec<String> {
    let loaded = client.get("/v1/models/loaded").await.json();
    let ids = |models: &Value| -> Vec<String> {
        models.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    ids(&loaded["models"])
}

#[tokio::test]
async fn a_model_in_use_is_waited_for() {
    let setup = long("slots = 1\nmax_loaded_models = 2").models(&["other"]);
    let home = setup.start().await;
    let client = home.client();
    let mut stream = endless_on(&client, "tiny-chat").await;
    stream.next_named("delta").await;
    let worker = home.worker("tiny-chat").await;

    // No room: the default stays, and `tiny-chat` is busy.
    let body = json!({"model": "other", "input": {"prompt": "Hello!"}, "stream": true});
    let mut waiting = client.stream("/v1/generate", &body).await;
    assert_eq!(waiting.next_named("queued").await.data["position"], 1);
    ask(&client, &home.model).await;
    client.post("/v1/models/other/load", &json!({})).await.error(503, "no_model_available");
    stream.next_named("delta").await;
    assert_eq!(home.worker("tiny-chat").await, worker);
    assert_eq!(runtime(&client, "other").await["state"], "unloaded");

    cancel(&client, &stream).await;
    assert_eq!(waiting.next_named("complete").await.data["finish_reason"], "stop");
    assert_eq!(loaded(&client).await, [home.model.as_str(), "other"]);
    home.stop().await;
}

#[tokio::test]
async fn alternating_models_all_answer_and_do_not_displace_each_other_run_by_run() {
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
