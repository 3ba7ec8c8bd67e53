//! API tokens and access keys: models, names, rotation, last use, and the end of their runs.

use hearth_tests::{Client, Home, Setup, endless_run, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::capital_of_france;

const TOKENS: &str = "/v1/users/tokens";
const ACCESS_KEYS: &str = "/v1/users/access-keys";

async fn create(client: &Client, path: &str, body: Value) -> Value {
    let answer = client.post(path, &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn path(token: &Value) -> String {
    format!("{TOKENS}/{}", text(token, "id"))
}

/// A client with a token or an access key that was created.
fn as_created(home: &Home, created: &Value) -> Client {
    let text = created["token"].as_str().or(created["key"].as_str());
    home.client().with_token(text)
}

fn names(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|model| text(model, "id")).collect()
}

async fn patch(client: &Client, path: &str, body: &Value) -> hearth_tests::Answer {
    client.send(client.request(Method::PATCH, path).json(body)).await
}

#[tokio::test]
async fn token_uses_its_models_alone() {
    let settings = "[aliases.both]\nmodels = ['other', 'tiny-chat']\n[aliases.others]\nmodels = ['other']\n";
    let home = Setup::new().settings(settings).models(&["other"]).start().await;
    let owner = home.client();
    let token = create(&owner, TOKENS, json!({"name": "one", "models": ["local:tiny-chat"]})).await;
    assert_eq!(token["models"], json!(["local:tiny-chat"]));
    let client = as_created(&home, &token);
    let named =
        |model: &str| json!({"model": model, "input": {"prompt": "Hi"}, "parameters": {"max_tokens": 1}});

    for model in ["tiny-chat", "local:tiny-chat", "both", "auto"] {
        let answer = client.post("/v1/generate", &named(model)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["model"]), (200, &json!("tiny-chat")), "{model}");
    }
    for model in ["other", "local:other", "others", "no-such-model"] {
        let error = client.post("/v1/generate", &named(model)).await.error(403, "forbidden");
        assert_eq!(
            (&error["param"], &error["details"]["models"]),
            (&json!("model"), &token["models"]),
            "{model}"
        );
    }
    // A fallback isn't a way around.
    let mut body = named("no-such-model");
    body["fallback"] = json!({"models": ["other"]});
    client.post("/v1/generate", &body).await.error(403, "forbidden");
    // An embedding model isn't among its models either.
    client.post("/v1/embeddings", &json!({"model": "other", "input": "Hi"})).await.error(403, "forbidden");

    assert_eq!(names(&client.get("/v1/models").await.json()), ["auto", "both", "tiny-chat"]);
    assert_eq!(client.get("/v1/models/tiny-chat").await.status, 200);
    client.get("/v1/models/other").await.error(404, "model_not_found");
    let all = owner.get("/v1/models").await.json();
    assert_eq!(names(&all), ["auto", "both", "other", "others", "tiny-chat"]);
    home.stop().await;
}

#[tokio::test]
async fn default_model_that_a_token_may_not_use_is_replaced() {
    let home = Setup::new().models(&["other"]).start().await;
    let token = create(&home.client(), TOKENS, json!({"name": "other", "models": ["oth*"]})).await;
    let client = as_created(&home, &token);
    let answer = client.post("/v1/generate", &capital_of_france()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["model"]), (200, &json!("other")));
    home.stop().await;
}

#[tokio::test]
async fn token_creates_and_changes_none_with_more_models() {
    let home = Home::start().await;
    let owner = home.client();
    let scopes = json!(["generate", "models:read", "tokens"]);
    let narrow = json!({"name": "narrow", "models": ["local"], "scopes": scopes});
    let narrow = create(&owner, TOKENS, narrow).await;
    let client = as_created(&home, &narrow);
    let same = create(&client, TOKENS, json!({"name": "same"})).await;
    assert_eq!(same["models"], json!(["local"]));
    let less = create(&client, TOKENS, json!({"name": "less", "models": ["local:tiny*"]})).await;
    let error = client.post(TOKENS, &json!({"name": "more", "models": ["local", "openai:*"]})).await;
    assert_eq!(error.error(403, "forbidden")["param"], "models");
    for models in [json!([]), json!([""]), json!(["x".repeat(257)]), json!(vec!["m"; 101])] {
        let error = owner.post(TOKENS, &json!({"name": "bad", "models": models})).await;
        assert_eq!(error.error(400, "invalid_request")["param"], "models");
    }

    let wide = create(&owner, TOKENS, json!({"name": "wide"})).await;
    client.delete(&path(&wide)).await.error(403, "forbidden");
    patch(&client, &path(&wide), &json!({"name": "mine"})).await.error(403, "forbidden");
    client.post(&format!("{}/rotate", path(&wide)), &json!({})).await.error(403, "forbidden");
    assert_eq!(client.delete(&path(&less)).await.status, 204);
    home.stop().await;
}

#[tokio::test]
async fn token_is_renamed() {
    let home = Home::start().await;
    let owner = home.client();
    let token = create(&owner, TOKENS, json!({"name": "laptop"})).await;
    let renamed = patch(&owner, &path(&token), &json!({"name": "old laptop"})).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json()["name"]), (200, &json!("old laptop")));
    let list = owner.get(TOKENS).await.json();
    let listed = list["tokens"].as_array().unwrap().iter().find(|one| one["id"] == token["id"]).unwrap();
    assert_eq!(listed["name"], "old laptop");
    assert_eq!(as_created(&home, &token).get("/v1/models").await.status, 200);
    let error = patch(&owner, &path(&token), &json!({"name": ""})).await.error(400, "invalid_request");
    assert_eq!(error["param"], "name");
    let unknown = format!("{TOKENS}/tok_01J9ZX5V2QH8N4T6W0C3M7K1RB");
    patch(&owner, &unknown, &json!({"name": "x"})).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn rotated_token_is_valid_until_its_grace_ends() {
    let home = Home::start().await;
    let owner = home.client();
    let first = create(&owner, TOKENS, json!({"name": "ci"})).await;
    let rotate = async |grace: Value| {
        let answer = owner.post(&format!("{}/rotate", path(&first)), &grace).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    assert_eq!(as_created(&home, &first).get("/v1/models").await.status, 200);
    let second = rotate(json!({"grace_seconds": 3600})).await;
    assert_eq!(
        (&second["id"], &second["name"], &second["scopes"]),
        (&first["id"], &first["name"], &first["scopes"])
    );
    assert!(second["rotated_at"].is_string() && second["token"] != first["token"], "{second}");
    for token in [&first, &second] {
        assert_eq!(as_created(&home, token).get("/v1/models").await.status, 200);
    }
    // The second rotation ends the grace of the first, and has none itself.
    let third = rotate(json!({})).await;
    for token in [&first, &second] {
        as_created(&home, token).get("/v1/models").await.error(401, "unauthorized");
    }
    assert_eq!(as_created(&home, &third).get("/v1/models").await.status, 200);
    let count = owner.get(TOKENS).await.json()["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t["name"] == "ci")
        .count();
    assert_eq!(count, 1);

    let long = owner.post(&format!("{}/rotate", path(&first)), &json!({"grace_seconds": 604_801})).await;
    assert_eq!(long.error(400, "invalid_request")["param"], "grace_seconds");
    assert_eq!(owner.delete(&path(&first)).await.status, 204);
    as_created(&home, &third).get("/v1/models").await.error(401, "unauthorized");
    owner.post(&format!("{}/rotate", path(&first)), &json!({})).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn run_of_a_revoked_token_is_cancelled_and_others_run_on() {
    let home = Home::start().await;
    let owner = home.client();
    let token = create(&owner, TOKENS, json!({"name": "lost"})).await;
    let mut run = as_created(&home, &token).stream("/v1/generate", &endless_run()).await;
    let mut other = owner.stream("/v1/generate", &endless_run()).await;
    run.next_named("delta").await;
    other.next_named("delta").await;
    assert_eq!(owner.delete(&path(&token)).await.status, 204);
    assert_eq!(run.next_named("complete").await.data["finish_reason"], "cancelled");
    other.next_named("delta").await;
    hearth_tests::cancel_run(&owner, &other.request_id).await;
    home.stop().await;
}

#[tokio::test]
async fn last_use_of_a_credential_is_listed() {
    let home = Home::start().await;
    let owner = home.client();
    let token = create(&owner, TOKENS, json!({"name": "used"})).await;
    let unused = create(&owner, TOKENS, json!({"name": "unused"})).await;
    let key = create(&owner, ACCESS_KEYS, json!({"name": "kiosk", "models": ["tiny-chat"]})).await;
    for created in [&token, &key] {
        assert_eq!(as_created(&home, created).get("/v1/models").await.status, 200);
    }
    let last_use = async |list: &str, path: &str, id: &Value| {
        let all = owner.get(path).await.json();
        let one = all[list].as_array().unwrap().iter().find(|one| one["id"] == *id).cloned().unwrap();
        one["last_used_at"].clone()
    };
    // The write is in the background.
    eventually("a last use of the token", async || {
        last_use("tokens", TOKENS, &token["id"]).await.as_str().map(drop)
    })
    .await;
    eventually("a last use of the key", async || {
        last_use("access_keys", ACCESS_KEYS, &key["id"]).await.as_str().map(drop)
    })
    .await;
    assert_eq!(last_use("tokens", TOKENS, &unused["id"]).await, json!(null));
    home.stop().await;
}

#[tokio::test]
async fn access_key_runs_its_models_and_nothing_else() {
    let home = Setup::new().models(&["other"]).start().await;
    let owner = home.client();
    let key = create(&owner, ACCESS_KEYS, json!({"name": "kiosk", "models": ["tiny-chat"]})).await;
    assert!(text(&key, "key").starts_with("hak_") && key["models"] == json!(["tiny-chat"]), "{key}");
    let client = as_created(&home, &key);
    assert!(client.ask("What is the capital of France?").await.contains("Paris"));
    assert_eq!(names(&client.get("/v1/models").await.json()), ["auto", "tiny-chat"]);
    let other = json!({"model": "other", "input": {"prompt": "Hi"}});
    client.post("/v1/generate", &other).await.error(403, "forbidden");
    for path in [TOKENS, ACCESS_KEYS, "/v1/providers", "/metrics", "/v1/users/me", "/v1/usage"] {
        let error = client.get(path).await.error(403, "forbidden");
        assert!(error["details"]["action"].is_string(), "{path}: {error}");
    }
    client.delete("/v1/cache").await.error(403, "forbidden");
    client.post(TOKENS, &json!({"name": "x"})).await.error(403, "forbidden");

    for models in [json!([]), json!(["tiny*"])] {
        let error = owner.post(ACCESS_KEYS, &json!({"name": "bad", "models": models})).await;
        assert_eq!(error.error(400, "invalid_request")["param"], "models");
    }
    let path = format!("{ACCESS_KEYS}/{}", text(&key, "id"));
    assert_eq!(owner.delete(&path).await.status, 204);
    client.get("/v1/models").await.error(401, "unauthorized");
    let list = owner.get(ACCESS_KEYS).await;
    assert!(list.json()["access_keys"][0]["revoked_at"].is_string(), "{list:?}");
    assert!(!String::from_utf8_lossy(&list.body).contains(text(&key, "key")), "the list shows a key");
    home.stop().await;
}

#[tokio::test]
async fn log_line_has_the_ids_of_user_and_credential() {
    let home = Home::start().await;
    let owner = home.client();
    let token = create(&owner, TOKENS, json!({"name": "logged", "scopes": ["generate"]})).await;
    let client = as_created(&home, &token);
    // Refused requests are logged with their callers too.
    let refused = client.get("/v1/models").await;
    assert_eq!(refused.status, 403);
    let anonymous = client.with_token(None).get("/v1/models").await;
    let folder = home.data().join("logs");
    let _folder = home.stop().await;
    let text = std::fs::read_to_string(folder.join("hearth.log")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line_of = |answer: &hearth_tests::Answer| {
        let id = answer.header("x-request-id").to_owned();
        lines.iter().find(|line| line["request_id"] == id.as_str()).cloned().unwrap()
    };
    let line = line_of(&refused);
    assert_eq!((&line["credential"], &line["status"]), (&token["id"], &json!(403)), "{line}");
    assert!(line["user_id"].as_str().unwrap().starts_with("usr_"), "{line}");
    assert!(line["organisation_id"].as_str().unwrap().starts_with("org_"), "{line}");
    let line = line_of(&anonymous);
    assert!(line.get("credential").is_none() && line.get("user_id").is_none(), "{line}");
}
