//! The client goes away.

use std::time::Duration;

use hearth_tests::{Client, cancel_run, eventually, within};
use serde_json::json;

use crate::place::{Place, ended, follow, record};

/// With `cancel` the run is stopped.
async fn cancel_stops(place: Place) {
    let stream = place.begin(&json!("cancel")).await;
    let run = stream.request_id.clone();
    drop(stream);
    let record = ended(&place.client(), &run).await;
    assert_eq!(
        (&record["status"], &record["finish_reason"]),
        (&json!("cancelled"), &json!("cancelled")),
        "{record}"
    );
    assert_ne!(record["output"]["text"], "", "{record}");
    if let Some(upstream) = &place.upstream {
        within("the end of the call to the provider", upstream.left()).await;
    }
    place.stop().await;
}

/// Waits until the record says that the run is in progress. It may be 250 ms behind the events.
async fn is_running(client: &Client, run: &str) {
    eventually("the record of a run in progress", async || {
        let record = record(client, run).await;
        assert!(record["finished_at"].is_null(), "{record}");
        (record["status"] == "running").then_some(())
    })
    .await;
}

/// With `continue` the run goes on, and is followed and cancelled later.
async fn continue_goes_on(place: Place) {
    let stream = place.begin(&json!("continue")).await;
    let run = stream.request_id.clone();
    drop(stream);
    let client = place.client();
    let mut follower = follow(&client, &run, 0).await;
    follower.next_named("delta").await;
    is_running(&client, &run).await;
    cancel_run(&client, &run).await;
    assert_eq!(follower.next_named("complete").await.data["finish_reason"], "cancelled");
    assert_eq!(ended(&client, &run).await["status"], "cancelled");
    place.stop().await;
}

/// With `continue_for` the run goes on for that time, if nobody follows it.
async fn continue_for_stops_after_its_time(place: Place) {
    let stream = place.begin(&json!({"continue_for": 2})).await;
    let run = stream.request_id.clone();
    drop(stream);
    let (client, left) = (place.client(), std::time::Instant::now());
    let record = ended(&client, &run).await;
    assert_eq!(record["status"], "cancelled", "{record}");
    assert!(left.elapsed() > Duration::from_millis(1500), "{:?}", left.elapsed());
    place.stop().await;
}

/// A follower keeps such a run, and the time begins again when it goes.
async fn continue_for_goes_on_with_a_follower(place: Place) {
    let stream = place.begin(&json!({"continue_for": 1})).await;
    let run = stream.request_id.clone();
    let client = place.client();
    let mut follower = follow(&client, &run, 0).await;
    drop(stream);
    follower.next_named("delta").await;
    // Longer than the run may be without a reader.
    tokio::time::sleep(Duration::from_secs(2)).await;
    is_running(&client, &run).await;
    drop(follower);
    assert_eq!(ended(&client, &run).await["status"], "cancelled");
    place.stop().await;
}

#[tokio::test]
async fn client_goes_with_cancel_in_process() {
    cancel_stops(Place::in_process().await).await;
}

#[tokio::test]
async fn client_goes_with_cancel_direct() {
    cancel_stops(Place::direct().await).await;
}

#[tokio::test]
async fn client_goes_with_cancel_provider() {
    cancel_stops(Place::provider().await).await;
}

#[tokio::test]
async fn client_goes_with_continue_in_process() {
    continue_goes_on(Place::in_process().await).await;
}

#[tokio::test]
async fn client_goes_with_continue_direct() {
    continue_goes_on(Place::direct().await).await;
}

#[tokio::test]
async fn client_goes_with_continue_provider() {
    continue_goes_on(Place::provider().await).await;
}

#[tokio::test]
async fn client_goes_with_continue_for_in_process() {
    continue_for_stops_after_its_time(Place::in_process().await).await;
}

#[tokio::test]
async fn client_goes_with_continue_for_direct() {
    continue_for_stops_after_its_time(Place::direct().await).await;
}

#[tokio::test]
async fn client_goes_with_continue_for_provider() {
    continue_for_stops_after_its_time(Place::provider().await).await;
}

#[tokio::test]
async fn client_goes_with_continue_for_and_another_follows_in_process() {
    continue_for_goes_on_with_a_follower(Place::in_process().await).await;
}

#[tokio::test]
async fn client_goes_with_continue_for_and_another_follows_provider() {
    continue_for_goes_on_with_a_follower(Place::provider().await).await;
}
