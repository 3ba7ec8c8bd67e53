//! Queued requests: their position, and responses before the run has ended.

use hearth_tests::{Answer, Client, Events, Home, Setup, cancel_run, chat_request, endless_run, eventually};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::{capital_of_france, with};

/// Starts a home whose model serves one request at a time and queues one.
async fn home_with_one_slot() -> Home {
    Setup::new().settings("[node]\nslots = 1\nqueue_depth = 1\n").start().await
}

/// Takes the only slot.
async fn occupy(client: &Client) -> Events {
    let mut stream = client.stream("/v1/generate", &endless_run()).await;
    stream.next_named("delta").await;
    stream
}

/// Sends a request, and reads no more than the head of its answer.
async fn head(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

fn position(response: &Response) -> Option<&str> {
    response.headers().get("x-queue-position").map(|value| value.to_str().unwrap())
}

async fn accepted(client: &Client, path: &str, body: &Value) -> Answer {
    let request = client.request(Method::POST, path).header("prefer", "wait=5, respond-async").json(body);
    let answer = client.send(request).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("preference-applied"), "respond-async");
    assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
    answer
}

async fn until_ended(client: &Client, path: &str) -> Value {
    eventually("the end of the request", async || {
        let status = client.get(path).await.json();
        (status["status"] == "completed").then_some(status)
    })
    .await
}

#[tokio::test]
async fn queued_stream_has_its_position_in_a_header() {
    let home = home_with_one_slot().await;
    let client = home.client();
    let running = occupy(&client).await;
    for (path, body) in
        [("/v1/generate", capital_of_france()), ("/v1/chat/completions", chat_request(&home.model, "Hello!"))]
    {
        let request = client.request(Method::POST, path).json(&with(body, "stream", true));
        let waiting = head(request).await;
        assert_eq!((waiting.status().as_u16(), position(&waiting)), (200, Some("1")), "{path}");
        let id = waiting.headers()["x-request-id"].to_str().unwrap().to_owned();
        cancel_run(&client, &id).await;
    }
    cancel_run(&client, &running.request_id).await;
    running.rest().await;
    let free = client.post("/v1/generate", &capital_of_france()).await;
    assert_eq!((free.status.as_u16(), free.header("x-queue-position")), (200, ""));
    home.stop().await;
}

#[tokio::test]
async fn queued_document_has_its_position_in_a_header() {
    let home = home_with_one_slot().await;
    let client = home.client();
    let running = occupy(&client).await;
    let patient = client.clone();
    let waiting = tokio::spawn(async move { patient.post("/v1/generate", &capital_of_france()).await });
    let status = format!("/v1/models/{}/status", home.model);
    eventually("the second request in the queue", async || {
        (client.get(&status).await.json()["runtime_status"]["queue_depth"] == 1).then_some(())
    })
    .await;
    cancel_run(&client, &running.request_id).await;
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("x-queue-position")), (200, "1"), "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn full_queue_is_refused_with_retry_after() {
    let home = home_with_one_slot().await;
    let client = home.client();
    let running = occupy(&client).await;
    let waiting = accepted(&client, "/v1/generate", &capital_of_france()).await.json();
    let refused = client.post("/v1/generate", &capital_of_france()).await;
    let error = refused.error(429, "queue_full");
    assert_eq!((&error["retryable"], refused.header("retry-after")), (&json!(true), "1"));
    cancel_run(&client, waiting["request_id"].as_str().unwrap()).await;
    cancel_run(&client, &running.request_id).await;
    home.stop().await;
}

#[tokio::test]
async fn respond_async_returns_202_and_stores_the_result() {
    let home = home_with_one_slot().await;
    let client = home.client();
    let running = occupy(&client).await;
    let body = with(capital_of_france(), "stream", true);
    let answer = accepted(&client, "/v1/generate", &body).await;
    let ticket = answer.json();
    assert_eq!((&ticket["status"], &ticket["queue_position"]), (&json!("queued"), &json!(1)));
    assert_eq!(answer.header("x-queue-position"), "1");
    let path = ticket["status_url"].as_str().unwrap();
    // The record follows the run by a moment.
    eventually("the place in the record", async || {
        let status = client.get(path).await.json();
        (status["status"] == "queued" && status["queue_position"] == 1).then_some(())
    })
    .await;

    cancel_run(&client, &running.request_id).await;
    let ended = until_ended(&client, path).await;
    assert!(ended["output"]["text"].as_str().unwrap().contains("Paris"), "{ended}");
    let events = client.request(Method::GET, ticket["events_url"].as_str().unwrap());
    let complete = client.events(events).await.next_named("complete").await.data;
    assert_eq!(complete["output"], ended["output"]);
    home.stop().await;
}

#[tokio::test]
async fn respond_async_works_for_chat_completions() {
    let home = Home::start().await;
    let client = home.client();
    let ticket = accepted(&client, "/v1/chat/completions", &chat_request(&home.model, "Hello!")).await.json();
    assert_eq!(ticket["queue_position"], json!(null), "{ticket}");
    let ended = until_ended(&client, ticket["status_url"].as_str().unwrap()).await;
    assert!(!ended["output"]["text"].as_str().unwrap().is_empty(), "{ended}");
    // A request that can't start is refused at once.
    let request = client.request(Method::POST, "/v1/generate").header("prefer", "respond-async");
    let answer = client.send(request.json(&with(capital_of_france(), "model", "no-such-model"))).await;
    answer.error(404, "model_not_found");
    home.stop().await;
}
