//! Deliveries that wait for a paused webhook, and those of a job that has ended.

use std::{collections::BTreeSet, time::Duration};

use hearth_domain::{EventId, JobId};
use hearth_store::{
    Store,
    webhooks::{DeliveryClaim, DeliveryRecord, DeliveryWorker, WebhookRecord},
};
use hearth_tests::{Home, delivery_record, eventually, operators_organisation};
use serde_json::{Value, json};

use crate::{
    create_at, deliveries, ended, gateway_with, post,
    receiver::{Receiver, Reply},
    send_test,
};

/// More lanes than several pages of the queue have.
const LANE_COUNT: usize = 1_050;
/// Time of a claim that lasts as long as the test.
const CLAIM_TTL: Duration = Duration::from_secs(3600);

/// The only webhook.
async fn stored_webhook(store: &Store) -> WebhookRecord {
    let organisation = operators_organisation(store).await;
    store.webhooks().of(organisation).await.unwrap().remove(0)
}

/// Stores a delivery in a lane of its own, without a job.
async fn store_delivery(store: &Store, webhook: &WebhookRecord, number: usize) -> EventId {
    let event = EventId::new();
    let payload = json!({"id": event}).to_string();
    let delivery = DeliveryRecord { payload, ..delivery_record(webhook, event, &format!("{number:016x}")) };
    assert!(store.deliveries().create(&delivery).await.unwrap());
    event
}

/// Waits until this number of jobs of deliveries has ended.
async fn ended_jobs(home: &Home, count: usize) {
    let (name, label) = ("hearth_jobs_ended_total{", "kind=\"delivery\"");
    eventually(&format!("the end of {count} jobs"), async || {
        let answer = home.client().get("/metrics").await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        (counts.sum::<usize>() >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn resume_delivers_the_events_of_all_lanes() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let webhook = create_at(&home.client(), &receiver.url).await;
    post(&home.client(), &webhook, "pause", json!({})).await;
    let (home, events) = home
        .restart_after(async |store| {
            let webhook = stored_webhook(store).await;
            let mut events = BTreeSet::new();
            for number in 0..LANE_COUNT {
                events.insert(store_delivery(store, &webhook, number).await.to_string());
            }
            events
        })
        .await;
    let client = home.client();
    assert_eq!(post(&client, &webhook, "resume", json!({})).await.json()["state"], "active");
    let mut received = Vec::new();
    for part in 1..=3 {
        received = receiver.wait_for(LANE_COUNT * part / 3).await;
    }
    let ids: BTreeSet<String> = received.iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, events);
    home.stop().await;
}

#[tokio::test]
async fn delivery_whose_next_try_falls_into_a_pause_comes_after_it() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    receiver.reply(&[Reply::With(503, "retry-after", "2".to_owned())]);
    let webhook = create_at(&client, &receiver.url).await;
    let event = send_test(&client, &webhook).await;
    eventually("a failed try", async || {
        let all = deliveries(&client, &webhook).await;
        all[0]["tries"].as_array().filter(|tries| tries.len() == 1).map(|_| ())
    })
    .await;
    post(&client, &webhook, "pause", json!({})).await;
    // The job of the delivery ends because of the pause.
    ended_jobs(&home, 1).await;
    post(&client, &webhook, "resume", json!({})).await;
    assert_eq!(receiver.wait_for(2).await[1].header("webhook-id"), event);
    assert_eq!(ended(&client, &webhook, &event).await["state"], "delivered");
    home.stop().await;
}

#[tokio::test]
async fn claim_of_a_job_that_has_ended_holds_no_delivery_up() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let webhook = create_at(&home.client(), &receiver.url).await;
    let (home, event) = home
        .restart_after(async |store| {
            let webhook = stored_webhook(store).await;
            let event = store_delivery(store, &webhook, 1).await;
            let dead = DeliveryWorker { job: JobId::new(), fence: 1 };
            let claim = store.deliveries().claim(webhook.id, event, dead, CLAIM_TTL).await.unwrap();
            assert!(matches!(claim, DeliveryClaim::Claimed(_)), "{claim:?}");
            event
        })
        .await;
    // An active webhook is resumed too.
    post(&home.client(), &webhook, "resume", json!({})).await;
    assert_eq!(receiver.wait_for(1).await[0].header("webhook-id"), event.to_string());
    home.stop().await;
}

#[tokio::test]
async fn failed_deliveries_of_a_paused_webhook_are_replayed_when_it_is_resumed() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    receiver.reply(&vec![Reply::Status(500); 5]);
    let webhook = create_at(&client, &receiver.url).await;
    let event = send_test(&client, &webhook).await;
    assert_eq!(ended(&client, &webhook, &event).await["state"], "failed");
    let replayed = post(&client, &webhook, &format!("deliveries/{event}/replay"), json!({})).await;
    assert_eq!((replayed.status.as_u16(), &replayed.json()["state"]), (202, &json!("pending")));
    // Not twice.
    let again = post(&client, &webhook, &format!("deliveries/{event}/replay"), json!({})).await;
    again.error(409, "conflict");
    let none: Value = post(&client, &webhook, "replay", json!({})).await.json();
    assert_eq!((&none["replayed"], &none["has_more"]), (&json!(0), &json!(false)));
    post(&client, &webhook, "resume", json!({})).await;
    assert_eq!(receiver.wait_for(6).await[5].header("webhook-id"), event);
    assert_eq!(ended(&client, &webhook, &event).await["state"], "delivered");
    home.stop().await;
}
