//! The gateway goes away, whatever `on_disconnect` is: by an orderly stop, or killed.

use hearth_tests::cancel_run;
use serde_json::{Value, json};

use crate::place::{Place, ended, follow};

/// The record of a run whose gateway has gone, and came back: failed, with the text up to there.
async fn has_failed(place: &Place, run: &str) {
    let client = place.client();
    let record = ended(&client, run).await;
    assert_eq!(
        (&record["status"], &record["error"]["code"]),
        (&json!("failed"), &json!("gateway_stopped")),
        "{record}"
    );
    assert_ne!(record["output"]["text"], "", "{record}");
    assert!(record["usage"]["completion_tokens"].as_u64() > Some(0), "its text has tokens: {record}");
    // A follower gets one terminal event.
    let events = follow(&client, run, 0).await.rest().await;
    let terminal = |event: &&hearth_tests::Event| matches!(event.name(), "complete" | "error");
    assert_eq!(events.iter().filter(terminal).count(), 1, "{events:?}");
    assert_eq!(events.last().unwrap().name(), "[DONE]");
}

async fn orderly_stop(place: Place, on_disconnect: Value) {
    let stream = place.begin(&on_disconnect).await;
    let run = stream.request_id.clone();
    let Place { home, model, upstream, node } = place;
    let (home, events) = tokio::join!(home.restart(), stream.rest());
    // The client has the end too.
    let names: Vec<&str> = events.iter().map(hearth_tests::Event::name).collect();
    assert_eq!(names[names.len() - 2..], ["error", "[DONE]"], "{names:?}");
    let place = Place { home, model, upstream, node };
    has_failed(&place, &run).await;
    place.stop().await;
}

async fn kill(place: Place, on_disconnect: Value) {
    let mut stream = place.begin(&on_disconnect).await;
    let run = stream.request_id.clone();
    // The text is stored when a follower has it.
    follow(&place.client(), &run, 0).await.next_named("delta").await;
    if place.upstream.is_none() {
        stream.next_named("delta").await;
    }
    drop(stream);
    let Place { home, model, upstream, node } = place;
    let home = home.crash_and_restart().await;
    let place = Place { home, model, upstream, node };
    has_failed(&place, &run).await;
    place.stop().await;
}

/// A node at an address goes on with a run that outlives its client, and the gateway records the rest when it is back.
async fn node_goes_on(is_orderly: bool) {
    let place = Place::direct().await;
    let stream = place.begin(&json!("continue")).await;
    let run = stream.request_id.clone();
    follow(&place.client(), &run, 0).await.next_named("delta").await;
    drop(stream);
    let Place { home, model, upstream, node } = place;
    let home = if is_orderly { home.restart().await } else { home.crash_and_restart().await };
    let place = Place { home, model, upstream, node };
    let client = place.client();
    let mut follower = follow(&client, &run, 0).await;
    let (mut last, mut deltas) = (0, 0);
    while deltas < 100 {
        let event = follower.next().await.unwrap();
        assert!(deltas == 0 || event.id == last + 1, "{event:?} after {last}");
        last = event.id;
        deltas += usize::from(event.name() == "delta");
    }
    cancel_run(&client, &run).await;
    assert_eq!(follower.next_named("complete").await.data["finish_reason"], "cancelled");
    assert_eq!(ended(&client, &run).await["status"], "cancelled");
    place.stop().await;
}

#[tokio::test]
async fn gateway_stops_in_process() {
    orderly_stop(Place::in_process().await, json!("cancel")).await;
}

#[tokio::test]
async fn gateway_stops_direct() {
    orderly_stop(Place::direct().await, json!("cancel")).await;
}

#[tokio::test]
async fn gateway_stops_provider() {
    orderly_stop(Place::provider().await, json!({"continue_for": 60})).await;
}

#[tokio::test]
async fn gateway_is_killed_in_process() {
    kill(Place::in_process().await, json!("continue")).await;
}

#[tokio::test]
async fn gateway_is_killed_direct() {
    kill(Place::direct().await, json!("cancel")).await;
}

#[tokio::test]
async fn gateway_is_killed_with_continue_direct() {
    node_goes_on(false).await;
}

#[tokio::test]
async fn gateway_stops_with_continue_direct() {
    node_goes_on(true).await;
}

#[tokio::test]
async fn gateway_is_killed_provider() {
    kill(Place::provider().await, json!("continue")).await;
}
