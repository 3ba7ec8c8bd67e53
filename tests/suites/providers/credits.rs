//! A provider's credit, and the fallback when it is exhausted.

use hearth_tests::{Client, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};

use crate::{ANSWER_TEXT, answer, failure, with_node};

fn ask(model: &str) -> Value {
    json!({"model": model, "input": {"prompt": "Hi"}, "parameters": {"max_tokens": 3}})
}

async fn credits(client: &Client) -> Value {
    client.get("/v1/providers").await.json()["providers"][0]["credits"].clone()
}

#[tokio::test]
async fn free_model_serves_when_the_credit_is_exhausted() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    let client = home.client();
    assert_eq!(credits(&client).await["status"], "unknown");
    upstream.reply(failure(402, "insufficient_quota"));
    let response = client.post("/v1/generate", &ask("rig0:big")).await.json();
    assert_eq!(response["model"], "tiny-chat", "{response}");
    let (selection, status) = (&response["selection"], &response["credits_status"]);
    assert_eq!(
        (&selection["fallback_used"], &selection["fallback_reason"]),
        (&json!(true), &json!("quota_exceeded"))
    );
    assert_eq!((&status["provider"], &status["status"]), (&json!("rig0"), &json!("exhausted")));
    assert_eq!(credits(&client).await["status"], "exhausted");
    let exhausted = client.get("/v1/models?provider=rig0&status=out_of_credit").await.json();
    assert_eq!(exhausted["data"][0]["id"], "rig0:big", "{exhausted}");

    // A request for this model only fails.
    upstream.reply(failure(402, "insufficient_quota"));
    let mut only = ask("rig0:big");
    only["selection_mode"] = json!("model");
    client.post("/v1/generate", &only).await.error(429, "quota_exceeded");
    // A success shows that there is credit again.
    upstream.reply(answer());
    let response = client.post("/v1/generate", &ask("rig0:big")).await.json();
    assert_eq!(
        (&response["output"]["text"], &response["credits_status"]["status"]),
        (&json!(ANSWER_TEXT), &json!("available"))
    );
    assert_eq!(credits(&client).await["status"], "available");
    home.stop().await;
}

#[tokio::test]
async fn provider_without_credit_is_skipped_in_an_alias() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "[aliases]\nfast = ['rig0:big', 'local:tiny-chat']").await;
    let client = home.client();
    upstream.reply(failure(402, "insufficient_quota"));
    // The first request detects it, the second one skips the provider.
    for _ in 0..2 {
        let response = client.post("/v1/generate", &ask("fast")).await.json();
        let selection = &response["selection"];
        assert_eq!(
            (&response["model"], &selection["fallback_used"], &selection["fallback_reason"]),
            (&json!("tiny-chat"), &json!(true), &json!("quota_exceeded")),
            "{response}"
        );
        let status = &response["credits_status"];
        assert_eq!(
            (&status["provider"], &status["status"]),
            (&json!("rig0"), &json!("exhausted")),
            "{response}"
        );
        assert_eq!(upstream.received().len(), 1);
    }
    home.stop().await;
}

#[tokio::test]
async fn limits_of_the_headers_are_reported() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    let client = home.client();
    let limits = |left: &str| {
        let reply = answer().header("x-ratelimit-remaining-requests", left);
        reply.header("x-ratelimit-remaining-tokens", "900").header("x-ratelimit-reset-requests", "1m0s")
    };
    upstream.reply(limits("5"));
    let status = client.post("/v1/generate", &ask("big")).await.json()["credits_status"].clone();
    let expected = json!({"balance": null, "requests": 5, "tokens": 900});
    assert_eq!((&status["status"], &status["remaining"]), (&json!("available"), &expected), "{status}");
    upstream.reply(limits("0"));
    let status = client.post("/v1/generate", &ask("big")).await.json()["credits_status"].clone();
    assert_eq!(status["status"], "rate_limited", "{status}");
    assert!(status["reset_at"].is_string(), "{status}");
    let limited = client.get("/v1/models?status=rate_limited").await.json();
    assert_eq!(limited["data"][0]["id"], "rig0:big", "{limited}");
    // A node has no credit.
    let local = client.post("/v1/generate", &ask("tiny-chat")).await.json();
    assert_eq!(local["credits_status"], Value::Null);
    home.stop().await;
}

#[tokio::test]
async fn balance_is_polled_from_a_vendor_that_reports_it() {
    let upstream = Upstream::start().await;
    let key = json!({"data": {"label": "k", "limit": 20, "limit_remaining": 7.25, "usage": 12.75}});
    upstream.page("/v1/key", Reply::json(200, &key));
    let settings = format!("[providers.openrouter]\nbase_url = '{}/v1'\napi_key = 'sk-rig'\n", upstream.url);
    let home = Setup::new().settings(&settings).without_node().start().await;
    let client = home.client();
    let status = eventually("a balance", async || {
        let status = credits(&client).await;
        (!status["remaining"].is_null()).then_some(status)
    })
    .await;
    assert_eq!(status["remaining"]["balance"], json!({"amount": "7.25", "currency": "USD"}), "{status}");
    assert_eq!(status["status"], "available");
    assert_eq!(upstream.page_requests("/v1/key").len(), 1);
    home.stop().await;
}
