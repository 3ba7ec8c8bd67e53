//! Vectors by providers.

use hearth_tests::{Home, Reply, Setup, Upstream};
use serde_json::{Value, json};

use crate::{failure, with};

/// A `hearth up` with one provider of a kind, called `rig`, that has the model `text-embed`.
async fn of_kind(kind: &str, base_url: &str) -> Home {
    let settings = format!(
        "[providers.rig]\nkind = '{kind}'\nbase_url = '{base_url}'\napi_key = 'sk-rig'\nmodels = ['chat', 'text-embed']\n"
    );
    Setup::new().settings(&settings).start().await
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
async fn texts_become_vectors_in_their_order() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(list(&[(1, [0.0, 1.0]), (0, [1.0, 0.0])]));
    let asked = json!({"model": "rig0:big", "input": ["a", "b"], "dimensions": 2, "user": "ada"});
    let answer = home.client().post("/v1/embeddings", &asked).await;
    let id = answer.header("x-request-id").to_owned();
    let told = answer.json();
    assert_eq!(vectors(&told), [&json!([1.0, 0.0]), &json!([0.0, 1.0])], "{told}");
    assert_eq!((&told["usage"]["prompt_tokens"], &told["model"]), (&json!(7), &json!("big")));
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1/embeddings");
    assert_eq!(sent.headers["authorization"], "Bearer sk-rig");
    assert_eq!(sent.body, json!({"user": "ada", "model": "big", "input": ["a", "b"], "dimensions": 2}));

    // The record knows what it was; the vectors are nowhere.
    let record = home.client().get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!((&record["status"], &record["provider"]), (&json!("completed"), &json!("rig0")), "{record}");

    upstream.reply(list(&[(0, [1.0, 0.0])]));
    let asked = json!({"model": "rig0:big", "input": "a", "encoding_format": "base64"});
    let told = home.client().post("/v1/embeddings", &asked).await.json();
    assert_eq!(vectors(&told), [&json!("AACAPwAAAAA=")], "{told}");
    home.stop().await;
}

#[tokio::test]
async fn a_provider_embeds_where_no_node_can() {
    let upstream = Upstream::start().await;
    let home = of_kind("openai_compatible", &format!("{}/v1", upstream.url)).await;
    upstream.reply(list(&[(0, [1.0, 0.0])]));
    let told = home.client().post("/v1/embeddings", &json!({"model": "auto", "input": "a"})).await.json();
    assert_eq!(told["model"], "text-embed", "{told}");
    home.stop().await;
}

#[tokio::test]
async fn google_is_asked_in_its_own_words() {
    let upstream = Upstream::start().await;
    let home = of_kind("google", &format!("{}/v1beta", upstream.url)).await;
    upstream
        .reply(Reply::json(200, &json!({"embeddings": [{"values": [0.6, 0.8]}, {"values": [3.0, 4.0]}]})));
    let asked = json!({"model": "text-embed", "input": ["a", "b"]});
    let told = home.client().post("/v1/embeddings", &asked).await.json();
    assert_eq!(vectors(&told), [&json!([0.6, 0.8]), &json!([0.6, 0.8])], "{told}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1beta/models/text-embed:batchEmbedContents");
    assert_eq!(sent.headers["x-goog-api-key"], "sk-rig");
    home.stop().await;
}

#[tokio::test]
async fn what_fails_is_told_as_for_texts() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let asked = json!({"model": "rig0:big", "input": "a"});
    let client = home.client();
    upstream.reply(failure(401, "invalid_api_key"));
    client.post("/v1/embeddings", &asked).await.error(502, "provider_auth");
    // One vector for two texts.
    for _ in 0..3 {
        upstream.reply(list(&[(0, [1.0, 0.0])]));
    }
    let two = json!({"model": "rig0:big", "input": ["a", "b"]});
    client.post("/v1/embeddings", &two).await.error(502, "provider_error");
    home.stop().await;

    let home = of_kind("anthropic", &upstream.url).await;
    let refused =
        home.client().post("/v1/embeddings", &asked_of("rig:claude")).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "model");
    assert!(refused["message"].as_str().unwrap().contains("google"), "{refused}");
    home.stop().await;
}

fn asked_of(model: &str) -> Value {
    json!({"model": model, "input": "a"})
}
