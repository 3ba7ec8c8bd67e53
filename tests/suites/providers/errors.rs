//! A provider's errors as clients see them: status, `retry-after`, and the reason of a failed connection.

use std::time::{Duration, SystemTime};

use hearth_tests::{Reply, Setup, Upstream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{chat, failure, with};

/// Number of routes whose model may be a provider's, and of those for text.
const ROUTES: usize = 7;
const TEXT_ROUTES: usize = 5;

/// A request to one of them.
fn request(route: usize, model: &str) -> (&'static str, Value) {
    let messages = json!([{"role": "user", "content": "Hi"}]);
    match route {
        0 => ("/v1/chat/completions", chat(model)),
        1 => ("/v1/messages", json!({"model": model, "max_tokens": 9, "messages": messages})),
        2 => ("/v1/responses", json!({"model": model, "input": "Hi"})),
        3 => ("/v1/completions", json!({"model": model, "prompt": "Hi"})),
        4 => ("/v1/generate", json!({"model": model, "input": {"prompt": "Hi"}})),
        5 => ("/v1/embeddings", json!({"model": model, "input": "Hi"})),
        _ => ("/v1/images/generations", json!({"model": model, "prompt": "Hi"})),
    }
}

#[tokio::test]
async fn rate_limit_of_a_provider_is_429_with_its_retry_after() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(300));
    let limits = [
        ("retry-after", "45", 45..=45),
        ("retry-after", "30.2", 31..=31),
        ("retry-after", date.as_str(), 200..=300),
        ("retry-after-ms", "61500", 62..=62),
        ("x-ratelimit-reset", "90", 89..=90),
        ("retry-after", "99999999999", 86_400..=86_400),
    ];
    for (name, value, expected) in limits {
        for number in 0..ROUTES {
            // Another model each time, so that no circuit opens.
            let (path, mut body) = request(number, &format!("rig0:{name}-{expected:?}-{number}"));
            upstream.reply(failure(429, "rate_limit_exceeded").header(name, value));
            if number < TEXT_ROUTES && number % 2 == 0 {
                body["stream"] = json!(true);
            }
            let answer = home.client().post(path, &body).await;
            let context = format!("{path} {name}: {value}: {answer:?}");
            assert_eq!(answer.status, 429, "{context}");
            let error = &answer.json()["error"];
            let seconds: u64 = answer.header("retry-after").parse().unwrap_or_default();
            assert!(expected.contains(&seconds), "{context}");
            assert_eq!(error["details"]["retry_after_seconds"], seconds, "{context}");
            assert_eq!(answer.header("x-should-retry"), "true", "{context}");
            assert_eq!(
                (&error["code"], &error["type"]),
                (&json!("provider_rate_limited"), &json!("rate_limit_error")),
                "{context}"
            );
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn rate_limit_without_a_time_has_no_retry_after() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    for value in ["-5", "soon", "0", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        (0..3).for_each(|_| upstream.reply(failure(429, "rate_limit_exceeded").header("retry-after", value)));
        let answer =
            home.client().post("/v1/chat/completions", &chat(&format!("rig0:{}", value.len()))).await;
        let error = answer.error(429, "provider_rate_limited");
        assert_eq!(
            (answer.header("retry-after"), &error["details"]["retry_after_seconds"]),
            ("", &Value::Null)
        );
    }
    home.stop().await;
}

#[tokio::test]
async fn error_body_without_an_end_yields_the_error_of_its_status() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let text = |text: &str| Reply::file("application/json", text.as_bytes());
    for reply in [text("{\"error\":").then_silence(), text(&" ".repeat(4096)).then_repeat()] {
        upstream.reply(reply.status(400));
        let error =
            home.client().post("/v1/chat/completions", &chat("big")).await.error(400, "invalid_request");
        assert_eq!(error["message"], "the provider rig0 refused the request");
        upstream.left().await;
    }
    // Also without a client that waits.
    upstream.reply(text("{").then_silence().status(400));
    let client = home.client();
    let request = client.request(Method::POST, "/v1/generate").header("prefer", "respond-async");
    let body = json!({"model": "rig0:big", "input": {"prompt": "Hi"}});
    let answer = client.send(request.json(&body)).await;
    let id = answer.header("x-request-id").to_owned();
    let record = hearth_tests::eventually("the run's end", async || {
        let record = client.get(&format!("/v1/requests/{id}")).await.json();
        (record["status"] == "failed").then_some(record)
    });
    assert_eq!(record.await["error"]["code"], "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn unreachable_provider_is_reported_with_the_reason() {
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let kind = "kind = 'openai_compatible'\nmodels = ['m']\napi_key = 'k'";
    let settings = format!(
        "[providers.refuses]\n{kind}\nbase_url = 'http://{free}/v1'\n\
         [providers.nowhere]\n{kind}\nbase_url = 'http://no-such-host.invalid/v1'\n"
    );
    let home = Setup::new().settings(&settings).without_node().start().await;
    for (name, reason) in [("refuses", "connection refused"), ("nowhere", "its name can't be resolved")] {
        let error = home.client().post("/v1/chat/completions", &chat(&format!("{name}:m"))).await;
        let message = error.error(502, "provider_error")["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.starts_with(&format!("the provider {name} can't be reached: {reason}")), "{message}");
        assert!(!message.contains(&free.to_string()) && !message.contains(".invalid"), "{message}");
    }
    home.stop().await;
}

#[tokio::test]
async fn model_name_leads_to_no_other_path_of_the_provider() {
    let upstream = Upstream::start().await;
    let provider = |kind: &str, path: &str| {
        format!("[providers.{kind}]\nbase_url = '{}{path}'\napi_key = 'sk-{kind}'\n", upstream.url)
    };
    let settings =
        [provider("google", "/v1beta"), provider("bedrock", ""), provider("huggingface", "/v1")].concat();
    let home = Setup::new().settings(&settings).without_node().start().await;
    let names = ["../x", "../../etc", "a/../b", "..", ".", "a//b", "/a", "a/", "models/..", "a\n", "a/\u{0}"];
    for name in names {
        let images = ("/v1/images/generations", "prompt");
        let embeddings = ("/v1/embeddings", "input");
        let routes = [
            ("google", embeddings),
            ("google", images),
            ("huggingface", embeddings),
            ("huggingface", images),
        ];
        let mut bodies: Vec<(&str, Value)> = routes
            .iter()
            .map(|(kind, (path, field))| (*path, json!({"model": format!("{kind}:{name}"), *field: "Hi"})))
            .collect();
        for kind in ["google", "bedrock"] {
            bodies.push(("/v1/chat/completions", chat(&format!("{kind}:{name}"))));
        }
        for (path, body) in bodies {
            let answer = home.client().post(path, &body).await;
            let error = answer.error(400, "invalid_request");
            assert_eq!(error["param"], "model", "{body}: {answer:?}");
        }
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
    home.stop().await;
}
