//! `POST /v1/embeddings`, with the small embedding model of this repository.

use std::{fs, path::Path};

use hearth_tests::{Client, Home, Setup, eventually};
use serde_json::{Value, json};

const MODEL: &str = "tiny-embed";

/// A home that has the embedding model in its folder.
pub(crate) async fn home() -> Home {
    home_with("").await
}

/// The same, with a settings file.
async fn home_with(settings: &str) -> Home {
    let home = Setup::new().settings(settings).start().await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny-embed/tiny-embed.gguf");
    fs::copy(&file, home.data().join("models").join(format!("{MODEL}.gguf")))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let client = home.client();
    eventually("the embedding model in the catalog", async || {
        (client.get(&format!("/v1/models/{MODEL}")).await.status == 200).then_some(())
    })
    .await;
    home
}

async fn embed(client: &Client, body: &Value) -> Value {
    let answer = client.post("/v1/embeddings", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn vector(embedding: &Value) -> Vec<f64> {
    embedding["embedding"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn vectors_are_in_the_order_of_the_texts() {
    let home = home().await;
    let client = home.client();
    let texts = ["The cat sat on the mat.", "A cat sits on a mat.", "Stock prices fell sharply."];
    let list = embed(&client, &json!({"model": MODEL, "input": texts})).await;
    assert_eq!((&list["object"], &list["model"]), (&json!("list"), &json!(MODEL)));
    let tokens = list["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(tokens > 0 && list["usage"]["total_tokens"] == tokens, "{list}");
    let vectors: Vec<Vec<f64>> = list["data"].as_array().unwrap().iter().map(vector).collect();
    assert_eq!(vectors.len(), 3);
    for (index, text) in texts.iter().enumerate() {
        assert_eq!(list["data"][index]["index"], index);
        let alone = embed(&client, &json!({"model": MODEL, "input": text})).await;
        let likeness = cosine(&vector(&alone["data"][0]), &vectors[index]);
        assert!((likeness - 1.0).abs() < 1e-3, "alone and among others {index} differs: {likeness}");
    }
    home.stop().await;
}

#[tokio::test]
async fn vectors_are_normalized_and_have_the_requested_dimensions() {
    let home = home().await;
    let client = home.client();
    let whole = vector(&embed(&client, &json!({"model": "auto", "input": "Hello!"})).await["data"][0]);
    assert!((cosine(&whole, &whole) - 1.0).abs() < 1e-3);
    let short = json!({"model": MODEL, "input": "Hello!", "dimensions": 8});
    let short = vector(&embed(&client, &short).await["data"][0]);
    assert_eq!(short.len(), 8);
    assert!((cosine(&short, &short) - 1.0).abs() < 1e-3);
    let too_many = json!({"model": MODEL, "input": "Hello!", "dimensions": whole.len() + 1});
    let error = client.post("/v1/embeddings", &too_many).await.error(400, "invalid_request");
    assert_eq!(error["param"], "dimensions");
    home.stop().await;
}

#[tokio::test]
async fn base64_has_four_bytes_per_number() {
    let home = home().await;
    let client = home.client();
    let ask = |format: &str| json!({"model": MODEL, "input": "Hello!", "encoding_format": format});
    let numbers = vector(&embed(&client, &ask("float")).await["data"][0]);
    let bytes = embed(&client, &ask("base64")).await["data"][0]["embedding"].as_str().unwrap().to_owned();
    // Four bytes a number, four characters for three bytes.
    assert_eq!(bytes.len(), (numbers.len() * 4).div_ceil(3) * 4);
    let error = client.post("/v1/embeddings", &ask("hex")).await.error(400, "invalid_request");
    assert_eq!(error["param"], "encoding_format");
    home.stop().await;
}

#[tokio::test]
async fn record_has_no_vectors() {
    let home = home().await;
    let client = home.client();
    let answer = client.post("/v1/embeddings", &json!({"model": MODEL, "input": "Hello!"})).await;
    let path = format!("/v1/requests/{}", answer.header("x-request-id"));
    let status = client.get(&path).await.json();
    assert_eq!((&status["status"], &status["model"]), (&json!("completed"), &json!(MODEL)));
    assert_eq!(status["usage"]["prompt_tokens"], answer.json()["usage"]["prompt_tokens"]);
    assert_eq!(status["output"]["text"], "");
    let events = client.request(reqwest::Method::GET, &format!("{path}/events"));
    let complete = client.events(events).await.next_named("complete").await.data;
    assert_eq!((&complete["modality"], &complete["usage"]), (&json!("embedding"), &status["usage"]));
    home.stop().await;
}

#[tokio::test]
async fn embedding_model_generates_no_text() {
    let home = home().await;
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}]});
    let error = home.client().post("/v1/chat/completions", &body).await.error(400, "invalid_request");
    assert_eq!(error["param"], "model");
    // The default model is one that makes text.
    assert!(home.client().ask("What is the capital of France?").await.contains("Paris"));
    home.stop().await;
}

#[tokio::test]
async fn cached_vectors_are_returned_in_any_encoding() {
    let home = home_with("[cache]\nenabled = true").await;
    let client = home.client();
    let ask = async |format: &str, outcome: &str| {
        let body = json!({"model": MODEL, "input": ["a cat", "a dog"], "encoding_format": format});
        let answer = client.post("/v1/embeddings", &body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-hearth-cache")), (200, outcome), "{answer:?}");
        answer.json()
    };
    let first = ask("float", "miss").await;
    assert_eq!(ask("float", "hit").await, first);
    // How they are written is for each request to say.
    assert!(ask("base64", "hit").await["data"][1]["embedding"].is_string());
    home.stop().await;
}
