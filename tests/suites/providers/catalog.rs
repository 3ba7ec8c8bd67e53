//! Costs of requests, with and without a price.

use hearth_tests::{Upstream, hearth, run};
use serde_json::{Value, json};

use crate::{answer, chat, with, with_node};

/// 11 tokens of the prompt, 8 of them cached, and 4 of the completion: 3 × 1 + 8 × 0.1 + 4 × 2 dollars a million.
const COST: &str = "0.0000118";

const PRICES: &str =
    "[models.'rig0:big']\nprice = {input = 1, output = 2, cached_input = 0.1}\ncontext_length = 9000\n";

#[tokio::test]
async fn cost_is_in_header_body_record_and_metrics() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], PRICES).await;
    let client = home.client();
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let bodies = [
        ("/v1/chat/completions", chat("big")),
        ("/v1/completions", json!({"model": "big", "prompt": "Hi"})),
        ("/v1/responses", json!({"model": "big", "input": "Hi"})),
        ("/v1/messages", json!({"model": "big", "max_tokens": 9, "messages": messages})),
    ];
    for (path, body) in bodies {
        upstream.reply(answer());
        let response = client.post(path, &body).await;
        assert_eq!(
            (response.status.as_u16(), response.header("x-hearth-cost")),
            (200, COST),
            "{path}: {response:?}"
        );
    }
    upstream.reply(answer());
    let response = client.post("/v1/generate", &json!({"model": "big", "input": {"prompt": "Hi"}})).await;
    let id = response.header("x-request-id").to_owned();
    assert_eq!(response.header("x-hearth-cost"), COST);
    assert_eq!(response.json()["cost"], json!({"usd": COST}));
    let record = client.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(record["cost"], json!({"usd": COST}), "{record}");
    let metrics = String::from_utf8(client.get("/metrics").await.body.to_vec()).unwrap();
    assert!(
        metrics.contains("hearth_cost_nanodollars_total{provider=\"rig0\",model=\"big\"} 59000"),
        "{metrics}"
    );
    home.stop().await;
}

#[tokio::test]
async fn cost_is_in_the_last_event_of_a_stream() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], PRICES).await;
    upstream.reply(answer());
    let body = json!({"model": "big", "input": {"prompt": "Hi"}, "stream": true});
    let events = home.client().stream("/v1/generate", &body).await.rest().await;
    let complete =
        events.iter().find(|event| event.data["event"] == "complete").map(|event| event.data.clone());
    assert_eq!(complete.unwrap_or_default()["cost"], json!({"usd": COST}));
    home.stop().await;
}

#[tokio::test]
async fn cost_is_unknown_without_a_price_and_zero_for_a_node() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    upstream.reply(answer());
    let body =
        |model: &str| json!({"model": model, "input": {"prompt": "Hi"}, "parameters": {"max_tokens": 3}});
    let response = home.client().post("/v1/generate", &body("big")).await;
    assert_eq!((response.header("x-hearth-cost"), &response.json()["cost"]), ("unknown", &Value::Null));
    let response = home.client().post("/v1/generate", &body("tiny-chat")).await;
    assert_eq!((response.header("x-hearth-cost"), &response.json()["cost"]), ("0", &json!({"usd": "0"})));
    home.stop().await;
}

#[tokio::test]
async fn invalid_model_setting_prevents_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("facts.toml");
    std::fs::write(&path, "[models.'openai:gpt-5']\nprice = {}\n").unwrap();
    let arguments = ["up", "--port", "0", "--config", path.to_str().unwrap()];
    let ended = run(hearth(folder.path(), &arguments), "").await;
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("models.\"openai:gpt-5\".price"), "{ended:?}");
}
