//! Changes of the stored configuration while providers serve requests.

use hearth_tests::{Client, Reply, Upstream, cancel_run};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{ANSWER_TEXT, answer, chat, chunk, failure, with};

/// Stores a configuration after the version `version`.
async fn put(client: &Client, version: u64, configuration: Value) {
    let body = json!({"version": version, "configuration": configuration});
    let stored = client.send(client.request(Method::PUT, "/v1/config").json(&body)).await;
    assert_eq!(stored.status, 200, "{stored:?}");
}

/// The settings of a provider at this address.
fn provider(upstream: &Upstream) -> Value {
    json!({"kind": "openai_compatible", "base_url": format!("{}/v1", upstream.url), "models": ["new"]})
}

#[tokio::test]
async fn stored_provider_serves_at_once_with_a_key_that_is_set_later() {
    let upstream = Upstream::start().await;
    let home = with(&[], "").await;
    let client = home.client();
    let groq = json!({"base_url": format!("{}/v1", upstream.url), "models": ["new"]});
    put(&client, 0, json!({"providers": {"groq": groq}})).await;
    client.post("/v1/chat/completions", &chat("groq:new")).await.error(502, "provider_auth");
    let key = client.request(Method::PUT, "/v1/providers/groq/key").json(&json!({"key": "sk-groq"}));
    assert_eq!(client.send(key).await.status, 204);
    upstream.reply(answer());
    let response = client.post("/v1/chat/completions", &chat("groq:new")).await.json();
    assert_eq!(response["choices"][0]["message"]["content"], ANSWER_TEXT, "{response}");
    put(&client, 1, json!({})).await;
    // The key alone configures the vendor, at its own address.
    let providers = client.get("/v1/providers").await.json();
    assert_eq!(providers["providers"][0]["models"], json!([]), "{providers}");
    home.stop().await;
}

#[tokio::test]
async fn stored_key_is_not_sent_to_another_address() {
    let (rightful, other) = (Upstream::start().await, Upstream::start().await);
    let home = with(&[], "").await;
    let client = home.client();
    put(&client, 0, json!({"providers": {"rig": provider(&rightful)}})).await;
    let set_key = async |key: &str| {
        let request = client.request(Method::PUT, "/v1/providers/rig/key").json(&json!({"key": key}));
        assert_eq!(client.send(request).await.status, 204);
    };
    set_key("sk-rightful").await;
    rightful.reply(answer());
    assert_eq!(client.post("/v1/chat/completions", &chat("rig:new")).await.status, 200);

    put(&client, 1, json!({"providers": {"rig": provider(&other)}})).await;
    let error = client.post("/v1/chat/completions", &chat("rig:new")).await.error(502, "provider_auth");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("another kind or address") && message.contains("hearth key set rig"), "{error}");
    assert_eq!(client.get("/v1/providers").await.json()["providers"][0]["configured"], false);
    client.get("/v1/models").await;
    assert!(other.received().is_empty(), "{:?}", other.received());

    // With a key of its own the address is called.
    set_key("sk-other").await;
    other.reply(answer());
    assert_eq!(client.post("/v1/chat/completions", &chat("rig:new")).await.status, 200);
    for request in other.received() {
        assert_eq!(request.headers["authorization"], "Bearer sk-other");
    }
    home.stop().await;
}

#[tokio::test]
async fn circuit_of_an_unchanged_provider_stays_open() {
    let (failing, other) = (Upstream::start().await, Upstream::start().await);
    let home = with(&[&failing], "").await;
    let client = home.client();
    for _ in 0..3 {
        (0..3).for_each(|_| failing.reply(failure(500, "oops")));
        client.post("/v1/chat/completions", &chat("big")).await.error(502, "provider_error");
    }
    let unavailable =
        async || client.get("/v1/providers").await.json()["providers"][0]["unavailable"].clone();
    assert_eq!(unavailable().await[0]["state"], "open");
    put(&client, 0, json!({"providers": {"rig9": provider(&other)}})).await;
    assert_eq!(unavailable().await[0]["state"], "open");
    // Another address is another provider.
    put(&client, 1, json!({"providers": {"rig0": provider(&other)}})).await;
    assert_eq!(unavailable().await, json!([]));
    home.stop().await;
}

#[tokio::test]
async fn request_in_progress_keeps_its_provider() {
    let (old, new) = (Upstream::start().await, Upstream::start().await);
    let home = with(&[], "").await;
    let client = home.client();
    put(&client, 0, json!({"aliases": {"fast": "rig:new"}, "providers": {"rig": provider(&old)}})).await;
    old.reply(Reply::begun(&[chunk(json!({"content": "Hello"}), None)]).then_silence());
    let request = json!({"model": "fast", "input": {"prompt": "Hi"}, "stream": true});
    let mut stream = client.stream("/v1/generate", &request).await;
    assert_eq!(stream.next_named("delta").await.text(), "Hello");
    put(&client, 1, json!({"aliases": {"fast": "rig:new"}, "providers": {"rig": provider(&new)}})).await;
    new.reply(answer());
    let response = client.post("/v1/chat/completions", &chat("fast")).await.json();
    assert_eq!(response["choices"][0]["message"]["content"], ANSWER_TEXT, "{response}");
    // The first run goes on at the first provider until it is stopped.
    cancel_run(&client, &stream.request_id).await;
    let end = stream.next_named("complete").await;
    assert_eq!(end.data["finish_reason"], "cancelled", "{end:?}");
    assert_eq!((old.received().len(), new.received().len()), (1, 1));
    home.stop().await;
}
