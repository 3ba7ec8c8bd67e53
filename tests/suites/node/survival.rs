//! A model's process that dies or hangs takes nobody with it.

use std::time::{Duration, Instant};

use hearth_tests::{Client, Events, eventually, is_running, signal};
use serde_json::{Value, json};

use crate::{ask, cancel, ended, endless, endless_on, load, long, metric, runtime, until_state};

/// A run with a short answer to a prompt that takes a moment: it has a slot and no text for a while.
async fn slow_to_begin(client: &Client) -> Events {
    let body = json!({
        "input": {"prompt": "7".repeat(8_000)},
        "parameters": {"temperature": 0, "max_tokens": 2, "ignore_eos": true},
        "stream": true,
    });
    client.stream("/v1/generate", &body).await
}

/// Waits until the run has a slot.
async fn until_running(client: &Client, run: &Events) {
    eventually("a slot", async || {
        let status = client.get(&format!("/v1/requests/{}", run.request_id)).await.json()["status"].clone();
        assert!(status == "queued" || status == "running", "{status}");
        (status == "running").then_some(())
    })
    .await;
}

/// The error that a stream ends with.
async fn error(stream: &mut Events) -> Value {
    let error = stream.next_named("error").await.data["error"].clone();
    assert_eq!((&error["code"], &error["retryable"]), (&json!("provider_error"), &json!(true)), "{error}");
    assert_eq!(error["request_id"], stream.request_id.as_str());
    assert_eq!(stream.next().await.unwrap().name(), "[DONE]");
    error
}

fn says(error: &Value, what: &str) {
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(what), "{message:?} doesn't say {what:?}");
}

#[tokio::test]
async fn a_worker_that_dies_fails_what_was_answered_and_nothing_else() {
    // The queue will be full.
    let home = long(&[], "slots = 2\nqueue_depth = 2").start().await;
    let client = home.client();
    let mut answered = endless(&client).await;
    answered.next_named("delta").await;
    let mut silent = slow_to_begin(&client).await;
    until_running(&client, &silent).await;
    let mut queued = Vec::new();
    for place in 1..=2 {
        let body = json!({"input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 4}, "stream": true});
        let mut stream = client.stream("/v1/generate", &body).await;
        assert_eq!(stream.next_named("queued").await.data["position"], place);
        queued.push(stream);
    }
    let worker = home.worker(&home.model).await;
    signal("KILL", worker).await;

    says(&error(&mut answered).await, "signal: 9");
    let status = client.get(&format!("/v1/requests/{}", answered.request_id)).await.json();
    assert_eq!((&status["status"], &status["error"]["code"]), (&json!("failed"), &json!("provider_error")));
    // Its client was given nothing that it would be given twice.
    silent.next_named("complete").await;
    for mut stream in queued {
        stream.next_named("complete").await;
    }
    assert_ne!(home.worker(&home.model).await, worker);
    assert_eq!(metric(&client, "hearth_worker_crashes_total").await, 1.0);
    ask(&client, &home.model).await;
    home.stop().await;
}

#[tokio::test]
async fn a_run_is_tried_again_once_and_no_more() {
    let home = long(&[], "slots = 1").start().await;
    let client = home.client();
    let mut stream = slow_to_begin(&client).await;
    until_running(&client, &stream).await;
    let first = home.worker(&home.model).await;
    signal("KILL", first).await;
    let second = eventually("the next worker", async || {
        home.worker_if_loaded(&home.model).await.filter(|pid| *pid != first)
    })
    .await;
    eventually("the run in it", async || (runtime(&client, &home.model).await["active"] == 1).then_some(()))
        .await;
    signal("KILL", second).await;
    error(&mut stream).await;
    ask(&client, &home.model).await;
    home.stop().await;
}

#[tokio::test]
async fn a_worker_that_hangs_is_killed_and_replaced() {
    hang("slots = 2\nstall_seconds = 3").await;
}

/// One that has something to write has twelve seconds to end. If it hangs it is not waited for.
#[tokio::test]
async fn a_worker_that_hangs_keeps_nothing() {
    hang("slots = 2\nstall_seconds = 3\nprefix_cache_on_disk = true").await;
}

async fn hang(settings: &str) {
    let home = long(&[], settings).start().await;
    let client = home.client();
    let mut answered = endless(&client).await;
    answered.next_named("delta").await;
    let worker = home.worker(&home.model).await;
    signal("STOP", worker).await;
    let stopped = Instant::now();
    // This one comes when it hangs already.
    let mut silent = slow_to_begin(&client).await;
    says(&error(&mut answered).await, "said nothing for 3 s");
    let noticed = stopped.elapsed();
    assert!(noticed >= Duration::from_secs(2), "after {noticed:?}");
    eventually("the end of the hung process", async || (!is_running(worker)).then_some(())).await;
    let ended = stopped.elapsed();
    assert!(ended < Duration::from_secs(12), "after {ended:?}");
    silent.next_named("complete").await;
    ask(&client, &home.model).await;
    home.stop().await;
}

#[tokio::test]
async fn a_long_prompt_is_no_hang() {
    // It takes longer than that to read, and says nothing to the client meanwhile.
    let home = long(&[], "slots = 1\nstall_seconds = 3").start().await;
    let client = home.client();
    let body = json!({
        "input": {"prompt": "7".repeat(16_000)},
        "parameters": {"temperature": 0, "max_tokens": 2, "ignore_eos": true},
    });
    let answer = client.post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(metric(&client, "hearth_worker_crashes_total").await, 0.0);
    home.stop().await;
}

#[tokio::test]
async fn a_model_that_keeps_crashing_is_left_alone_until_it_is_loaded() {
    let home = long(&["fragile"], "slots = 1").start().await;
    let client = home.client();
    for crash in 1..=3 {
        let mut stream = endless_on(&client, "fragile").await;
        stream.next_named("delta").await;
        let mut waiting = endless_on(&client, "fragile").await;
        waiting.next_named("queued").await;
        signal("KILL", home.worker("fragile").await).await;
        error(&mut stream).await;
        if crash < 3 {
            waiting.next_named("delta").await;
            cancel(&client, &waiting).await;
            ended(&client, &waiting.request_id).await;
        } else {
            let error = waiting.next_named("error").await.data["error"].clone();
            assert_eq!(error["code"], "model_load_failed", "{error}");
        }
    }
    let state = runtime(&client, "fragile").await;
    assert_eq!(state["state"], "failed", "{state}");
    assert!(state["error"].as_str().unwrap().contains("3 times"), "{state}");
    let body = json!({"model": "fragile", "input": {"prompt": "Hello!"}});
    let refused = client.post("/v1/generate", &body).await.error(503, "model_load_failed");
    says(&refused, "load it to try again");
    // The others know nothing of it.
    ask(&client, &home.model).await;

    load(&client, "fragile").await;
    ask(&client, "fragile").await;
    assert_eq!(runtime(&client, "fragile").await["error"], Value::Null);
    home.stop().await;
}

#[tokio::test]
async fn a_worker_that_dies_at_rest_is_replaced_unseen() {
    let home = long(&[], "slots = 1").start().await;
    let client = home.client();
    ask(&client, &home.model).await;
    let worker = home.worker(&home.model).await;
    signal("KILL", worker).await;
    until_state(&client, &home.model, "unloaded").await;
    ask(&client, &home.model).await;
    assert_ne!(home.worker(&home.model).await, worker);
    home.stop().await;
}

#[tokio::test]
async fn a_killed_gateway_leaves_no_process_and_no_run_behind() {
    let home = long(&["other"], "slots = 1").start().await;
    let client = home.client();
    let (mut streams, mut workers) = (Vec::new(), Vec::new());
    for model in [home.model.clone(), "other".to_owned()] {
        let mut running = endless_on(&client, &model).await;
        running.next_named("delta").await;
        let mut waiting = endless_on(&client, &model).await;
        waiting.next_named("queued").await;
        workers.push(home.worker(&model).await);
        streams.extend([running, waiting]);
    }
    let home = home.crash_and_restart().await;
    for worker in workers {
        eventually("the end of a worker", async || (!is_running(worker)).then_some(())).await;
    }
    let client = home.client();
    for stream in streams {
        let run = ended(&client, &stream.request_id).await;
        assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("node_lost")), "{run}");
    }
    ask(&client, &home.model).await;
    ask(&client, "other").await;
    home.stop().await;
}
