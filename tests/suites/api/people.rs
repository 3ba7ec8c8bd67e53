//! `/v1/users`: registration, invitations, profiles, passwords and consents.

use futures::future::join_all;
use hearth_domain::Timestamp;
use hearth_tests::{Answer, Client, Home, Setup, hearth, run};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "a sentence of mine";

/// A user of a test, signed in.
pub(crate) struct SignedIn {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) client: Client,
}

pub(crate) async fn invite(client: &Client, body: &Value) -> Value {
    let answer = client.post("/v1/users/invites", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn registration(code: &Value, email: &str) -> Value {
    json!({"code": code, "email": email, "name": "Ada", "password": PASSWORD})
}

async fn register(home: &Home, code: &Value, email: &str) -> Answer {
    home.client().with_token(None).post("/v1/users/register", &registration(code, email)).await
}

async fn try_login(home: &Home, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    home.client().with_token(None).post("/v1/users/login", &body).await
}

async fn access_token(home: &Home, email: &str) -> String {
    let answer = try_login(home, email, PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

pub(crate) async fn login(home: &Home, email: &str) -> Client {
    home.client().with_token(Some(&access_token(home, email).await))
}

/// Invites and registers a user, and signs them in.
pub(crate) async fn member(home: &Home, email: &str, role: &str) -> SignedIn {
    let invite = invite(&home.client(), &json!({"role": role, "email": email})).await;
    let answer = register(home, &invite["code"], email).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let token = access_token(home, email).await;
    SignedIn { id, client: home.client().with_token(Some(&token)), token }
}

async fn patch(client: &Client, path: &str, body: &Value) -> Answer {
    client.send(client.request(Method::PATCH, path).json(body)).await
}

#[tokio::test]
async fn invited_user_registers_signs_in_and_generates() {
    let home = Home::start().await;
    let created = invite(&home.client(), &json!({"role": "developer", "email": "Ada@example.org"})).await;
    let code = created["code"].as_str().unwrap();
    assert!(code.starts_with("hinv_"), "{created}");
    let list = home.client().get("/v1/users/invites").await;
    assert_eq!(list.json()["invites"][0]["id"], created["id"]);
    assert!(!String::from_utf8_lossy(&list.body).contains(code), "the list shows a code");

    let other = register(&home, &created["code"], "bob@example.org").await.error(403, "forbidden");
    assert_eq!(other["param"], "email");
    let answer = register(&home, &created["code"], "ada@example.org").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let user = answer.json();
    assert_eq!(user["memberships"][0]["role"], "developer", "{user}");
    assert!(!String::from_utf8_lossy(&answer.body).contains("argon2"), "a hash is shown");
    register(&home, &created["code"], "ada@example.org").await.error(403, "forbidden");
    assert_eq!(home.client().get("/v1/users/invites").await.json()["invites"], json!([]));

    let ada = login(&home, "ADA@example.org").await;
    assert!(ada.ask("What is the capital of France?").await.contains("Paris"));
    assert_eq!(ada.get("/v1/users/me").await.json()["id"], user["id"]);
    ada.post("/v1/users/invites", &json!({"role": "viewer"})).await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn invitation_is_used_by_one_of_twenty() {
    let home = Home::start_without_node().await;
    let code = invite(&home.client(), &json!({"role": "viewer"})).await["code"].clone();
    let emails: Vec<String> = (0..20).map(|number| format!("{number}@example.org")).collect();
    let answers = join_all(emails.iter().map(|email| register(&home, &code, email))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert!([403, 409, 429, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn address_is_registered_by_one_of_fifty() {
    let home = Home::start_without_node().await;
    let owner = home.client();
    let codes =
        join_all((0..50).map(|_| async { invite(&owner, &json!({"role": "viewer"})).await["code"].clone() }))
            .await;
    let answers = join_all(codes.iter().map(|code| register(&home, code, "ada@example.org"))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1, "{answers:?}");
    let refused = answers.iter().filter(|answer| answer.status == 409).count();
    assert!(refused > 0, "{answers:?}");
    for answer in &answers {
        assert!([201, 409, 429, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn nobody_invites_above_their_own_role() {
    let home = Home::start_without_node().await;
    let admin = member(&home, "admin@example.org", "admin").await.client;
    for role in ["owner", "auditor"] {
        let error = admin.post("/v1/users/invites", &json!({"role": role})).await.error(403, "forbidden");
        assert_eq!(error["param"], "role");
        let user = json!({"email": "x@example.org", "name": "X", "password": PASSWORD, "role": role});
        admin.post("/v1/users", &user).await.error(403, "forbidden");
    }
    for role in ["admin", "developer", "viewer"] {
        invite(&admin, &json!({"role": role})).await;
    }
    invite(&home.client(), &json!({"role": "auditor"})).await;
    home.stop().await;
}

#[tokio::test]
async fn revoked_wrong_and_missing_codes_are_refused_alike() {
    let home = Home::start_without_node().await;
    let created = invite(&home.client(), &json!({"role": "viewer"})).await;
    let path = format!("/v1/users/invites/{}", created["id"].as_str().unwrap());
    assert_eq!(home.client().delete(&path).await.status, 204);
    home.client().delete(&path).await.error(404, "not_found");
    let revoked = register(&home, &created["code"], "a@example.org").await.error(403, "forbidden");
    let wrong = register(&home, &json!("hinv_no"), "a@example.org").await.error(403, "forbidden");
    assert_eq!(revoked["message"], wrong["message"]);
    let missing = json!({"email": "a@example.org", "name": "A", "password": PASSWORD});
    let anonymous = home.client().with_token(None);
    anonymous.post("/v1/users/register", &missing).await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn open_registration_makes_developers_of_the_operators_organisation() {
    let home = Setup::new().settings("[accounts]\nopen_registration = true\n").without_node().start().await;
    let body = json!({"email": "ada@example.org", "name": "Ada", "password": PASSWORD});
    let anonymous = home.client().with_token(None);
    let answer = anonymous.post("/v1/users/register", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["memberships"][0]["role"], "developer");
    anonymous.post("/v1/users/register", &body).await.error(409, "conflict");
    home.stop().await;
}

#[tokio::test]
async fn invalid_registration_names_the_field() {
    let home = Home::start_without_node().await;
    let code = invite(&home.client(), &json!({"role": "viewer"})).await["code"].clone();
    let anonymous = home.client().with_token(None);
    for (field, value) in [
        ("email", json!("no address")),
        ("name", json!(" ")),
        ("name", json!("a\nb")),
        ("password", json!("short")),
        ("password", json!("password12345")),
        ("password", json!("a".repeat(2000))),
    ] {
        let mut body = registration(&code, "ada@example.org");
        body[field] = value;
        let error = anonymous.post("/v1/users/register", &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], field, "{error}");
    }
    for (field, value) in [
        ("expires_in_days", json!(0)),
        ("expires_in_days", json!(31)),
        ("email", json!("x")),
        ("teams", json!(["team_x"])),
    ] {
        let mut body = json!({"role": "viewer"});
        body[field] = value;
        let error = home.client().post("/v1/users/invites", &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], field, "{error}");
    }
    home.stop().await;
}

#[tokio::test]
async fn operator_gets_a_sign_in_and_keeps_everything() {
    let home = Home::start().await;
    let owner = home.client();
    let before = owner.get("/v1/users/me").await.json();
    assert_eq!((&before["email"], &before["has_password"]), (&Value::Null, &json!(false)));
    let run = owner.post("/v1/generate", &json!({"input": {"prompt": "Hello!"}})).await.json();
    let body = json!({"email": "owner@example.org", "name": "Owner", "password": PASSWORD});
    let narrow = json!({"name": "narrow", "scopes": ["account"]});
    let narrow = owner.post("/v1/users/tokens", &narrow).await.json();
    let narrow = owner.with_token(narrow["token"].as_str());
    narrow.post("/v1/users/me/sign-in", &body).await.error(403, "forbidden");
    let user = owner.post("/v1/users/me/sign-in", &body).await;
    assert_eq!(user.status, 200, "{user:?}");
    assert_eq!(user.json()["id"], before["id"]);
    owner.post("/v1/users/me/sign-in", &body).await.error(409, "conflict");
    let signed_in = login(&home, "owner@example.org").await;
    let path = format!("/v1/requests/{}", run["request_id"].as_str().unwrap());
    assert_eq!(signed_in.get(&path).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn bootstrap_code_gives_the_operator_a_sign_in_once() {
    let home = Home::start_without_node().await;
    let id = home.client().get("/v1/users/me").await.json()["id"].clone();
    let folder = home.folder().to_owned();
    let (home, code) = home
        .restart_after_command(async |data| {
            let data = data.to_str().unwrap();
            let ended = run(hearth(&folder, &["user", "bootstrap", "--data", data]), "").await;
            assert!(ended.status.success(), "{ended:?}");
            ended.stdout.trim().to_owned()
        })
        .await;
    assert!(code.starts_with("hboot_"), "{code}");
    let answer = register(&home, &json!(code), "owner@example.org").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["id"], id);
    register(&home, &json!(code), "other@example.org").await.error(403, "forbidden");
    let signed_in = login(&home, "owner@example.org").await;
    assert_eq!(signed_in.get("/v1/admin/users").await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn profile_and_address_are_changed_with_the_password() {
    let home = Home::start_without_node().await;
    let ada = member(&home, "ada@example.org", "developer").await.client;
    member(&home, "bob@example.org", "developer").await;
    let changed = patch(&ada, "/v1/users/me", &json!({"name": "Ada Lovelace"})).await;
    assert_eq!(changed.json()["name"], "Ada Lovelace", "{changed:?}");
    let email = json!({"email": "ada@example.net"});
    patch(&ada, "/v1/users/me", &email).await.error(400, "invalid_request");
    let wrong = json!({"email": "ada@example.net", "password": "another sentence"});
    patch(&ada, "/v1/users/me", &wrong).await.error(403, "forbidden");
    let taken = json!({"email": "BOB@example.org", "password": PASSWORD});
    patch(&ada, "/v1/users/me", &taken).await.error(409, "conflict");
    let right = json!({"email": "ada@example.net", "password": PASSWORD});
    assert_eq!(patch(&ada, "/v1/users/me", &right).await.json()["email"], "ada@example.net");
    login(&home, "ada@example.net").await;
    try_login(&home, "ada@example.org", PASSWORD).await.error(401, "unauthorized");
    patch(&ada, "/v1/users/me", &json!({"colour": "red"})).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn changed_password_ends_the_other_logins() {
    let home = Home::start_without_node().await;
    let ada = member(&home, "ada@example.org", "developer").await.client;
    let elsewhere = login(&home, "ada@example.org").await;
    let new = "another sentence of mine";
    let wrong = json!({"current_password": "not my password", "new_password": new});
    ada.post("/v1/users/me/password", &wrong).await.error(403, "forbidden");
    let missing = json!({"new_password": new});
    let error = ada.post("/v1/users/me/password", &missing).await.error(400, "invalid_request");
    assert_eq!(error["param"], "current_password");
    let short = json!({"current_password": PASSWORD, "new_password": "short"});
    let error = ada.post("/v1/users/me/password", &short).await.error(400, "invalid_request");
    assert_eq!(error["param"], "new_password");
    let right = json!({"current_password": PASSWORD, "new_password": new});
    assert_eq!(ada.post("/v1/users/me/password", &right).await.status, 204);
    assert_eq!(ada.get("/v1/users/me").await.status, 200, "the own login has ended");
    elsewhere.get("/v1/users/me").await.error(401, "unauthorized");
    try_login(&home, "ada@example.org", PASSWORD).await.error(401, "unauthorized");
    assert_eq!(try_login(&home, "ada@example.org", new).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn reset_code_sets_a_password_once_and_ends_all_logins() {
    let home = Home::start_without_node().await;
    let ada = member(&home, "ada@example.org", "developer").await;
    let admin = member(&home, "admin@example.org", "admin").await;
    let reset = |id: &str| format!("/v1/users/{id}/password-reset");
    let owner_id = home.client().get("/v1/users/me").await.json()["id"].as_str().unwrap().to_owned();
    admin.client.post(&reset(&owner_id), &json!({})).await.error(403, "forbidden");
    ada.client.post(&reset(&admin.id), &json!({})).await.error(403, "forbidden");
    admin.client.post(&reset("usr_01J9ZX5V2QH8N4T6W0C3M7K1RB"), &json!({})).await.error(404, "not_found");
    let first = admin.client.post(&reset(&ada.id), &json!({})).await;
    assert_eq!(first.status, 201, "{first:?}");
    let second = admin.client.post(&reset(&ada.id), &json!({})).await.json();

    let anonymous = home.client().with_token(None);
    let new = "another sentence of mine";
    let body = json!({"code": first.json()["code"], "password": new});
    assert_eq!(anonymous.post("/v1/users/password-reset", &body).await.status, 204);
    anonymous.post("/v1/users/password-reset", &body).await.error(403, "forbidden");
    let older = json!({"code": second["code"], "password": PASSWORD});
    anonymous.post("/v1/users/password-reset", &older).await.error(403, "forbidden");
    ada.client.get("/v1/users/me").await.error(401, "unauthorized");
    try_login(&home, "ada@example.org", PASSWORD).await.error(401, "unauthorized");
    assert_eq!(try_login(&home, "ada@example.org", new).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn consents_are_listed_as_they_were_given() {
    let home = Home::start_without_node().await;
    let ada = member(&home, "ada@example.org", "viewer").await.client;
    let before = Timestamp::now().to_string();
    for version in ["2026-01", "2026-02"] {
        let body = json!({"document": "terms", "version": version});
        assert_eq!(ada.post("/v1/users/me/consents", &body).await.status, 201);
    }
    let list = ada.get("/v1/users/me/consents").await.json();
    let versions: Vec<&Value> =
        list["consents"].as_array().unwrap().iter().map(|consent| &consent["version"]).collect();
    assert_eq!(versions, ["2026-01", "2026-02"]);
    assert!(list["consents"][0]["given_at"].as_str().unwrap() >= before.as_str(), "{list}");
    let bad = json!({"document": "Terms of use", "version": "1"});
    ada.post("/v1/users/me/consents", &bad).await.error(400, "invalid_request");
    assert_eq!(home.client().get("/v1/users/me/consents").await.json()["consents"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn user_joins_a_second_organisation_by_an_invitation() {
    let home = Home::start_without_node().await;
    let (home, stranger) = home.restart_with_a_stranger().await;
    let stranger = home.client().with_token(Some(&stranger));
    let ada = member(&home, "ada@example.org", "developer").await;
    let code = invite(&stranger, &json!({"role": "admin", "email": "ada@example.org"})).await["code"].clone();
    let bob = member(&home, "bob@example.org", "developer").await;
    bob.client.post("/v1/users/me/invites/accept", &json!({"code": code})).await.error(403, "forbidden");
    let accepted = ada.client.post("/v1/users/me/invites/accept", &json!({"code": code})).await;
    assert_eq!(accepted.status, 200, "{accepted:?}");
    assert_eq!(accepted.json()["role"], "admin");
    ada.client.post("/v1/users/me/invites/accept", &json!({"code": code})).await.error(403, "forbidden");
    let memberships = ada.client.get("/v1/users/me").await.json()["memberships"].as_array().unwrap().len();
    assert_eq!(memberships, 2);
    let again = invite(&stranger, &json!({"role": "viewer"})).await["code"].clone();
    ada.client.post("/v1/users/me/invites/accept", &json!({"code": again})).await.error(409, "conflict");
    // The password opens both organisations: an admin of one can't set it.
    stranger.post(&format!("/v1/users/{}/password-reset", ada.id), &json!({})).await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn preferred_model_serves_where_the_request_leaves_it_open() {
    let home = Setup::new().models(&["other"]).start().await;
    let ada = member(&home, "ada@example.org", "developer").await.client;
    let model = async |body: Value| ada.post("/v1/generate", &body).await.json()["model"].clone();
    let open = json!({"input": {"prompt": "Hello!"}});
    assert_eq!(model(open.clone()).await, json!(home.model));
    let preferences = json!({"preferences": {"models": {"text": "other"}}});
    let changed = patch(&ada, "/v1/users/me", &preferences).await;
    assert_eq!(changed.json()["preferences"]["models"]["text"], "other", "{changed:?}");
    assert_eq!(model(open.clone()).await, "other");
    let own_choice = json!({"input": {"prompt": "Hello!"}, "model": home.model});
    assert_eq!(model(own_choice).await, json!(home.model));
    // Another user has other preferences.
    let answer = home.client().post("/v1/generate", &open).await.json();
    assert_eq!(answer["model"], json!(home.model));
    let bad = json!({"preferences": {"models": {"text": ""}}});
    patch(&ada, "/v1/users/me", &bad).await.error(400, "invalid_request");
    let bad = json!({"preferences": {"models": {"smell": "x"}}});
    patch(&ada, "/v1/users/me", &bad).await.error(400, "invalid_request");
    home.stop().await;
}
