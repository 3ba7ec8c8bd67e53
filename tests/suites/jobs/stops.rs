//! Jobs in progress that end with their time, or whose process stops.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{in_state, job_with, submit, vendor::Vendor};

#[tokio::test]
async fn job_in_progress_ends_when_its_time_is_over() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let began = Instant::now();
    let id = submit(&client, &job_with("wait", &json!({"expires_after_seconds": 2}))).await;
    vendor.has_received(1).await;
    let ended = in_state(&client, &id, "expired").await;
    // The sweep looks each half minute.
    let took = began.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(15)).contains(&took), "{took:?}: {ended}");
    assert_eq!(ended["error"]["code"], "timed_out", "{ended}");
    // Its request was stopped.
    let request = ended["work"]["attempts"][0]["request_id"].as_str().unwrap();
    let stopped = hearth_tests::eventually("the end of the request", async || {
        let request = client.get(&format!("/v1/requests/{request}")).await.json();
        (request["status"] != "running" && request["status"] != "queued").then_some(request)
    });
    assert_eq!(stopped.await["status"], "cancelled");
    home.stop().await;
}

#[tokio::test]
async fn analysis_in_progress_at_a_stop_costs_no_attempt() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    // The vendor repeats the prompt, which fits the schema.
    let data = json!({"answer": "wait"});
    let schema =
        json!({"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]});
    let input = json!({"prompt": data.to_string(), "schema": schema, "options": {"model": "vendor:big"}});
    let id = submit(&home.client(), &json!({"kind": "analyze", "input": input, "max_attempts": 1})).await;
    vendor.has_received(1).await;
    let home = home.restart().await;
    vendor.open();
    let ended = in_state(&home.client(), &id, "completed").await;
    assert_eq!(ended["work"]["result"]["data"], data, "{ended}");
    let attempts = ended["work"]["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["error"]), (1, &Value::Null), "{ended}");
    home.stop().await;
}
