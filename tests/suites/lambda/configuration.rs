//! The stored configuration in the processes of several functions.

use hearth_store::database::{Condition, Item, Key, Write};
use hearth_tests::{Cloud, chat_request, eventually};
use lambda_emulator::Emulator;
use serde_json::{Value, json};

use crate::{Placeholders, invoke};

/// Processes that read the configuration again each second.
const REFRESH: [(&str, &str); 1] = [("HEARTH_CONFIG_REFRESH_SECONDS", "1")];

/// Stores a configuration after the version `version`, through the function `models`; returns the response's status and body.
async fn put(models: &Emulator, values: &Placeholders, version: u64, configuration: Value) -> (u16, Value) {
    let mut event = values.event("put_v1.config.json");
    event["body"] = json!({"version": version, "configuration": configuration}).to_string().into();
    let answer = invoke(models, &event).await;
    (answer.status.as_u16(), answer.json().unwrap())
}

/// Returns whether the function `generate` serves a model, or an alias.
async fn serves(generate: &Emulator, values: &Placeholders, model: &str) -> bool {
    let mut event = values.event("post_v1.chat.completions.json");
    event["body"] = chat_request(model, "Hi").to_string().into();
    invoke(generate, &event).await.status == 200
}

fn alias(name: &str) -> Value {
    json!({"aliases": {name: "tiny-chat"}})
}

#[tokio::test]
async fn function_follows_a_configuration_that_another_one_has_stored() {
    let cloud = Cloud::start().await;
    let (models, generate) = tokio::join!(
        cloud.function_with("hearth-fn-models", &REFRESH),
        cloud.function_with("hearth-fn-generate", &REFRESH)
    );
    let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    assert!(!serves(&generate, &values, "fast").await);

    assert_eq!(put(&models, &values, 0, alias("fast")).await.0, 200);
    eventually("version 1", async || serves(&generate, &values, "fast").await.then_some(())).await;
    let (status, refused) = put(&models, &values, 1, json!({"aliases": {"fast": []}})).await;
    assert_eq!(
        (status, &refused["error"]["param"]),
        (400, &json!("configuration.aliases.fast")),
        "{refused}"
    );
    assert_eq!(put(&models, &values, 0, alias("late")).await.0, 409);
    assert_eq!(put(&models, &values, 1, alias("next")).await.0, 200);
    eventually("version 2", async || serves(&generate, &values, "next").await.then_some(())).await;
    assert!(!serves(&generate, &values, "fast").await);
}

#[tokio::test]
async fn stored_provider_in_the_functions_own_network_is_refused() {
    let cloud = Cloud::start().await;
    let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let models = cloud.function_with("hearth-fn-models", &[("HEARTH_ALLOW_PRIVATE_NODES", "false")]).await;
    for (url, expected) in
        [("http://127.0.0.1:9001/x", 400), ("https://169.254.169.254", 400), ("https://api.example.org", 200)]
    {
        let provider = json!({"kind": "openai_compatible", "base_url": url});
        let (status, body) = put(&models, &values, 0, json!({"providers": {"rig": provider}})).await;
        assert_eq!(status, expected, "{url}: {body}");
        if expected == 400 {
            assert_eq!(body["error"]["param"], "configuration.providers.rig.base_url", "{body}");
        }
    }
}

#[tokio::test]
async fn function_serves_on_with_a_configuration_that_it_cannot_read() {
    let cloud = Cloud::start().await;
    let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let models = cloud.function("hearth-fn-models").await;
    assert_eq!(put(&models, &values, 0, alias("good")).await.0, 200);
    let newer = Item {
        key: Key::new("CONFIG", "META"),
        gsi1: None,
        gsi2: None,
        ttl: None,
        version: 9,
        body: json!({"number": "2", "rules": "of another shape"}).to_string(),
        bytes: None,
    };
    cloud.store().database().write(Write::Put(newer, Condition::Always)).await.unwrap();

    let (generate, ops) = tokio::join!(cloud.function("hearth-fn-generate"), cloud.function("hearth-fn-ops"));
    assert!(serves(&generate, &values, "good").await, "the latest readable version isn't in force");
    let ready = invoke(&ops, &values.event("get_ready.json")).await;
    let body = ready.json().unwrap();
    assert_eq!(ready.status, 200, "{body}");
    assert!(body["checks"]["configuration"].to_string().contains("not in force"), "{body}");
}
