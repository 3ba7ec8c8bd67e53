//! `/v1/users/tokens`: tokens and their scopes.

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
async fn new_token_is_shown_once_and_works() {
    let home = Home::start().await;
    let client = home.client();
    let created = create(&home, json!({"name": "laptop"})).await;
    assert!(text(&created, "token").starts_with("hth_"), "{created}");
    assert!(text(&created, "token").starts_with(text(&created, "prefix")), "{created}");
    assert_eq!(
        (&created["name"], &created["scopes"]),
        (&json!("laptop"), &json!(["generate", "models:read"]))
    );
    assert_eq!((&created["expires_at"], &created["revoked_at"]), (&json!(null), &json!(null)));

    let list = client.get("/v1/users/tokens").await;
    let record = list.json()["tokens"].as_array().unwrap().iter().find(|t| t["id"] == created["id"]).cloned();
    assert_eq!(record.unwrap()["name"], "laptop");
    assert!(!String::from_utf8_lossy(&list.body).contains(text(&created, "token")), "the list shows a token");

    let theirs = client.with_token(Some(text(&created, "token")));
    assert_eq!(theirs.get("/v1/models").await.status, 200);
    assert!(theirs.ask("What is the capital of France?").await.contains("Paris"));
    home.stop().await;
}

#[tokio::test]
async fn token_is_limited_to_its_scopes() {
    let home = Home::start().await;
    let reader = create(&home, json!({"name": "reader", "scopes": ["models:read"]})).await;
    let reader = home.client().with_token(Some(text(&reader, "token")));
    assert_eq!(reader.get("/v1/models").await.status, 200);
    let error = reader.post("/v1/generate", &capital_of_france()).await.error(403, "forbidden");
    assert_eq!(error["type"], "permission_error");
    reader.post(&format!("/v1/models/{}/unload", home.model), &json!({})).await.error(403, "forbidden");
    reader.get("/v1/users/tokens").await.error(403, "forbidden");
    reader.get("/metrics").await.error(403, "forbidden");
    // The existence of a resource isn't shown without the scope.
    reader.get("/v1/requests/req_01J9ZX5V2QH8N4T6W0C3M7K1RB").await.error(403, "forbidden");

    let maker = create(&home, json!({"name": "maker", "scopes": ["tokens"]})).await;
    let maker = home.client().with_token(Some(text(&maker, "token")));
    let more = json!({"name": "more", "scopes": ["tokens", "ops"]});
    maker.post("/v1/users/tokens", &more).await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn revoked_token_is_refused_at_once() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let created = create(&home, json!({"name": "lost"})).await;
    let theirs = client.with_token(Some(text(&created, "token")));
    assert_eq!(theirs.get("/v1/models").await.status, 200);

    let path = format!("/v1/users/tokens/{}", text(&created, "id"));
    assert!(client.delete(&path).await.status.is_success());
    theirs.get("/v1/models").await.error(401, "unauthorized");
    let list = client.get("/v1/users/tokens").await.json();
    let record = list["tokens"].as_array().unwrap().iter().find(|t| t["id"] == created["id"]).cloned();
    assert!(record.unwrap()["revoked_at"].is_string(), "{list}");
    client.delete("/v1/users/tokens/tok_01J9ZX5V2QH8N4T6W0C3M7K1RB").await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn invalid_token_request_names_the_field() {
    let home = Home::start_without_node().await;
    let cases = [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(101)}), "name"),
        (json!({"name": "a\nb"}), "name"),
        (json!({"name": "a\u{0}b"}), "name"),
        (json!({"name": "a\u{1b}[31mb"}), "name"),
        (json!({"name": "x", "scopes": []}), "scopes"),
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

#[tokio::test]
async fn duplicate_scopes_are_removed() {
    let home = Home::start_without_node().await;
    let scopes = ["tokens", "generate", "tokens"].repeat(500);
    let created = create(&home, json!({"name": "x", "scopes": scopes})).await;
    assert_eq!(created["scopes"], json!(["generate", "tokens"]));
    home.stop().await;
}

#[tokio::test]
async fn token_creates_none_that_expires_later() {
    let home = Home::start_without_node().await;
    let all = ["generate", "models:read", "models:write", "tokens", "providers", "ops"];
    let short = create(&home, json!({"name": "short", "scopes": all, "expires_in_days": 5})).await;
    let client = home.client().with_token(Some(text(&short, "token")));
    for days in [5, 6, 3650] {
        let body = json!({"name": "long", "expires_in_days": days});
        let error = client.post("/v1/users/tokens", &body).await.error(403, "forbidden");
        assert_eq!(error["param"], "expires_in_days", "{error}");
    }
    let sooner = client.post("/v1/users/tokens", &json!({"name": "sooner", "expires_in_days": 4})).await;
    assert_eq!(sooner.status, 201, "{sooner:?}");
    let same = client.post("/v1/users/tokens", &json!({"name": "same"})).await.json();
    assert_eq!(same["expires_at"], short["expires_at"]);
    home.stop().await;
}

#[tokio::test]
async fn token_revokes_itself_and_narrower_ones() {
    let home = Home::start_without_node().await;
    let owner = home.client();
    let path = |token: &Value| format!("/v1/users/tokens/{}", text(token, "id"));
    let tokens = owner.get("/v1/users/tokens").await.json()["tokens"].clone();
    // The commands of this machine have a token too, which may be issued in the same millisecond.
    let first =
        tokens.as_array().unwrap().iter().find(|token| token["name"] == "first token").unwrap().clone();
    let wider = create(&home, json!({"name": "wider", "scopes": ["generate", "tokens", "ops"]})).await;
    let longer = create(&home, json!({"name": "longer", "scopes": ["tokens"]})).await;
    let narrow = json!({"name": "narrow", "scopes": ["tokens", "generate"], "expires_in_days": 5});
    let narrow = create(&home, narrow).await;
    let less = create(&home, json!({"name": "less", "scopes": ["generate"], "expires_in_days": 4})).await;
    let client = owner.with_token(Some(text(&narrow, "token")));
    assert_eq!(client.delete(&path(&first)).await.error(403, "forbidden")["details"]["scope"], "models:read");
    assert_eq!(client.delete(&path(&wider)).await.error(403, "forbidden")["details"]["scope"], "ops");
    client.delete(&path(&longer)).await.error(403, "forbidden");
    assert_eq!(client.delete(&path(&less)).await.status, 204);
    let own = client.post("/v1/users/tokens", &json!({"name": "own", "scopes": ["generate"]})).await.json();
    assert_eq!(client.delete(&path(&own)).await.status, 204);
    assert_eq!(client.delete(&path(&narrow)).await.status, 204);
    client.get("/v1/users/tokens").await.error(401, "unauthorized");

    // The last one with every scope stays until there is another.
    owner.delete(&path(&first)).await.error(409, "conflict");
    let all = first["scopes"].clone();
    let brief = create(&home, json!({"name": "brief", "scopes": all, "expires_in_days": 5})).await;
    owner.delete(&path(&first)).await.error(409, "conflict");
    let second = create(&home, json!({"name": "second", "scopes": all})).await;
    assert_eq!(owner.delete(&path(&brief)).await.status, 204);
    assert_eq!(owner.delete(&path(&first)).await.status, 204);
    let owner = owner.with_token(Some(text(&second, "token")));
    owner.delete(&path(&second)).await.error(409, "conflict");
    home.stop().await;
}
