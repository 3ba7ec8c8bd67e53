//! `/v1/users/tokens`: making tokens, and what they may do.

use hearth_tests::{Answer, Home};
use serde_json::{Value, json};

use crate::capital_of_france;

async fn create(home: &Home, body: Value) -> Value {
    let answer: Answer = home.client().post("/v1/users/tokens", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_new_token_is_shown_once_and_works() {
    let home = Home::start().await;
    let client = home.client();
    let made = create(&home, json!({"name": "laptop"})).await;
    assert!(text(&made, "token").starts_with("hth_"), "{made}");
    assert!(text(&made, "token").starts_with(text(&made, "prefix")), "{made}");
    assert_eq!((&made["name"], &made["scopes"]), (&json!("laptop"), &json!(["generate", "models:read"])));
    assert_eq!((&made["expires_at"], &made["revoked_at"]), (&json!(null), &json!(null)));

    let list = client.get("/v1/users/tokens").await;
    let record = list.json()["tokens"].as_array().unwrap().iter().find(|t| t["id"] == made["id"]).cloned();
    assert_eq!(record.unwrap()["name"], "laptop");
    assert!(!String::from_utf8_lossy(&list.body).contains(text(&made, "token")), "the list shows a token");

    let theirs = client.with_token(Some(text(&made, "token")));
    assert_eq!(theirs.get("/v1/models").await.status, 200);
    assert!(theirs.ask("What is the capital of France?").await.contains("Paris"));
    home.stop().await;
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_no_more() {
    let home = Home::start().await;
    let reader = create(&home, json!({"name": "reader", "scopes": ["models:read"]})).await;
    let reader = home.client().with_token(Some(text(&reader, "token")));
    assert_eq!(reader.get("/v1/models").await.status, 200);
    let error = reader.post("/v1/generate", &capital_of_france()).await.error(403, "forbidden");
    assert_eq!(error["type"], "permission_error");
    reader.post(&format!("/v1/models/{}/unload", home.model), &json!({})).await.error(403, "forbidden");
    reader.get("/v1/users/tokens").await.error(403, "forbidden");
    reader.get("/metrics").await.error(403, "forbidden");
    // Whether something exists is not told to who may not see it.
    reader.get("/v1/requests/req_01J9ZX5V2QH8N4T6W0C3M7K1RB").await.error(403, "forbidden");

    let maker = create(&home, json!({"name": "maker", "scopes": ["tokens"]})).await;
    let maker = home.client().with_token(Some(text(&maker, "token")));
    let more = json!({"name": "more", "scopes": ["tokens", "ops"]});
    maker.post("/v1/users/tokens", &more).await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn a_revoked_token_stops_working_at_once() {
    let home = Home::start().await;
    let client = home.client();
    let made = create(&home, json!({"name": "lost"})).await;
    let theirs = client.with_token(Some(text(&made, "token")));
    assert_eq!(theirs.get("/v1/models").await.status, 200);

    let path = format!("/v1/users/tokens/{}", text(&made, "id"));
    assert!(client.delete(&path).await.status.is_success());
    theirs.get("/v1/models").await.error(401, "unauthorized");
    let list = client.get("/v1/users/tokens").await.json();
    let record = list["tokens"].as_array().unwrap().iter().find(|t| t["id"] == made["id"]).cloned();
    assert!(record.unwrap()["revoked_at"].is_string(), "{list}");
    client.delete("/v1/users/tokens/tok_01J9ZX5V2QH8N4T6W0C3M7K1RB").await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn a_bad_request_for_a_token_names_the_field() {
    let home = Home::start().await;
    let cases = [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(101)}), "name"),
        (json!({"name": "x", "scopes": ["everything"]}), "scopes[0]"),
        (json!({"name": "x", "expires_in_days": 0}), "expires_in_days"),
        (json!({"name": "x", "expires_in_days": 3651}), "expires_in_days"),
        (json!({"name": "x", "colour": "red"}), "colour"),
    ];
    for (body, param) in cases {
        let error = home.client().post("/v1/users/tokens", &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{body}");
    }
    home.stop().await;
}
