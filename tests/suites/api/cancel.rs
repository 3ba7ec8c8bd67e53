//! Stopping a run.

use hearth_tests::{Client, Events, Home, endless_run};
use reqwest::Method;
use serde_json::json;

use crate::capital_of_france;

/// A run in the middle of its answer.
async fn running(client: &Client) -> Events {
    let mut stream = client.stream("/v1/generate", &endless_run()).await;
    stream.next_named("delta").await;
    stream
}

#[tokio::test]
async fn cancelled_run_ends_its_stream_with_complete_and_done() {
    let home = Home::start().await;
    let client = home.client();
    let mut stream = running(&client).await;
    let path = format!("/v1/requests/{}", stream.request_id);

    let cancel = client.send(client.request(Method::POST, &format!("{path}/cancel"))).await;
    assert_eq!(cancel.status, 200, "{cancel:?}");
    assert_eq!(cancel.json()["cancelled"], true, "{cancel:?}");
    assert_eq!(cancel.json()["request_id"], stream.request_id.as_str());

    let complete = stream.next_named("complete").await.data;
    assert_eq!(complete["finish_reason"], "cancelled");
    let generated = complete["usage"]["completion_tokens"].as_u64().unwrap();
    assert!(generated > 0 && generated < 3500, "{complete}");
    assert_eq!(stream.next().await.unwrap().name(), "[DONE]");
    assert_eq!(stream.next().await, None);

    let status = client.get(&path).await.json();
    assert_eq!((&status["status"], &status["finish_reason"]), (&json!("cancelled"), &json!("cancelled")));
    assert_eq!(status["output"], complete["output"]);
    let again = client.send(client.request(Method::POST, &format!("{path}/cancel"))).await.json();
    assert_eq!((&again["cancelled"], &again["status"]), (&json!(false), &json!("cancelled")));
    home.stop().await;
}

#[tokio::test]
async fn delete_with_partial_cancels_and_returns_the_output() {
    let home = Home::start().await;
    let client = home.client();
    let mut stream = running(&client).await;
    let cancel = client.delete(&format!("/v1/requests/{}?partial=true", stream.request_id)).await;
    assert_eq!(cancel.status, 200, "{cancel:?}");
    assert_eq!(cancel.json()["cancelled"], true, "{cancel:?}");
    assert!(cancel.json()["output"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{cancel:?}");
    assert_eq!(stream.next_named("complete").await.data["finish_reason"], "cancelled");
    home.stop().await;
}

#[tokio::test]
async fn cancelling_a_run_keeps_others_running() {
    let home = Home::start().await;
    let client = home.client();
    let mut neighbour = running(&client).await;
    let stopped = running(&client).await;
    client.delete(&format!("/v1/requests/{}", stopped.request_id)).await;
    stopped.rest().await;
    let path = format!("/v1/requests/{}", neighbour.request_id);
    assert_eq!(client.get(&path).await.json()["status"], "running");
    neighbour.next_named("delta").await;
    client.delete(&path).await;
    home.stop().await;
}

#[tokio::test]
async fn cancelling_an_ended_run_changes_nothing() {
    let home = Home::start().await;
    let client = home.client();
    let run = client.post("/v1/generate", &capital_of_france()).await.json();
    let path = format!("/v1/requests/{}", run["request_id"].as_str().unwrap());
    let cancel = client.delete(&path).await.json();
    assert_eq!((&cancel["cancelled"], &cancel["status"]), (&json!(false), &json!("completed")));
    assert_eq!(client.get(&path).await.json()["output"], run["output"]);
    home.stop().await;
}

#[tokio::test]
async fn unknown_run_is_not_found() {
    let home = Home::start().await;
    let client = home.client();
    let path = "/v1/requests/req_01J9ZX5V2QH8N4T6W0C3M7K1RB";
    client.get(path).await.error(404, "not_found");
    client.get(&format!("{path}/events")).await.error(404, "not_found");
    client.delete(path).await.error(404, "not_found");
    client.get("/v1/requests/nonsense").await.error(404, "not_found");
    home.stop().await;
}
