//! Subscriptions of clients.

use hearth_tests::{Home, Socket, cancel_run, endless_run};
use serde_json::{Value, json};

async fn open(home: &Home) -> Socket {
    Socket::open_as(&format!("{}/v1/socket", home.url), &home.token).await
}

fn question(model: &str) -> Value {
    json!({"model": model, "input": {"prompt": "What is the capital of Japan?"}, "stream": false})
}

fn texts(messages: &[Value]) -> String {
    messages.iter().filter_map(|message| message["event"]["text"].as_str()).collect()
}

#[tokio::test]
async fn events_of_a_run_are_those_of_its_http_stream_and_resume_after_any() {
    let home = Home::start().await;
    let body = question(&home.model);
    let answer = home.client().post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.header("x-request-id").to_owned();
    let streamed = home.client().get(&format!("/v1/requests/{id}/events")).await;
    let streamed: Vec<Value> = String::from_utf8_lossy(&streamed.body)
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let mut socket = open(&home).await;
    socket.send(&json!({"type": "subscribe", "topic": "run", "id": id})).await;
    let messages = socket.until("unsubscribed").await;
    assert_eq!(messages[0], json!({"type": "subscribed", "topic": "run", "id": id}));
    let events: Vec<Value> =
        messages[1..messages.len() - 1].iter().map(|message| message["event"].clone()).collect();
    assert_eq!(events, streamed);
    let middle = messages[messages.len() / 2]["seq"].as_u64().unwrap();
    socket.send(&json!({"type": "subscribe", "topic": "run", "id": id, "after": middle})).await;
    let rest = socket.until("unsubscribed").await;
    let expected = messages.iter().filter(|message| message["seq"].as_u64().is_some_and(|seq| seq > middle));
    assert_eq!(rest[1..rest.len() - 1].iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    home.stop().await;
}

#[tokio::test]
async fn running_run_is_followed_to_its_end_and_a_subscription_ends_by_request() {
    let home = Home::start().await;
    let events = home.client().stream("/v1/generate", &endless_run()).await;
    let run = &events.request_id;
    let mut socket = open(&home).await;
    socket.send(&json!({"type": "subscribe", "topic": "queue", "id": run})).await;
    assert_eq!(socket.next().await["type"], "subscribed");
    socket.send(&json!({"type": "unsubscribe", "topic": "queue", "id": run})).await;
    socket.until("unsubscribed").await;
    socket.send(&json!({"type": "subscribe", "topic": "run", "id": run})).await;
    loop {
        let message = socket.next().await;
        if !texts(std::slice::from_ref(&message)).is_empty() {
            break;
        }
    }
    cancel_run(&home.client(), run).await;
    let last = socket.until("unsubscribed").await;
    let end = &last[last.len() - 2];
    assert_eq!((&end["type"], &end["topic"]), (&json!("event"), &json!("run")), "{end}");
    home.stop().await;
}

#[tokio::test]
async fn run_of_another_user_is_not_found() {
    let home = Home::start().await;
    let body = question(&home.model);
    let id = home.client().post("/v1/generate", &body).await.header("x-request-id").to_owned();
    let (home, stranger) = home.restart_with_a_stranger().await;
    let mut socket = Socket::open_as(&format!("{}/v1/socket", home.url), &stranger).await;
    socket.send(&json!({"type": "subscribe", "topic": "run", "id": id})).await;
    let messages = socket.until("unsubscribed").await;
    assert_eq!(messages[0]["error"]["code"], "not_found", "{messages:?}");
    home.stop().await;
}

#[tokio::test]
async fn states_of_models_are_sent_at_first_and_when_they_change() {
    let home = Home::start().await;
    let mut socket = open(&home).await;
    socket.send(&json!({"type": "subscribe", "topic": "models"})).await;
    assert_eq!(socket.next().await, json!({"type": "subscribed", "topic": "models"}));
    let first = socket.next().await;
    assert_eq!((&first["type"], &first["model"]), (&json!("model"), &json!(home.model)), "{first}");
    let events = home.client().stream("/v1/generate", &endless_run()).await;
    while socket.next().await["runtime_status"]["active"] != 1 {}
    cancel_run(&home.client(), &events.request_id).await;
    while socket.next().await["runtime_status"]["active"] != 0 {}
    home.stop().await;
}

#[tokio::test]
async fn message_that_cannot_be_read_is_answered() {
    let home = Home::start_with(&["--no-node"]).await;
    let mut socket = open(&home).await;
    for bad in [
        json!([]),
        json!({"type": "subscribe", "topic": "weather"}),
        json!({"type": "subscribe", "topic": "run"}),
    ] {
        socket.send(&bad).await;
        assert_eq!(socket.next().await["error"]["code"], "invalid_request", "{bad}");
    }
    home.stop().await;
}
