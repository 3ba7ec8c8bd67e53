//! Requests of batches that wait: for a rate, for the night, for idle nodes, for a model within a price.

use std::time::Duration;

use hearth_domain::{JobId, Timestamp};
use hearth_tests::{Client, Cloud, Home, Setup, WORKER, endless_run, eventually};
use lambda_emulator::Placement;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{CHAT, create, ended, hours, questions, results, vendor::Vendor};

async fn set_limits(home: &Home, limits: &Value) {
    let client = home.client();
    let organisations = client.get("/v1/organisations").await.json();
    let id = organisations["organisations"][0]["id"].as_str().unwrap().to_owned();
    let request = client.request(Method::PUT, &format!("/v1/limits/organisation/{id}")).json(limits);
    let answer = client.send(request).await;
    assert!(answer.status.is_success(), "{answer:?}");
}

/// Waits until a batch waits for something, and returns what.
async fn waits_for(home: &Home, path: &str) -> String {
    eventually("a batch that waits", async || {
        home.client().get(path).await.json()["waits_for"].as_str().map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn requests_above_a_rate_wait_for_it() {
    let vendor = Vendor::start(Duration::ZERO).await;
    let home = vendor.home("").await;
    set_limits(&home, &json!({"requests_per_minute": 20})).await;
    let path = create(&home.client(), &questions("rig:big", 30), CHAT, &json!({})).await;
    assert_eq!(waits_for(&home, &path).await, "rate_limited");
    set_limits(&home, &json!({"requests_per_minute": 1000})).await;
    let batch = eventually("the end of the batch", async || {
        let batch = home.client().get(&path).await.json();
        (batch["status"] == "completed").then_some(batch)
    })
    .await;
    assert_eq!(batch["request_counts"], json!({"total": 30, "completed": 30, "failed": 0}));
    assert_eq!((vendor.count(), &batch["waits_for"]), (30, &Value::Null));
    home.stop().await;
}

#[tokio::test]
async fn spent_budget_fails_the_rest_with_its_error() {
    let vendor = Vendor::start(Duration::ZERO).await;
    let home = vendor.home("[batches]\nconcurrency = 1").await;
    set_limits(&home, &json!({"tokens_per_day": 100})).await;
    let path = create(&home.client(), &questions("rig:big", 40), CHAT, &json!({})).await;
    let batch = ended(&home.client(), &path).await;
    let counts = &batch["request_counts"];
    assert_eq!(batch["status"], "completed");
    assert!(counts["completed"].as_u64().unwrap() > 0 && counts["failed"].as_u64().unwrap() > 0, "{counts}");
    for result in results(&home.client(), &batch).await.values() {
        let response = &result["response"];
        let is_answer = response["status_code"] == 200;
        assert!(is_answer || response["body"]["error"]["code"] == "quota_exceeded", "{result}");
    }
    home.stop().await;
}

#[tokio::test]
async fn batch_of_the_night_waits_for_its_hours_and_is_cancelled_at_once() {
    let night = hours(720, 722);
    let home = Setup::new().settings(&format!("[batches]\nnight = '{night}'")).start().await;
    let client = home.client();
    let path = create(&client, &questions("auto", 3), CHAT, &json!({"when": "night"})).await;
    assert_eq!(waits_for(&home, &path).await, "night");
    assert_eq!(client.get("/v1/requests").await.json()["requests"], json!([]));
    assert_eq!(client.post(&format!("{path}/cancel"), &json!({})).await.status, 200);
    let batch = ended(&client, &path).await;
    assert_eq!((&batch["status"], results(&client, &batch).await.len()), (&json!("cancelled"), 3));
    home.stop().await;

    let night = hours(-60, 60);
    let home = Setup::new().settings(&format!("[batches]\nnight = '{night}'")).start().await;
    let path = create(&home.client(), &questions("auto", 3), CHAT, &json!({"when": "night"})).await;
    assert_eq!(ended(&home.client(), &path).await["request_counts"]["completed"], 3);
    home.stop().await;
}

#[tokio::test]
async fn idle_batch_waits_while_the_node_works_for_somebody() {
    let home = Home::start().await;
    let client = home.client();
    let mut stream = client.stream("/v1/generate", &endless_run()).await;
    stream.next_named("delta").await;
    let path = create(&client, &questions("auto", 3), CHAT, &json!({"when": "idle"})).await;
    assert_eq!(waits_for(&home, &path).await, "idle");
    hearth_tests::cancel_run(&client, &stream.request_id).await;
    assert_eq!(ended(&client, &path).await["request_counts"]["completed"], 3);
    home.stop().await;
}

#[tokio::test]
async fn requests_wait_for_a_model_within_the_price() {
    let vendor = Vendor::start(Duration::ZERO).await;
    // The price isn't known, so no price allows it.
    let home = vendor.home_with_node().await;
    let client = home.client();
    let path = create(&client, &questions("rig:big", 2), CHAT, &json!({"max_price": 1.5})).await;
    waits_for(&home, &path).await;
    assert_eq!((client.get(&path).await.json()["max_price"].as_f64(), vendor.count()), (Some(1.5), 0));
    assert_eq!(client.post(&format!("{path}/cancel"), &json!({})).await.status, 200);
    ended(&client, &path).await;
    // Nodes are free.
    let path = create(&client, &questions("auto", 2), CHAT, &json!({"max_price": 0})).await;
    assert_eq!(ended(&client, &path).await["request_counts"]["completed"], 2);
    home.stop().await;
}

#[tokio::test]
async fn worker_looks_at_a_batch_that_waits_for_a_node_each_minute() {
    let cloud = Cloud::start_without_node().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let worker = cloud.function(WORKER).await;
    let path = create(&client, &questions("auto", 3), CHAT, &json!({"when": "idle"})).await;
    cloud.work(&worker).await;
    let batch = client.get(&path).await.json();
    assert_eq!(batch["waits_for"], "node", "{batch}");
    let job: JobId = batch["job_id"].as_str().unwrap().parse().unwrap();
    let work = cloud.store().jobs().get(job).await.unwrap().unwrap().work.unwrap();
    let wait = Timestamp::now().until(work.start_at);
    assert!((45..=60).contains(&wait.as_secs()), "{wait:?}");
}
