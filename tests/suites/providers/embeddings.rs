//! Vectors by providers.

use hearth_tests::{Home, Reply, Setup, Upstream};
use serde_json::{Value, json};

use crate::{failure, with};

/// A `hearth up` with one provider of a kind, called `rig`, that has the model `text-embed`.
async fn of_kind(kind: &str, base_url: &str) -> Home {
    let settings = format!(
        "[providers.rig]\nkind = '{kind}'\nbase_url = '{base_url}'\napi_key = 'sk-rig'\nmodels = ['chat', 'text-embed']\n"
    );
    Setup::new().settings(&settings).without_node().start().await
}

fn list(vectors: &[(u32, [f32; 2])]) -> Reply {
    let data = vectors
        .iter()
        .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}));
    let usage = json!({"prompt_tokens": 7, "total_tokens": 7});
    Reply::json(
        200,
        &json!({"object": "list", "data": data.collect::<Vec<_>>(), "model": "x", "usage": usage}),
    )
}

fn vectors(answer: &Value) -> Vec<&Value> {
    answer["data"].as_array().into_iter().flatten().map(|entry| &entry["embedding"]).collect()
}

#[tokio::test]
async fn vectors_are_in_the_order_of_the_texts() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(list(&[(1, [0.0, 1.0]), (0, [1.0, 0.0])]));
    let request = json!({"model": "rig0:big", "input": ["a", "b"], "dimensions": 2, "user": "ada"});
    let answer = home.client().post("/v1/embeddings", &request).await;
    let id = answer.header("x-request-id").to_owned();
    let response = answer.json();
    assert_eq!(vectors(&response), [&json!([1.0, 0.0]), &json!([0.0, 1.0])], "{response}");
    assert_eq!((&response["usage"]["prompt_tokens"], &response["model"]), (&json!(7), &json!("big")));
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1/embeddings");
    assert_eq!(sent.headers["authorization"], "Bearer sk-rig");
    assert_eq!(sent.body, json!({"user": "ada", "model": "big", "input": ["a", "b"], "dimensions": 2}));

    // The record has no vectors.
    let record = home.client().get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!((&record["status"], &record["provider"]), (&json!("completed"), &json!("rig0")), "{record}");

    upstream.reply(list(&[(0, [1.0, 0.0])]));
    let request = json!({"model": "rig0:big", "input": "a", "encoding_format": "base64"});
    let response = home.client().post("/v1/embeddings", &request).await.json();
    assert_eq!(vectors(&response), [&json!("AACAPwAAAAA=")], "{response}");
    home.stop().await;
}

#[tokio::test]
async fn provider_embeds_if_no_node_can() {
    let upstream = Upstream::start().await;
    let home = of_kind("openai_compatible", &format!("{}/v1", upstream.url)).await;
    upstream.reply(list(&[(0, [1.0, 0.0])]));
    let response = home.client().post("/v1/embeddings", &json!({"model": "auto", "input": "a"})).await.json();
    assert_eq!(response["model"], "text-embed", "{response}");
    home.stop().await;
}

#[tokio::test]
async fn google_gets_its_own_request_format() {
    let upstream = Upstream::start().await;
    let home = of_kind("google", &format!("{}/v1beta", upstream.url)).await;
    upstream
        .reply(Reply::json(200, &json!({"embeddings": [{"values": [0.6, 0.8]}, {"values": [3.0, 4.0]}]})));
    let request = json!({"model": "text-embed", "input": ["a", "b"]});
    let response = home.client().post("/v1/embeddings", &request).await.json();
    assert_eq!(vectors(&response), [&json!([0.6, 0.8]), &json!([0.6, 0.8])], "{response}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1beta/models/text-embed:batchEmbedContents");
    assert_eq!(sent.headers["x-goog-api-key"], "sk-rig");
    home.stop().await;
}

#[tokio::test]
async fn errors_are_reported_as_for_text() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let request = json!({"model": "rig0:big", "input": "a"});
    let client = home.client();
    upstream.reply(failure(401, "invalid_api_key"));
    client.post("/v1/embeddings", &request).await.error(502, "provider_auth");
    // One vector for two texts.
    for _ in 0..3 {
        upstream.reply(list(&[(0, [1.0, 0.0])]));
    }
    let two = json!({"model": "rig0:big", "input": ["a", "b"]});
    client.post("/v1/embeddings", &two).await.error(502, "provider_error");
    home.stop().await;

    let home = of_kind("anthropic", &upstream.url).await;
    let refused =
        home.client().post("/v1/embeddings", &request_to("rig:claude")).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "model");
    assert!(refused["message"].as_str().unwrap().contains("google"), "{refused}");
    home.stop().await;
}

fn request_to(model: &str) -> Value {
    json!({"model": model, "input": "a"})
}
