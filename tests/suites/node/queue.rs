//! The queue: places, bounds, deadlines, priorities.

use hearth_domain::Priority;
use hearth_tests::{Answer, Client, Event, Events, eventually};
use hearth_wire::RunEventBody;
use serde_json::json;

use crate::{
    cancel, ended, endless, endless_on,
    inside::{Inside, endless_task, short_task},
    load, long, runtime,
};

/// What a run was told of its place, in order.
fn places(events: &[Event]) -> Vec<u64> {
    let queued = events.iter().filter(|event| event.name() == "queued");
    queued.map(|event| event.data["position"].as_u64().unwrap()).collect()
}

/// Reads on until the run is told that it has this place.
async fn until_place(stream: &mut Events, place: u64) {
    let told = stream.next_named("queued").await;
    assert_eq!(told.data["position"], place, "{told:?}");
}

async fn try_generate(client: &Client, model: &str) -> Answer {
    let body = json!({"model": model, "input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 4}});
    client.post("/v1/generate", &body).await
}

/// A 429 that says to try again.
fn assert_full(answer: &Answer) {
    let error = answer.error(429, "queue_full");
    assert_eq!(error["retryable"], true, "{error}");
    assert_eq!(answer.header("x-should-retry"), "true", "{answer:?}");
}

#[tokio::test]
async fn places_are_told_at_once_and_move_up_with_each_change() {
    let home = long(&[], "slots = 1").start().await;
    let client = home.client();
    let mut running = endless(&client).await;
    running.next_named("delta").await;
    let mut waiting = Vec::new();
    for place in 1..=3 {
        let mut stream = endless(&client).await;
        until_place(&mut stream, place).await;
        waiting.push(stream);
    }
    let path = format!("/v1/requests/{}", waiting[2].request_id);
    eventually("its record tells the place", async || {
        let status = client.get(&path).await.json();
        (status["status"] == "queued" && status["queue_position"] == 3).then_some(())
    })
    .await;
    let state = runtime(&client, &home.model).await;
    assert_eq!((&state["active"], &state["queue_depth"]), (&json!(1), &json!(3)), "{state}");

    // The one in the middle gives up: who is behind it moves, who is before it is told nothing.
    let gone = waiting.remove(1);
    cancel(&client, &gone).await;
    let last = gone.rest().await;
    assert_eq!(last[last.len() - 2].data["finish_reason"], "cancelled", "{last:?}");
    assert_eq!(last[last.len() - 2].data["usage"]["completion_tokens"], 0, "{last:?}");
    until_place(&mut waiting[1], 2).await;

    cancel(&client, &running).await;
    waiting[0].next_named("delta").await;
    until_place(&mut waiting[1], 1).await;
    cancel(&client, &waiting[0]).await;
    waiting[1].next_named("delta").await;
    cancel(&client, &waiting[1]).await;
    for stream in waiting {
        assert_eq!(places(&stream.rest().await), [0; 0], "a run was told a place after it had begun");
    }
    home.stop().await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_though_its_model_is_loaded() {
    let home = long(&[], "slots = 1\nqueue_depth = 2").start().await;
    let client = home.client();
    let mut running = endless(&client).await;
    running.next_named("delta").await;
    let mut waiting = Vec::new();
    for place in 1..=2 {
        let mut stream = endless(&client).await;
        until_place(&mut stream, place).await;
        waiting.push(stream);
    }
    for _ in 0..3 {
        assert_full(&try_generate(&client, &home.model).await);
    }
    // What was refused has left nothing behind.
    assert_eq!(runtime(&client, &home.model).await["queue_depth"], 2);
    cancel(&client, &waiting.pop().unwrap()).await;
    let mut next = endless(&client).await;
    until_place(&mut next, 2).await;
    home.stop().await;
}

#[tokio::test]
async fn all_queues_together_are_bounded_but_a_free_slot_needs_no_queue() {
    let setup = long(&["other"], "slots = 1\nqueue_total = 2");
    let home = setup.start().await;
    let client = home.client();
    load(&client, "other").await;
    let mut busy = Vec::new();
    for model in [home.model.as_str(), "other"] {
        let mut running = endless_on(&client, model).await;
        running.next_named("delta").await;
        let mut waiting = endless_on(&client, model).await;
        until_place(&mut waiting, 1).await;
        busy.push((running, waiting));
    }
    for model in [home.model.as_str(), "other", "tiny-chat"] {
        assert_full(&try_generate(&client, model).await);
    }
    // `other` falls idle; all places are taken again, but not by those who ask it.
    let (running, waiting) = busy.pop().unwrap();
    cancel(&client, &waiting).await;
    cancel(&client, &running).await;
    ended(&client, &running.request_id).await;
    let mut second = endless(&client).await;
    until_place(&mut second, 2).await;
    assert_full(&try_generate(&client, &home.model).await);
    assert_eq!(try_generate(&client, "other").await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn who_waits_too_long_is_told_so() {
    let home = long(&[], "slots = 1\nqueue_seconds = 1").start().await;
    let client = home.client();
    let mut running = endless(&client).await;
    running.next_named("delta").await;
    let mut streamed = endless(&client).await;
    let whole = try_generate(&client, &home.model).await;
    let error = whole.error(504, "provider_timeout");
    assert_eq!(error["retryable"], true, "{error}");
    let error = streamed.next_named("error").await.data["error"].clone();
    assert_eq!(error["code"], "provider_timeout", "{error}");
    assert!(error["message"].as_str().unwrap().contains("waited too long"), "{error}");
    assert_eq!(ended(&client, &streamed.request_id).await["status"], "failed");
    // The one with the slot may take as long as it likes.
    running.next_named("delta").await;
    cancel(&client, &running).await;
    assert_eq!(try_generate(&client, &home.model).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn the_higher_priority_goes_first_and_age_decides_among_equals() {
    let node = Inside::start(|config| config.limits.slots = 1).await;
    let mut running = node.run(endless_task()).await;
    running.until(|event| matches!(event, RunEventBody::Delta { .. })).await;
    let mut waiting = Vec::new();
    // Each with the places that it is told: others come before it, and then those go.
    for (name, priority, places) in [
        ("low", Priority::Low, vec![1, 2, 3, 4, 3, 2, 1]),
        ("normal", Priority::Normal, vec![1, 2, 1]),
        ("normal, later", Priority::Normal, vec![2, 3, 2, 1]),
        ("high", Priority::High, vec![1]),
    ] {
        waiting.push((name, node.run_with(short_task(), priority).await, places));
    }
    node.cancel(&running).await;
    for (name, run, places) in waiting {
        assert_eq!(run.answer().await.places(), places, "{name}");
    }
    node.stop().await;
}
