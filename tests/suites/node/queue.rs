//! The queue: positions, limits, timeouts, priorities.

use hearth_domain::Priority;
use hearth_tests::{Answer, Client, Event, Events, cancel_run, eventually};
use hearth_wire::RunEventBody;
use serde_json::json;

use crate::{
    in_process::{InProcessNode, endless_task, short_task},
    load, runtime_status, setup_for_endless_runs, start_endless, start_endless_on, wait_for_end,
};

/// The reported positions of a run, in order.
fn positions(events: &[Event]) -> Vec<u64> {
    let queued = events.iter().filter(|event| event.name() == "queued");
    queued.map(|event| event.data["position"].as_u64().unwrap()).collect()
}

/// Reads on to the next position of a run, which must be this one.
async fn expect_position(stream: &mut Events, position: u64) {
    let queued = stream.next_named("queued").await;
    assert_eq!(queued.data["position"], position, "{queued:?}");
}

async fn try_generate(client: &Client, model: &str) -> Answer {
    let body = json!({"model": model, "input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 4}});
    client.post("/v1/generate", &body).await
}

/// Asserts that an answer is a 429 that may be retried.
fn assert_queue_full(answer: &Answer) {
    let error = answer.error(429, "queue_full");
    assert_eq!(error["retryable"], true, "{error}");
    assert_eq!(answer.header("x-should-retry"), "true", "{answer:?}");
}

#[tokio::test]
async fn queue_positions_are_reported_at_once_and_after_each_change() {
    let home = setup_for_endless_runs(&[], "slots = 1").start().await;
    let client = home.client();
    let mut running = start_endless(&client).await;
    running.next_named("delta").await;
    let mut waiting = Vec::new();
    for position in 1..=3 {
        let mut stream = start_endless(&client).await;
        expect_position(&mut stream, position).await;
        waiting.push(stream);
    }
    let path = format!("/v1/requests/{}", waiting[2].request_id);
    eventually("the position in its record", async || {
        let status = client.get(&path).await.json();
        (status["status"] == "queued" && status["queue_position"] == 3).then_some(())
    })
    .await;
    let state = runtime_status(&client, &home.model).await;
    assert_eq!((&state["active"], &state["queue_depth"]), (&json!(1), &json!(3)), "{state}");

    // The second of three is cancelled: the third moves up, the first gets no event.
    let cancelled = waiting.remove(1);
    cancel_run(&client, &cancelled.request_id).await;
    let last = cancelled.rest().await;
    assert_eq!(last[last.len() - 2].data["finish_reason"], "cancelled", "{last:?}");
    assert_eq!(last[last.len() - 2].data["usage"]["completion_tokens"], 0, "{last:?}");
    expect_position(&mut waiting[1], 2).await;

    cancel_run(&client, &running.request_id).await;
    waiting[0].next_named("delta").await;
    expect_position(&mut waiting[1], 1).await;
    cancel_run(&client, &waiting[0].request_id).await;
    waiting[1].next_named("delta").await;
    cancel_run(&client, &waiting[1].request_id).await;
    for stream in waiting {
        assert_eq!(
            positions(&stream.rest().await),
            [0; 0],
            "a position was reported after the run had begun"
        );
    }
    home.stop().await;
}

#[tokio::test]
async fn full_queue_of_a_loaded_model_refuses_at_once() {
    let home = setup_for_endless_runs(&[], "slots = 1\nqueue_depth = 2").start().await;
    let client = home.client();
    let mut running = start_endless(&client).await;
    running.next_named("delta").await;
    let mut waiting = Vec::new();
    for position in 1..=2 {
        let mut stream = start_endless(&client).await;
        expect_position(&mut stream, position).await;
        waiting.push(stream);
    }
    for _ in 0..3 {
        assert_queue_full(&try_generate(&client, &home.model).await);
    }
    // Refused runs are not in the queue.
    assert_eq!(runtime_status(&client, &home.model).await["queue_depth"], 2);
    cancel_run(&client, &waiting.pop().unwrap().request_id).await;
    let mut next = start_endless(&client).await;
    expect_position(&mut next, 2).await;
    home.stop().await;
}

#[tokio::test]
async fn total_queue_limit_refuses_runs_unless_a_slot_is_free() {
    let setup = setup_for_endless_runs(&["other"], "slots = 1\nqueue_total = 2");
    let home = setup.start().await;
    let client = home.client();
    load(&client, "other").await;
    let mut busy = Vec::new();
    for model in [home.model.as_str(), "other"] {
        let mut running = start_endless_on(&client, model).await;
        running.next_named("delta").await;
        let mut waiting = start_endless_on(&client, model).await;
        expect_position(&mut waiting, 1).await;
        busy.push((running, waiting));
    }
    for model in [home.model.as_str(), "other", "tiny-chat"] {
        assert_queue_full(&try_generate(&client, model).await);
    }
    // `other` becomes idle, and runs of the default model fill the queues again.
    let (running, waiting) = busy.pop().unwrap();
    cancel_run(&client, &waiting.request_id).await;
    cancel_run(&client, &running.request_id).await;
    wait_for_end(&client, &running.request_id).await;
    let mut second = start_endless(&client).await;
    expect_position(&mut second, 2).await;
    assert_queue_full(&try_generate(&client, &home.model).await);
    assert_eq!(try_generate(&client, "other").await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn queue_timeout_fails_waiting_runs() {
    let home = setup_for_endless_runs(&[], "slots = 1\nqueue_seconds = 1").start().await;
    let client = home.client();
    let mut running = start_endless(&client).await;
    running.next_named("delta").await;
    let mut streamed = start_endless(&client).await;
    let whole = try_generate(&client, &home.model).await;
    let error = whole.error(504, "provider_timeout");
    assert_eq!(error["retryable"], true, "{error}");
    let error = streamed.next_named("error").await.data["error"].clone();
    assert_eq!(error["code"], "provider_timeout", "{error}");
    assert!(error["message"].as_str().unwrap().contains("waited too long"), "{error}");
    assert_eq!(wait_for_end(&client, &streamed.request_id).await["status"], "failed");
    // A run with a slot has no timeout.
    running.next_named("delta").await;
    cancel_run(&client, &running.request_id).await;
    assert_eq!(try_generate(&client, &home.model).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn higher_priority_runs_first_and_age_decides_among_equals() {
    let node = InProcessNode::start(|config| config.settings.slots = 1).await;
    let mut running = node.run(endless_task()).await;
    running.until(|event| matches!(event, RunEventBody::Delta { .. })).await;
    let mut waiting = Vec::new();
    // Each run with its positions: later runs overtake it, and then start.
    for (name, priority, positions) in [
        ("low", Priority::Low, vec![1, 2, 3, 4, 3, 2, 1]),
        ("normal", Priority::Normal, vec![1, 2, 1]),
        ("normal, later", Priority::Normal, vec![2, 3, 2, 1]),
        ("high", Priority::High, vec![1]),
    ] {
        waiting.push((name, node.run_with(short_task(), priority).await, positions));
    }
    node.cancel(&running).await;
    for (name, run, positions) in waiting {
        assert_eq!(run.answer().await.positions(), positions, "{name}");
    }
    node.stop().await;
}
