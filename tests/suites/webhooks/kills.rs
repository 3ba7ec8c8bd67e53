//! Kills: no event is lost, and one that comes twice has the same id.

use std::{collections::BTreeSet, sync::Arc};

use hearth_tests::endless_run;
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    create_at, deliveries, ended, gateway,
    receiver::{Receiver, Reply},
    run, send_test,
};

#[tokio::test]
async fn delivery_in_progress_goes_on_after_a_kill_with_the_same_id() {
    let (home, receiver) = (gateway().await, Receiver::start().await);
    let webhook = create_at(&home.client(), &receiver.url).await;
    receiver.reply(&[Reply::Held(Arc::new(Notify::new()), 200)]);
    let event = send_test(&home.client(), &webhook).await;
    receiver.wait_for(1).await;
    let home = home.crash_and_restart().await;
    let received = receiver.wait_for(2).await;
    assert!(received.iter().all(|one| one.header("webhook-id") == event), "{received:?}");
    assert_eq!(ended(&home.client(), &webhook, &event).await["state"], "delivered");
    home.stop().await;
}

#[tokio::test]
async fn every_run_that_was_answered_before_a_kill_has_its_event() {
    let (mut home, receiver) = (gateway().await, Receiver::start().await);
    let webhook = create_at(&home.client(), &receiver.url).await;
    let mut runs = BTreeSet::new();
    for _ in 0..3 {
        for _ in 0..4 {
            runs.insert(run(&home.client()).await);
        }
        // The record of an answer may be behind by 50 ms: only a recorded run is certain.
        let last = runs.iter().next_back().cloned().unwrap_or_default();
        assert_eq!(home.client().get(&format!("/v1/requests/{last}")).await.status, 200);
        home = home.crash_and_restart().await;
    }
    let recorded = home.client();
    let mut expected = BTreeSet::new();
    for run in runs {
        if recorded.get(&format!("/v1/requests/{run}")).await.status == 200 {
            expected.insert(run);
        }
    }
    assert!(expected.len() >= 3, "{expected:?}");
    hearth_tests::eventually("the events of all runs", async || {
        let subjects: BTreeSet<String> = receiver
            .received()
            .iter()
            .map(|one| one.json()["subject"].as_str().unwrap_or_default().to_owned())
            .collect();
        expected.is_subset(&subjects).then_some(())
    })
    .await;
    // One event for each run, however often it came.
    let received = receiver.received();
    for run in &expected {
        let of_run = received.iter().filter(|one| one.json()["subject"] == json!(run));
        let ids: BTreeSet<&str> = of_run.map(|one| one.header("webhook-id")).collect();
        assert_eq!(ids.len(), 1, "{run}: {ids:?}");
    }
    assert!(deliveries(&home.client(), &webhook).await.len() >= expected.len());
    home.stop().await;
}

#[tokio::test]
async fn run_that_a_kill_has_ended_is_a_failed_one() {
    let (home, receiver) = (gateway().await, Receiver::start().await);
    create_at(&home.client(), &receiver.url).await;
    let mut stream = home.client().stream("/v1/generate", &endless_run()).await;
    stream.next_named("delta").await;
    let id = stream.request_id.clone();
    let home = home.crash_and_restart().await;
    let event = receiver.wait_for(1).await.remove(0).json();
    assert_eq!((&event["type"], &event["subject"]), (&json!("run.failed"), &json!(id)), "{event}");
    assert_eq!(event["data"]["error"]["code"], "gateway_stopped");
    home.stop().await;
}
