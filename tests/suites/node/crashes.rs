//! Crashes and hangs of workers: other runs and models are not affected.

use std::time::{Duration, Instant};

use hearth_tests::{Client, Events, cancel_run, endless_run_of, eventually, is_running, signal};
use serde_json::{Value, json};

use crate::{
    LONG_RUN_TOKENS, ask, load, metric, runtime_status, setup_for_endless_runs, start_endless,
    start_endless_on, wait_for_end, wait_for_state,
};

/// Starts a run with a long prompt and a short answer: for a while it has a slot and no text.
async fn start_long_prompt(client: &Client) -> Events {
    let body = json!({
        "input": {"prompt": "7".repeat(8_000)},
        "parameters": {"temperature": 0, "max_tokens": 2, "ignore_eos": true},
        "stream": true,
    });
    client.stream("/v1/generate", &body).await
}

/// Waits until the run has a slot.
async fn wait_for_slot(client: &Client, run: &Events) {
    eventually("a slot", async || {
        let status = client.get(&format!("/v1/requests/{}", run.request_id)).await.json()["status"].clone();
        assert!(status == "queued" || status == "running", "{status}");
        (status == "running").then_some(())
    })
    .await;
}

/// The error at a stream's end.
async fn expect_error(stream: &mut Events) -> Value {
    let error = stream.next_named("error").await.data["error"].clone();
    assert_eq!((&error["code"], &error["retryable"]), (&json!("provider_error"), &json!(true)), "{error}");
    assert_eq!(error["request_id"], stream.request_id.as_str());
    assert_eq!(stream.next().await.unwrap().name(), "[DONE]");
    error
}

fn assert_message_contains(error: &Value, part: &str) {
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(part), "{message:?} doesn't contain {part:?}");
}

#[tokio::test]
async fn worker_crash_fails_streaming_runs_and_retries_others() {
    // Full with the runs below.
    let home = setup_for_endless_runs(&[], "slots = 2\nqueue_depth = 2").start().await;
    let client = home.client();
    let mut answered = start_endless(&client).await;
    answered.next_named("delta").await;
    let mut silent = start_long_prompt(&client).await;
    wait_for_slot(&client, &silent).await;
    let mut queued = Vec::new();
    for position in 1..=2 {
        let body = json!({"input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 4}, "stream": true});
        let mut stream = client.stream("/v1/generate", &body).await;
        assert_eq!(stream.next_named("queued").await.data["position"], position);
        queued.push(stream);
    }
    let worker = home.worker(&home.model).await;
    signal("KILL", worker).await;

    assert_message_contains(&expect_error(&mut answered).await, "signal: 9");
    let status = client.get(&format!("/v1/requests/{}", answered.request_id)).await.json();
    assert_eq!((&status["status"], &status["error"]["code"]), (&json!("failed"), &json!("provider_error")));
    // Its client has received nothing, so it is retried.
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
async fn run_is_retried_once_after_crashes() {
    let home = setup_for_endless_runs(&[], "slots = 1").start().await;
    let client = home.client();
    let mut stream = start_long_prompt(&client).await;
    wait_for_slot(&client, &stream).await;
    let first = home.worker(&home.model).await;
    signal("KILL", first).await;
    let second = eventually("the next worker", async || {
        home.worker_if_loaded(&home.model).await.filter(|pid| *pid != first)
    })
    .await;
    eventually("the run in it", async || {
        (runtime_status(&client, &home.model).await["active"] == 1).then_some(())
    })
    .await;
    signal("KILL", second).await;
    expect_error(&mut stream).await;
    ask(&client, &home.model).await;
    home.stop().await;
}

#[tokio::test]
async fn hanging_worker_is_killed_and_replaced() {
    hang_worker("slots = 2\nstall_seconds = 3").await;
}

/// A worker that saves its prefix cache has twelve seconds to end; a hanging one is killed at once.
#[tokio::test]
async fn hanging_worker_saves_no_prefixes() {
    hang_worker("slots = 2\nstall_seconds = 3\nprefix_cache_on_disk = true").await;
}

async fn hang_worker(settings: &str) {
    let home = setup_for_endless_runs(&[], settings).start().await;
    let client = home.client();
    let mut answered = start_endless(&client).await;
    answered.next_named("delta").await;
    let worker = home.worker(&home.model).await;
    signal("STOP", worker).await;
    let stopped = Instant::now();
    // A run that begins while the worker hangs.
    let mut silent = start_long_prompt(&client).await;
    assert_message_contains(&expect_error(&mut answered).await, "sent no report for 3 s");
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
async fn long_prompt_is_not_taken_for_a_hang() {
    // The prompt takes longer than the stall timeout, and sends no event meanwhile.
    let home = setup_for_endless_runs(&[], "slots = 1\nstall_seconds = 3").start().await;
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
async fn model_that_crashed_three_times_fails_until_it_is_loaded() {
    let home = setup_for_endless_runs(&["fragile"], "slots = 1").start().await;
    let client = home.client();
    for crash in 1..=3 {
        let mut stream = start_endless_on(&client, "fragile").await;
        stream.next_named("delta").await;
        let mut waiting = start_endless_on(&client, "fragile").await;
        waiting.next_named("queued").await;
        signal("KILL", home.worker("fragile").await).await;
        expect_error(&mut stream).await;
        if crash < 3 {
            waiting.next_named("delta").await;
            cancel_run(&client, &waiting.request_id).await;
            wait_for_end(&client, &waiting.request_id).await;
        } else {
            let error = waiting.next_named("error").await.data["error"].clone();
            assert_eq!(error["code"], "model_load_failed", "{error}");
        }
    }
    let state = runtime_status(&client, "fragile").await;
    assert_eq!(state["state"], "failed", "{state}");
    assert!(state["error"].as_str().unwrap().contains("3 times"), "{state}");
    let body = json!({"model": "fragile", "input": {"prompt": "Hello!"}});
    let refused = client.post("/v1/generate", &body).await.error(503, "model_load_failed");
    assert_message_contains(&refused, "load it to try again");
    // Other models are not affected.
    ask(&client, &home.model).await;

    load(&client, "fragile").await;
    ask(&client, "fragile").await;
    assert_eq!(runtime_status(&client, "fragile").await["error"], Value::Null);
    home.stop().await;
}

#[tokio::test]
async fn answer_that_breaks_off_is_resumed_by_another_model_of_its_node() {
    let home = setup_for_endless_runs(&["fragile"], "slots = 1").start().await;
    let client = home.client();
    let mut body = endless_run_of("fragile", LONG_RUN_TOKENS);
    body["resume"] = json!(true);
    body["fallback"] = json!({"models": [home.model]});
    let mut stream = client.stream("/v1/generate", &body).await;
    stream.next_named("delta").await;
    signal("KILL", home.worker("fragile").await).await;
    let selected = stream.next_named("model_selected").await.data;
    assert_eq!((&selected["model"], &selected["resumed"]), (&json!(home.model), &json!(true)), "{selected}");
    stream.next_named("delta").await;
    cancel_run(&client, &stream.request_id).await;
    wait_for_end(&client, &stream.request_id).await;
    home.stop().await;
}

#[tokio::test]
async fn idle_worker_crash_is_invisible_to_clients() {
    let home = setup_for_endless_runs(&[], "slots = 1").start().await;
    let client = home.client();
    ask(&client, &home.model).await;
    let worker = home.worker(&home.model).await;
    signal("KILL", worker).await;
    wait_for_state(&client, &home.model, "unloaded").await;
    ask(&client, &home.model).await;
    assert_ne!(home.worker(&home.model).await, worker);
    home.stop().await;
}

#[tokio::test]
async fn killed_gateway_leaves_no_worker_and_no_open_run() {
    let home = setup_for_endless_runs(&["other"], "slots = 1").start().await;
    let client = home.client();
    let (mut streams, mut workers) = (Vec::new(), Vec::new());
    for model in [home.model.clone(), "other".to_owned()] {
        let mut running = start_endless_on(&client, &model).await;
        running.next_named("delta").await;
        let mut waiting = start_endless_on(&client, &model).await;
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
        let run = wait_for_end(&client, &stream.request_id).await;
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&json!("failed"), &json!("gateway_stopped")),
            "{run}"
        );
    }
    ask(&client, &home.model).await;
    ask(&client, "other").await;
    home.stop().await;
}
