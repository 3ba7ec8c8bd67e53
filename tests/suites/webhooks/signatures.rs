//! Signatures, the envelope of events, and rotations of secrets.

use serde_json::json;

use crate::{create, create_at, gateway, gateway_with, post, receiver::Receiver, run, send_test};

#[tokio::test]
async fn end_of_a_run_comes_signed_in_the_envelope_of_cloud_events() {
    let (home, receiver) = (gateway().await, Receiver::start().await);
    let body = json!({
        "events": ["run.*"], "url": receiver.url, "headers": {"Authorization": "Bearer of-the-receiver"},
    });
    let webhook = create(&home.client(), body).await;
    assert_eq!(webhook["headers"], json!(["authorization"]));
    let run = run(&home.client()).await;
    let received = receiver.wait_for(1).await.remove(0);
    let event = received.json();
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("run.completed")), "{event}");
    assert_eq!((&event["subject"], &event["data"]["id"]), (&json!(run), &json!(run)), "{event}");
    assert_eq!(event["data"]["model"], home.model);
    assert_eq!(event["id"], received.header("webhook-id"));
    assert_eq!(received.header("content-type"), "application/cloudevents+json");
    assert_eq!(received.header("authorization"), "Bearer of-the-receiver");
    assert!(received.is_signed_by(webhook["secret"].as_str().unwrap()), "{received:?}");
    // Neither the prompt nor the answer is in it.
    assert!(!String::from_utf8_lossy(&received.body).contains("Hello"), "{event}");
    home.stop().await;
}

#[tokio::test]
async fn both_secrets_sign_during_a_rotation_and_then_the_new_one_alone() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    let webhook = create_at(&client, &receiver.url).await;
    let first = webhook["secret"].as_str().unwrap();
    let rotated = post(&client, &webhook, "rotate", json!({"overlap_seconds": 600})).await.json();
    let second = rotated["secret"].as_str().unwrap();
    assert_ne!(first, second);
    assert!(rotated["previous_secret_until"].is_string(), "{rotated}");
    send_test(&client, &webhook).await;
    let received = receiver.wait_for(1).await.remove(0);
    assert_eq!(received.header("webhook-signature").split(' ').count(), 2);
    assert!(received.is_signed_by(first) && received.is_signed_by(second), "{received:?}");

    let rotated = post(&client, &webhook, "rotate", json!({"overlap_seconds": 0})).await.json();
    let third = rotated["secret"].as_str().unwrap();
    send_test(&client, &webhook).await;
    let received = receiver.wait_for(2).await.remove(1);
    assert!(received.is_signed_by(third) && !received.is_signed_by(second), "{received:?}");
    assert_eq!(received.header("webhook-signature").split(' ').count(), 1);
    home.stop().await;
}

#[tokio::test]
async fn secret_of_the_client_is_taken_and_no_secret_is_listed_or_logged() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = json!({
        "events": ["*"], "url": format!("{}?token=of-the-query", receiver.url), "secret": secret,
        "headers": {"x-key": "of-the-header"},
    });
    let webhook = create(&client, body).await;
    assert_eq!(webhook["secret"], secret);
    send_test(&client, &webhook).await;
    assert!(receiver.wait_for(1).await[0].is_signed_by(secret));
    let list = String::from_utf8(client.get("/v1/webhooks").await.body.to_vec()).unwrap();
    let data = home.data();
    home.stop().await;
    let mut texts = vec![list];
    for file in std::fs::read_dir(data.join("logs")).into_iter().flatten().flatten() {
        texts.push(std::fs::read_to_string(file.path()).unwrap_or_default());
    }
    for secret in [&secret["whsec_".len()..], "of-the-query", "of-the-header"] {
        assert!(texts.iter().all(|text| !text.contains(secret)), "{secret}");
    }
}
