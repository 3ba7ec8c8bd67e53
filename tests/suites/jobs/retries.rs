//! Jobs that are submitted or retried more than once.

use hearth_store::database::{Query, Sort};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{get, in_state, job, job_with, submit, vendor::Vendor};

#[tokio::test]
async fn repeated_retry_returns_the_first_new_job() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let id = submit(&client, &job("once more")).await;
    in_state(&client, &id, "completed").await;
    let retry = async |id: &str| {
        let answer = client.post(&format!("/v1/jobs/{id}/retry"), &json!({})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = tokio::join!(retry(&id), retry(&id));
    assert_eq!(first, second);
    in_state(&client, &first, "completed").await;
    assert_eq!(retry(&id).await, first);
    assert_eq!(get(&client, &id).await["work"]["replayed_by"], first);
    let third = retry(&first).await;
    assert_ne!(third, first);
    in_state(&client, &third, "completed").await;
    assert_eq!(vendor.counts()["once more"], 3);
    home.stop().await;
}

#[tokio::test]
async fn repeated_submission_adds_no_job_to_a_full_queue_and_no_webhook() {
    let vendor = Vendor::start().await;
    let home = vendor.home("[jobs]\nmax_queued = 1\n[webhooks]\nprivate_addresses = true").await;
    let client = home.client();
    client.send(client.request(Method::PUT, "/v1/job-pauses/generate")).await;
    let webhook = json!({"url": "http://127.0.0.1:9/hook", "headers": {"x-token": "a"}});
    let send = async |webhook: &Value| {
        let body = job_with("held", &json!({"webhook": webhook}));
        client.send(client.request(Method::POST, "/v1/jobs").header("idempotency-key", "k").json(&body)).await
    };
    let first = send(&webhook).await;
    assert_eq!(first.status, 202, "{first:?}");
    for _ in 0..3 {
        let again = send(&webhook).await;
        assert_eq!((again.status.as_u16(), &again.json()["id"]), (202, &first.json()["id"]));
    }
    for (field, value) in [
        ("url", json!("http://127.0.0.1:9/other")),
        ("events", json!(["job.completed"])),
        ("headers", json!({"x-other": "a"})),
        ("secret", json!(format!("whsec_{}", "YWFh".repeat(8)))),
    ] {
        let mut other = webhook.clone();
        other[field] = value;
        assert_eq!(send(&other).await.status, 409, "{field}");
    }
    assert_eq!(
        client.post("/v1/jobs", &job("one more")).await.error(429, "queue_full")["code"],
        "queue_full"
    );
    let organisation = client.get("/v1/organisations").await.json()["organisations"][0]["id"].clone();
    let hooks = format!("HOOKS#{}#INTERNAL", organisation.as_str().unwrap());
    let (home, count) = home
        .restart_after(async |store| {
            store.database().query(&Query::partition(hooks, Sort::All)).await.unwrap().items.len()
        })
        .await;
    assert_eq!(count, 1);
    home.stop().await;
}
