//! The order of jobs: priority, fairness between owners, and starts at a time.

use reqwest::Method;
use serde_json::json;

use crate::{in_state, job, job_with, submit, vendor::Vendor};

#[tokio::test]
async fn higher_priority_is_first() {
    let vendor = Vendor::start().await;
    let home = vendor.home("[jobs]\nconcurrency = 1").await;
    let client = home.client();
    client.send(client.request(Method::PUT, "/v1/job-pauses/generate")).await;
    let mut ids = Vec::new();
    for priority in ["low", "normal", "high"] {
        ids.push(submit(&client, &job_with(priority, &json!({"priority": priority}))).await);
    }
    client.delete("/v1/job-pauses/generate").await;
    for id in &ids {
        in_state(&client, id, "completed").await;
    }
    assert_eq!(vendor.prompts(), ["high", "normal", "low"]);
    home.stop().await;
}

#[tokio::test]
async fn owner_with_many_jobs_does_not_hold_up_another_one() {
    let vendor = Vendor::start().await;
    let home = vendor.home("[jobs]\nconcurrency = 1").await;
    let (home, stranger) = home.restart_with_a_stranger().await;
    let client = home.client();
    let stranger = client.with_token(Some(&stranger));
    client.send(client.request(Method::PUT, "/v1/job-pauses/generate?scope=gateway")).await;
    for number in 0..20 {
        submit(&client, &job(&format!("mine {number}"))).await;
    }
    let id = submit(&stranger, &job("other")).await;
    client.delete("/v1/job-pauses/generate?scope=gateway").await;
    in_state(&stranger, &id, "completed").await;
    vendor.has_received(3).await;
    let prompts = vendor.prompts();
    let place = prompts.iter().position(|prompt| prompt == "other").unwrap();
    assert!(place <= 1, "{prompts:?}");
    home.stop().await;
}

#[tokio::test]
async fn job_begins_at_its_time_after_a_restart() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let at = hearth_domain::Timestamp::now().plus(std::time::Duration::from_secs(3));
    let id = submit(&home.client(), &job_with("later", &json!({"not_before": at.to_string()}))).await;
    let home = home.crash_and_restart().await;
    let ended = in_state(&home.client(), &id, "completed").await;
    let began: hearth_domain::Timestamp =
        ended["work"]["attempts"][0]["started_at"].as_str().unwrap().parse().unwrap();
    assert!(began >= at, "{ended}");
    home.stop().await;
}

#[tokio::test]
async fn too_many_waiting_jobs_are_refused() {
    let vendor = Vendor::start().await;
    let home = vendor.home("[jobs]\nmax_queued = 3").await;
    let client = home.client();
    client.send(client.request(Method::PUT, "/v1/job-pauses/generate")).await;
    for number in 0..3 {
        submit(&client, &job(&format!("held {number}"))).await;
    }
    let refused = client.post("/v1/jobs", &job("one more")).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (429, &json!("queue_full")));
    home.stop().await;
}

#[tokio::test]
async fn jobs_above_a_rate_wait_for_it_and_lose_no_attempt() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let organisations = client.get("/v1/organisations").await.json();
    let organisation = organisations["organisations"][0]["id"].as_str().unwrap();
    let limits = client.request(Method::PUT, &format!("/v1/limits/organisation/{organisation}"));
    let limited = client.send(limits.json(&json!({"requests_per_minute": 20}))).await;
    assert!(limited.status.is_success(), "{limited:?}");
    let mut ids = Vec::new();
    for number in 0..24 {
        ids.push(submit(&client, &job(&format!("number {number}"))).await);
    }
    for id in &ids {
        let ended = in_state(&client, id, "completed").await;
        assert_eq!(ended["work"]["attempts"].as_array().map(Vec::len), Some(1), "{ended}");
    }
    assert_eq!(vendor.prompts().len(), 24);
    home.stop().await;
}
