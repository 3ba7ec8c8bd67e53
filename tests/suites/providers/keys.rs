//! Providers' keys: set, used, and never shown.

use hearth_tests::{Setup, Upstream, hearth, run};
use serde_json::json;

use crate::{ANSWER_TEXT, answer, chat};

/// A key that must not be in any output.
const KEY: &str = "sk-this-must-not-be-seen";

#[tokio::test]
async fn key_is_stored_used_and_not_shown() {
    let upstream = Upstream::start().await;
    let settings =
        format!("[providers.rig]\nkind = 'openai'\nbase_url = '{}/v1'\nmodels = ['big']\n", upstream.url);
    let home = Setup::new().settings(&settings).without_node().start().await;
    let client = home.client();
    client.post("/v1/chat/completions", &chat("big")).await.error(502, "provider_auth");
    let path = "/v1/providers/rig/key";
    let set = client.request(reqwest::Method::PUT, path).json(&json!({"key": KEY})).send().await.unwrap();
    assert_eq!(set.status(), 204);
    upstream.reply(answer());
    let response = client.post("/v1/chat/completions", &chat("big")).await.json();
    assert_eq!(response["choices"][0]["message"]["content"], ANSWER_TEXT, "{response}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.headers["authorization"], format!("Bearer {KEY}"));

    // The key survives a restart, and is in no list and no log.
    let home = home.restart().await;
    let client = home.client();
    upstream.reply(answer());
    assert_eq!(client.post("/v1/chat/completions", &chat("big")).await.status, 200);
    let list = client.get("/v1/providers").await.json();
    assert_eq!(list["providers"][0]["configured"], true);
    assert!(!list.to_string().contains(KEY), "{list}");
    for entry in std::fs::read_dir(home.data().join("logs")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(KEY), "the key is in the log");
    }
    assert_eq!(client.delete(path).await.status, 204);
    client.post("/v1/chat/completions", &chat("big")).await.error(502, "provider_auth");
    client.delete(path).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn invalid_key_and_unknown_provider_are_refused() {
    let home = Setup::new().without_node().start().await;
    let client = home.client();
    let set = async |name: &str, key: &str| {
        let path = format!("/v1/providers/{name}/key");
        let answer =
            client.request(reqwest::Method::PUT, &path).json(&json!({"key": key})).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (name, key) in [("nobody", "k"), ("local", "k"), ("openai", ""), ("openai", " k"), ("openai", "a\nb")]
    {
        let (status, text) = set(name, key).await;
        assert_eq!(status, 400, "{name} {key:?}: {text}");
    }
    assert_eq!(set("openai", KEY).await.0, 204);
    // A token without the scope is refused.
    let token = client.post("/v1/users/tokens", &json!({"name": "app"})).await.json();
    let app = client.with_token(token["token"].as_str());
    app.delete("/v1/providers/openai/key").await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn key_set_command_reads_standard_input() {
    let home = Setup::new().without_node().start().await;
    let mut command = hearth(home.folder(), &["key", "set", "openai"]);
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token);
    let ended = run(command, &format!("{KEY}\n")).await;
    assert!(ended.status.success(), "{ended:?}");
    let list = home.client().get("/v1/providers").await.json();
    assert_eq!(
        (&list["providers"][0]["name"], &list["providers"][0]["configured"]),
        (&json!("openai"), &json!(true))
    );
    home.stop().await;
}
