//! `/v1/config`: the stored configuration of routing.

use hearth_store::{
    Store,
    database::{Condition, Item, Key, Write},
};
use hearth_tests::{Answer, Client, Home, Setup, chat_request};
use reqwest::Method;
use serde_json::{Value, json};

/// Stores a configuration after the version `version`.
async fn put(client: &Client, version: u64, configuration: Value) -> Answer {
    let body = json!({"version": version, "configuration": configuration, "message": "a test"});
    client.send(client.request(Method::PUT, "/v1/config").json(&body)).await
}

/// Returns whether a model, or an alias, can be named.
async fn serves(client: &Client, model: &str) -> bool {
    client.post("/v1/chat/completions", &chat_request(model, "Hi")).await.status == 200
}

fn alias(name: &str) -> Value {
    json!({"aliases": {name: "tiny-chat"}})
}

#[tokio::test]
async fn stored_configuration_is_in_force_at_once_and_after_a_restart() {
    let home = Setup::new().settings("[aliases]\nown = 'tiny-chat'\nboth = 'nothing'\n").start().await;
    let client = home.client();
    let before = client.get("/v1/config").await.json();
    assert_eq!(
        (&before["version"], &before["configuration"], &before["stored"]),
        (&json!(0), &json!({}), &Value::Null)
    );
    assert!(serves(&client, "own").await && !serves(&client, "both").await && !serves(&client, "new").await);

    let stored = put(&client, 0, json!({"aliases": {"both": "tiny-chat", "new": ["tiny-chat"]}})).await;
    assert_eq!(stored.status, 200, "{stored:?}");
    let body = stored.json();
    assert_eq!(
        (&body["version"], &body["version_in_force"], &body["problem"]),
        (&json!(1), &json!(1), &Value::Null)
    );
    assert_eq!(body["stored"]["message"], "a test");
    assert!(body["stored"]["author"].as_str().unwrap().starts_with("tok_"), "{body}");
    for name in ["own", "both", "new"] {
        assert!(serves(&client, name).await, "{name}");
    }
    let listed = client.get("/v1/models").await.json().to_string();
    assert!(listed.contains(r#""id":"new""#), "{listed}");

    let home = home.restart().await;
    for name in ["own", "both", "new"] {
        assert!(serves(&home.client(), name).await, "{name} after the restart");
    }
    home.stop().await;
}

#[tokio::test]
async fn invalid_configuration_is_refused_whole_and_changes_nothing() {
    let home = Home::start().await;
    let client = home.client();
    assert_eq!(put(&client, 0, alias("good")).await.status, 200);
    for (configuration, param) in [
        (json!({"aliases": {"new": "tiny-chat", "bad": []}}), "configuration.aliases.bad"),
        (json!({"selection": {"strategy": "best"}}), "configuration.selection.strategy"),
        (json!({"providers": {"azure": {}}}), "configuration.providers.azure.base_url"),
        (
            json!({"providers": {"openai": {"api_key": "sk-secret"}}}),
            "configuration.providers.openai.api_key",
        ),
        (json!({"models": {"gpt-5": {}}}), "configuration.models.\"gpt-5\""),
        (json!({"port": 1}), "configuration.port"),
        (json!([]), "configuration"),
        (json!({"selection": ["cost"]}), "configuration.selection"),
        (json!({"aliases": {"new": [["tiny-chat", 3]]}}), "configuration.aliases.new"),
    ] {
        let answer = put(&client, 1, configuration).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("sk-secret"), "{answer:?}");
        let error = answer.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{error}");
    }
    let long = json!({"aliases": {"long": "x".repeat(250 << 10)}});
    put(&client, 1, long).await.error(400, "invalid_request");
    assert!(serves(&client, "good").await && !serves(&client, "new").await);
    assert_eq!(client.get("/v1/config").await.json()["version"], 1);
    home.stop().await;
}

#[tokio::test]
async fn push_after_another_version_is_a_conflict() {
    let home = Home::start().await;
    let client = home.client();
    let (one, other) = tokio::join!(put(&client, 0, alias("one")), put(&client, 0, alias("other")));
    let (stored, refused) = if one.status == 200 { ("one", other) } else { ("other", one) };
    let error = refused.error(409, "conflict");
    assert_eq!((&error["details"]["current_version"], &error["param"]), (&json!(1), &json!("version")));
    assert!(serves(&client, stored).await);
    put(&client, 2, alias("later")).await.error(409, "conflict");
    home.stop().await;
}

#[tokio::test]
async fn earlier_version_is_restored_as_the_next_one() {
    let home = Home::start().await;
    let client = home.client();
    for (version, name) in [(0, "first"), (1, "second")] {
        assert_eq!(put(&client, version, alias(name)).await.status, 200);
    }
    assert!(!serves(&client, "first").await);
    let stale = client.post("/v1/config/versions/1/restore", &json!({"version": 1})).await;
    stale.error(409, "conflict");
    client.post("/v1/config/versions/7/restore", &json!({"version": 2})).await.error(404, "not_found");
    let restored = client.post("/v1/config/versions/1/restore", &json!({"version": 2})).await.json();
    assert_eq!((&restored["version"], &restored["stored"]["restores"]), (&json!(3), &json!(1)), "{restored}");
    assert!(serves(&client, "first").await && !serves(&client, "second").await);

    let history = client.get("/v1/config/versions").await.json();
    let numbers: Vec<u64> =
        history["versions"].as_array().unwrap().iter().filter_map(|one| one["version"].as_u64()).collect();
    assert_eq!(numbers, [3, 2, 1], "{history}");
    assert_eq!(client.get("/v1/config/versions/2").await.json()["configuration"], alias("second"));
    client.get("/v1/config/versions/9").await.error(404, "not_found");
    client.get("/v1/config/versions/x").await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn configuration_needs_the_scope_of_providers() {
    let home = Home::start_without_node().await;
    let monitor = json!({"name": "monitor", "scopes": ["ops", "generate"]});
    let created = home.client().post("/v1/users/tokens", &monitor).await.json();
    let token = created["token"].as_str().unwrap().to_owned();
    let client = home.client().with_token(Some(&token));
    client.get("/v1/config").await.error(403, "forbidden");
    put(&client, 0, alias("mine")).await.error(403, "forbidden");
    client.get("/v1/config/versions").await.error(403, "forbidden");
    client.post("/v1/config/versions/1/restore", &json!({"version": 0})).await.error(403, "forbidden");
    home.stop().await;
}

/// Replaces the current version by an item with these fields, in this version of the shape.
async fn poison(home: Home, fields: Value, shape: u32) -> Home {
    let item = Item {
        key: Key::new("CONFIG", "META"),
        gsi1: None,
        gsi2: None,
        ttl: None,
        version: shape,
        body: fields.to_string(),
        bytes: None,
    };
    let write = async |store: &Store| {
        store.database().write(Write::Put(item, Condition::Always)).await.unwrap();
    };
    home.restart_after(write).await.0
}

/// Returns whether `GET /ready` reports that the stored configuration isn't in force.
async fn is_ignored(client: &Client) -> bool {
    let ready = client.get("/ready").await;
    assert_eq!(ready.status, 200, "{ready:?}");
    ready.json()["checks"]["configuration"].to_string().contains("not in force")
}

#[tokio::test]
async fn unreadable_configuration_leaves_the_latest_valid_one_in_force() {
    let mut home = Home::start().await;
    assert_eq!(put(&home.client(), 0, alias("good")).await.status, 200);
    assert!(!is_ignored(&home.client()).await);
    for (fields, shape) in [
        (json!({"no": "number"}), 1),
        (json!({"number": "2", "settings": "{", "author": "x"}), 1),
        (json!({"number": "2", "rules": "of another shape"}), 9),
    ] {
        home = poison(home, fields.clone(), shape).await;
        assert!(serves(&home.client(), "good").await, "{fields}");
        assert!(is_ignored(&home.client()).await, "{fields}");
    }
    let client = home.client();
    let body = client.get("/v1/config").await.json();
    assert_eq!((&body["version"], &body["version_in_force"]), (&json!(2), &json!(1)), "{body}");
    assert_eq!(body["configuration"], Value::Null);
    assert!(body["problem"].as_str().unwrap().contains("version 2"), "{body}");
    // A valid version follows the one that can't be read.
    assert_eq!(put(&client, 2, alias("better")).await.status, 200);
    assert!(serves(&client, "better").await && !serves(&client, "good").await);
    assert_eq!(client.get("/v1/config").await.json()["problem"], Value::Null);
    home.stop().await;
}
