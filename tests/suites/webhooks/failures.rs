//! Receivers that fail, are slow, are gone, redirect, or close early.

use std::time::Duration;

use serde_json::json;

use crate::{
    create_at, deliveries, ended, gateway_with, id, post,
    receiver::{Receiver, Reply, closing_server},
    send_test, until_state,
};

#[tokio::test]
async fn failed_delivery_is_tried_again_with_the_same_id() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    receiver.reply(&[Reply::Status(500), Reply::Late(Duration::from_secs(4), 200), Reply::Status(503)]);
    let webhook = create_at(&client, &receiver.url).await;
    let event = send_test(&client, &webhook).await;
    let delivery = ended(&client, &webhook, &event).await;
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("delivered"), &json!(4)), "{delivery}");
    let statuses: Vec<_> = delivery["tries"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [&json!(500), &json!(null), &json!(503), &json!(204)], "{delivery}");
    assert!(delivery["tries"][1]["result"].as_str().unwrap().contains("timed out"), "{delivery}");
    let received = receiver.received();
    assert!(received.iter().all(|one| one.header("webhook-id") == event), "{received:?}");
    home.stop().await;
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    receiver.reply(&[Reply::With(429, "retry-after", "2".to_owned())]);
    let webhook = create_at(&client, &receiver.url).await;
    let event = send_test(&client, &webhook).await;
    let delivery = ended(&client, &webhook, &event).await;
    let at =
        |number: usize| delivery["tries"][number]["at"].as_str().unwrap().parse::<hearth_domain::Timestamp>();
    let waited = at(0).unwrap().until(at(1).unwrap());
    assert!(waited >= Duration::from_millis(1900), "{waited:?}: {delivery}");
    home.stop().await;
}

#[tokio::test]
async fn webhook_is_paused_after_five_tries_and_its_owner_notified() {
    let home = gateway_with("").await;
    let (bad, good) = (Receiver::start().await, Receiver::start().await);
    let client = home.client();
    bad.reply(&vec![Reply::Status(500); 5]);
    let notified = crate::create(&client, json!({"events": ["webhook.paused"], "url": good.url})).await;
    let webhook = create_at(&client, &bad.url).await;
    let event = send_test(&client, &webhook).await;
    let paused = until_state(&client, &webhook, "paused").await;
    assert!(paused["state_reason"].as_str().unwrap().contains("5 tries"), "{paused}");
    assert_eq!(bad.received().len(), 5);
    let notice = good.wait_for(1).await.remove(0).json();
    assert_eq!((&notice["type"], &notice["subject"]), (&json!("webhook.paused"), &json!(id(&webhook))));
    assert_eq!(notice["data"]["state"], "paused");
    let delivery = ended(&client, &webhook, &event).await;
    assert_eq!(delivery["state"], "failed", "{delivery}");

    // Its test is refused; what happens meanwhile waits, and comes after it is resumed.
    post(&client, &webhook, "test", json!({})).await.error(409, "conflict");
    let resumed = post(&client, &webhook, "resume", json!({})).await.json();
    assert_eq!((&resumed["state"], &resumed["state_reason"]), (&json!("active"), &json!(null)));
    let replayed = post(&client, &webhook, "replay", json!({})).await;
    assert_eq!((replayed.status.as_u16(), &replayed.json()["replayed"]), (202, &json!(1)));
    assert_eq!(bad.wait_for(6).await[5].header("webhook-id"), event);
    assert_eq!(ended(&client, &webhook, &event).await["state"], "delivered");
    assert_eq!(deliveries(&client, &notified).await.len(), 1);
    home.stop().await;
}

#[tokio::test]
async fn answer_410_disables_at_once() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    receiver.reply(&[Reply::Status(410)]);
    let webhook = create_at(&client, &receiver.url).await;
    send_test(&client, &webhook).await;
    let disabled = until_state(&client, &webhook, "disabled").await;
    assert!(disabled["state_reason"].as_str().unwrap().contains("410"), "{disabled}");
    assert_eq!(receiver.received().len(), 1);
    home.stop().await;
}

#[tokio::test]
async fn redirect_is_a_failure_and_is_not_followed() {
    let home = gateway_with("").await;
    let (receiver, target) = (Receiver::start().await, Receiver::start().await);
    let client = home.client();
    receiver.reply(&[Reply::With(307, "location", target.url.clone())]);
    let webhook = create_at(&client, &receiver.url).await;
    let event = send_test(&client, &webhook).await;
    let delivery = ended(&client, &webhook, &event).await;
    let first = &delivery["tries"][0];
    assert_eq!(first["status"], 307, "{delivery}");
    assert!(first["result"].as_str().unwrap().contains("not followed"), "{delivery}");
    assert_eq!(target.received().len(), 0);
    home.stop().await;
}

#[tokio::test]
async fn receiver_that_closes_early_is_tried_again() {
    let home = gateway_with("").await;
    let client = home.client();
    let (url, connections) = closing_server(2).await;
    let webhook = create_at(&client, &url).await;
    let event = send_test(&client, &webhook).await;
    let delivery = ended(&client, &webhook, &event).await;
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("delivered"), &json!(3)), "{delivery}");
    assert_eq!(*connections.lock().unwrap(), 3);
    home.stop().await;
}

#[tokio::test]
async fn private_address_is_refused_when_it_is_named_unless_the_operator_allows_it() {
    let home = hearth_tests::Setup::new().arguments(&["--no-node"]).start().await;
    let client = home.client();
    for url in ["http://127.0.0.1:9/", "https://169.254.169.254/", "https://localhost/", "https://[::1]/"] {
        let answer = client.post("/v1/webhooks", &json!({"events": ["*"], "url": url})).await;
        assert_eq!(answer.error(400, "invalid_request")["param"], "url", "{url}");
    }
    home.stop().await;
}
