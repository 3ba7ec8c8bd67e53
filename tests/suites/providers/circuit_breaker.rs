//! The circuit breaker: which failures count, which models serve meanwhile, and how a circuit closes.

use hearth_tests::{Client, Home, Reply, Upstream};
use serde_json::{Value, json};

use crate::{ANSWER_TEXT, answer, chat, failure, with};

/// Attempts of a request before it fails.
const TRIES: usize = 3;

/// Lets `times` requests to `model` fail at `upstream`, each with all its attempts.
async fn fail(client: &Client, upstream: &Upstream, model: &str, times: usize) {
    for _ in 0..times {
        (0..TRIES).for_each(|_| upstream.reply(failure(500, "oops")));
        client.post("/v1/chat/completions", &chat(model)).await.error(502, "provider_error");
    }
}

async fn unavailable(client: &Client) -> Value {
    client.get("/v1/providers").await.json()["providers"][0]["unavailable"].clone()
}

/// The metric `hearth_provider_state` of `rig0`.
async fn state(home: &Home) -> String {
    let metrics = home.client().get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let line = text.lines().find(|line| line.starts_with("hearth_provider_state{provider=\"rig0\"}"));
    line.and_then(|line| line.split(' ').nth(1)).unwrap_or("none").to_owned()
}

#[tokio::test]
async fn one_failed_request_opens_no_circuit() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    fail(&client, &upstream, "big", 1).await;
    assert_eq!(upstream.received().len(), TRIES);
    assert_eq!(unavailable(&client).await, json!([]));
    upstream.reply(answer());
    let response = client.post("/v1/chat/completions", &chat("big")).await.json();
    assert_eq!(response["choices"][0]["message"]["content"], ANSWER_TEXT, "{response}");
    home.stop().await;
}

#[tokio::test]
async fn model_without_alternative_is_used_while_its_circuit_is_open() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    assert_eq!(state(&home).await, "0");
    fail(&client, &upstream, "big", 3).await;
    let list = unavailable(&client).await;
    assert_eq!((&list[0]["model"], &list[0]["state"]), (&json!("big"), &json!("open")), "{list}");
    assert!((1..=30).contains(&list[0]["retry_after_seconds"].as_u64().unwrap()), "{list}");
    assert_eq!(state(&home).await, "2");
    let ready = client.get("/ready").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (200, &json!("degraded")), "{ready:?}");
    assert_eq!(ready.json()["providers"]["rig0"]["state"], "open", "{ready:?}");
    // A success closes the circuit.
    upstream.reply(answer());
    let response = client.post("/v1/chat/completions", &chat("big")).await.json();
    assert_eq!(response["choices"][0]["message"]["content"], ANSWER_TEXT, "{response}");
    assert_eq!((unavailable(&client).await, state(&home).await.as_str()), (json!([]), "0"));
    home.stop().await;
}

#[tokio::test]
async fn request_errors_open_no_circuit() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    for status in [400, 404, 413, 422].repeat(6) {
        upstream.reply(failure(status, "bad"));
        let refused = client.post("/v1/chat/completions", &chat("big")).await;
        assert!(refused.status.is_client_error(), "{refused:?}");
    }
    assert_eq!((unavailable(&client).await, state(&home).await.as_str()), (json!([]), "0"));
    home.stop().await;
}

#[tokio::test]
async fn streams_that_break_off_open_the_circuit() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    let begun = crate::chunk(json!({"content": "Once"}), None);
    for _ in 0..3 {
        upstream.reply(Reply::begun(std::slice::from_ref(&begun)).then_break());
        client.post("/v1/chat/completions", &chat("big")).await.error(502, "provider_error");
    }
    assert_eq!(unavailable(&client).await[0]["state"], "open");
    home.stop().await;
}

#[tokio::test]
async fn fallback_serves_while_a_circuit_is_open_and_vice_versa() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let home = with(&[&first, &second], "[fallbacks]\n'rig0:big' = ['rig1:big']").await;
    let client = home.client();
    let ask = async || {
        let body = json!({"model": "rig0:big", "input": {"prompt": "Hi"}});
        client.post("/v1/generate", &body).await.json()
    };
    for _ in 0..3 {
        (0..TRIES).for_each(|_| first.reply(failure(500, "oops")));
        second.reply(answer());
        assert_eq!(ask().await["selection"]["selected_provider"], "rig1");
    }
    let count = first.received().len();
    second.reply(answer());
    let response = ask().await;
    let selection = &response["selection"];
    assert_eq!(
        (&selection["selected_provider"], &selection["fallback_reason"]),
        (&json!("rig1"), &json!("provider_error")),
        "{response}"
    );
    assert_eq!(first.received().len(), count, "the first one received a request");

    second.reply(failure(401, "invalid_api_key"));
    first.reply(answer());
    let response = ask().await;
    assert_eq!(response["selection"]["selected_provider"], "rig0", "{response}");
    assert_eq!(response["selection"]["fallback_used"], false, "{response}");
    home.stop().await;
}
