//! OpenAI's responses over a WebSocket at home.

use hearth_tests::{Home, Socket, eventually};
use serde_json::{Value, json};

async fn open(home: &Home) -> Socket {
    Socket::open_as(&format!("{}/v1/responses", home.url), &home.token).await
}

fn create(model: &str, more: &Value) -> Value {
    let mut message = json!({"type": "response.create", "model": model, "input": "Hi", "temperature": 0});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

/// The events of a response, to its last.
async fn events(socket: &mut Socket) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = socket.next().await;
        let kind = event["type"].as_str().unwrap().to_owned();
        events.push(event);
        if matches!(kind.as_str(), "response.completed" | "response.incomplete" | "response.failed" | "error")
        {
            return events;
        }
    }
}

#[tokio::test]
async fn responses_over_a_socket_continue_one_another_in_memory() {
    let home = Home::start().await;
    let mut socket = open(&home).await;
    let question = json!({"input": "What is the capital of France?", "store": false});
    socket.send(&create(&home.model, &question)).await;
    let first = events(&mut socket).await;
    let numbers: Vec<u64> = first.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..first.len() as u64).collect::<Vec<_>>());
    let response = &first.last().unwrap()["response"];
    assert_eq!(response["status"], "completed", "{response}");
    assert!(response["output"][0]["content"][0]["text"].as_str().unwrap().contains("Paris"), "{response}");
    // It isn't stored, and is continued by the same socket alone.
    let next = create(&home.model, &json!({"previous_response_id": response["id"], "store": false}));
    socket.send(&next).await;
    let second = events(&mut socket).await.pop().unwrap()["response"].clone();
    assert!(
        second["usage"]["input_tokens"].as_u64() > response["usage"]["input_tokens"].as_u64(),
        "{second}"
    );
    let mut other = open(&home).await;
    other.send(&next).await;
    let error = events(&mut other).await.pop().unwrap();
    assert_eq!(
        (&error["status"], &error["error"]["code"]),
        (&json!(404), &json!("previous_response_not_found"))
    );
    // An error ends no socket.
    other.send(&create(&home.model, &json!({"background": true}))).await;
    assert_eq!(events(&mut other).await.pop().unwrap()["error"]["param"], "background");
    other.send(&create(&home.model, &json!({}))).await;
    assert_eq!(events(&mut other).await.pop().unwrap()["response"]["status"], "completed");
    home.stop().await;
}

#[tokio::test]
async fn messages_are_served_in_turn_and_a_closed_socket_stops_its_run() {
    let home = Home::start().await;
    let mut socket = open(&home).await;
    let endless = json!({"ignore_eos": true, "max_output_tokens": 3500});
    socket.send(&create(&home.model, &json!({"max_output_tokens": 5}))).await;
    socket.send(&create(&home.model, &endless)).await;
    let first = events(&mut socket).await.pop().unwrap()["response"]["id"].clone();
    let second = socket.next().await["response"]["id"].as_str().unwrap().to_owned();
    assert_ne!(first, second.as_str());
    while socket.next().await["type"] != "response.output_text.delta" {}
    drop(socket);
    let client = home.client();
    eventually("the end of the run", async || {
        let run = client.get(&format!("/v1/requests/{second}")).await.json();
        (run["status"] == "cancelled").then_some(())
    })
    .await;
    home.stop().await;
}

#[tokio::test]
async fn message_without_room_behind_the_run_in_progress_is_answered_with_an_error() {
    let home = Home::start().await;
    let mut socket = open(&home).await;
    let endless = json!({"ignore_eos": true, "max_output_tokens": 3500});
    socket.send(&create(&home.model, &endless)).await;
    while socket.next().await["type"] != "response.output_text.delta" {}
    // Each is within the limit of a message, and the second finds no room.
    let large = create(&home.model, &json!({"metadata": {"a": "x".repeat(1_200_000)}}));
    socket.send(&large).await;
    socket.send(&large).await;
    let error = socket.until("error").await.pop().unwrap();
    assert_eq!((&error["status"], &error["error"]["code"]), (&json!(429), &json!("rate_limited")), "{error}");
    // The run goes on.
    assert_eq!(socket.next().await["type"], "response.output_text.delta");
    drop(socket);
    home.stop().await;
}

#[tokio::test]
async fn socket_for_responses_needs_a_token_and_an_upgrade() {
    let home = Home::start().await;
    let url = format!("{}/v1/responses", home.url);
    let refused = Socket::open(&url, &[("authorization", "Bearer hth_wrong")]).await;
    assert_eq!(refused.unwrap_err(), 401);
    home.client().get("/v1/responses").await.error(400, "invalid_request");
    home.stop().await;
}
