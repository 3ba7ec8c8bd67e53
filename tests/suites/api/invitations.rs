//! Registration by invitations: their maker's rights, the addresses that they reveal, and their entries in the audit log.

use hearth_tests::{Client, Home, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{PASSWORD, SignedIn, invite, login, member};

async fn without_node() -> Home {
    Setup::new().arguments(&["--no-node"]).start().await
}

/// Changes the role of a member of the operator's organisation.
async fn set_role(home: &Home, user: &SignedIn, role: &str) {
    let organisations = home.client().get("/v1/organisations").await.json();
    let id = organisations["organisations"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/organisations/{id}/members/{}", user.id);
    let client = home.client();
    let answer = client.send(client.request(Method::PATCH, &path).json(&json!({"role": role}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn registration(code: &Value, email: &str) -> Value {
    json!({"code": code, "email": email, "name": "Ada", "password": PASSWORD})
}

#[tokio::test]
async fn invitation_ends_with_its_makers_right_to_make_it() {
    let home = without_node().await;
    let admin = member(&home, "admin@example.org", "admin").await;
    let code = invite(&admin.client, &json!({"role": "developer"})).await["code"].clone();
    let anonymous = home.client().with_token(None);
    set_role(&home, &admin, "developer").await;
    let request = registration(&code, "ada@example.org");
    let refused = anonymous.post("/v1/users/register", &request).await.error(403, "forbidden");
    assert_eq!(refused["param"], "code");
    let bob = member(&home, "bob@example.org", "viewer").await;
    bob.client.post("/v1/users/me/invites/accept", &json!({"code": code})).await.error(403, "forbidden");
    // With the right the invitation is valid again.
    set_role(&home, &admin, "admin").await;
    assert_eq!(anonymous.post("/v1/users/register", &request).await.status, 201);
    home.stop().await;
}

#[tokio::test]
async fn invitation_ends_after_five_addresses_with_an_account() {
    let home = without_node().await;
    member(&home, "ada@example.org", "viewer").await;
    let code = invite(&home.client(), &json!({"role": "viewer"})).await["code"].clone();
    let anonymous = home.client().with_token(None);
    let request = registration(&code, "Ada@example.org");
    for _ in 0..5 {
        anonymous.post("/v1/users/register", &request).await.error(409, "conflict");
    }
    let other = registration(&code, "bob@example.org");
    anonymous.post("/v1/users/register", &other).await.error(403, "forbidden");
    assert_eq!(home.client().get("/v1/users/invites").await.json()["invites"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn registrations_of_a_network_are_limited() {
    let home = without_node().await;
    let code =
        invite(&home.client(), &json!({"role": "viewer", "email": "a@example.org"})).await["code"].clone();
    let anonymous = home.client().with_token(None);
    let mut last = anonymous.post("/v1/users/register", &registration(&code, "b@example.org")).await;
    for _ in 0..40 {
        last = anonymous.post("/v1/users/register", &registration(&code, "b@example.org")).await;
        if last.status == 429 {
            break;
        }
    }
    last.error(429, "rate_limited");
    home.stop().await;
}

#[tokio::test]
async fn strangers_attempts_dont_lock_a_user_out_of_a_confirmation() {
    let home = without_node().await;
    let ada = member(&home, "ada@example.org", "viewer").await;
    // Another network than that of Ada's login.
    let stranger = Client::from_address(&home.url, None, Some([127, 0, 0, 2].into()));
    let wrong = json!({"email": "ada@example.org", "password": "a wrong sentence of mine"});
    let mut last = stranger.post("/v1/users/login", &wrong).await;
    for _ in 0..12 {
        last = stranger.post("/v1/users/login", &wrong).await;
    }
    last.error(429, "rate_limited");
    let change = json!({"current_password": PASSWORD, "new_password": "another sentence of mine"});
    let answer = ada.client.post("/v1/users/me/password", &change).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn wrong_confirmations_are_limited() {
    let home = without_node().await;
    let ada = member(&home, "ada@example.org", "viewer").await;
    let change =
        json!({"current_password": "a wrong sentence of mine", "new_password": "another sentence of mine"});
    for _ in 0..10 {
        ada.client.post("/v1/users/me/password", &change).await.error(403, "forbidden");
    }
    ada.client.post("/v1/users/me/password", &change).await.error(429, "rate_limited");
    home.stop().await;
}

#[tokio::test]
async fn entries_name_what_was_created_and_the_role() {
    let home = without_node().await;
    let client = home.client();
    let created = invite(&client, &json!({"role": "viewer", "email": "ada@example.org"})).await;
    let anonymous = home.client().with_token(None);
    let registered =
        anonymous.post("/v1/users/register", &registration(&created["code"], "ada@example.org")).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    let body = json!({"email": "bob@example.org", "name": "Bob", "password": PASSWORD, "role": "developer"});
    let bob = client.post("/v1/users", &body).await.json();
    let organisation = client.post("/v1/organisations", &json!({"name": "Foundry"})).await.json();
    let reset = format!("/v1/users/{}/password-reset", bob["id"].as_str().unwrap());
    let reset = client.post(&reset, &json!({})).await.json();
    let reset = json!({"code": reset["code"], "password": "another sentence of mine"});
    assert_eq!(anonymous.post("/v1/users/password-reset", &reset).await.status, 204);
    let log = client.get("/v1/audit?limit=1000").await;
    let text = String::from_utf8_lossy(&log.body).into_owned();
    let log = log.json();
    let entry = |operation: &str| {
        let mut entries = log["entries"].as_array().unwrap().iter();
        entries
            .find(|entry| entry["operation"] == operation)
            .unwrap_or_else(|| panic!("no {operation}: {log}"))
    };
    let invited = entry("create_invite");
    assert_eq!((&invited["resources"][0], &invited["details"]["role"]), (&created["id"], &json!("viewer")));
    let user = entry("create_user");
    assert_eq!((&user["resources"][0], &user["details"]["role"]), (&bob["id"], &json!("developer")));
    assert_eq!(entry("create_organisation")["resources"][0], organisation["id"]);
    // They are in the log of the organisation, by their user.
    let register = entry("register_user");
    assert_eq!(
        (&register["user"], &register["resources"][0]),
        (&registered.json()["id"], &registered.json()["id"])
    );
    assert_eq!(entry("reset_password")["user"], bob["id"]);
    for personal in ["ada@example.org", "bob@example.org", "Bob", "Foundry"] {
        assert!(!text.contains(personal), "{personal} is in the log");
    }
    home.stop().await;
}

#[tokio::test]
async fn login_of_a_removed_member_stays_ended_when_they_join_again() {
    let home = without_node().await;
    let ada = member(&home, "ada@example.org", "viewer").await;
    let organisations = home.client().get("/v1/organisations").await.json();
    let id = organisations["organisations"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/organisations/{id}/members/{}", ada.id);
    assert_eq!(home.client().delete(&path).await.status, 204);
    let client = home.client();
    let again = client.request(Method::PUT, &format!("/v1/admin{}", path.trim_start_matches("/v1")));
    assert_eq!(client.send(again.json(&json!({"role": "viewer"}))).await.status, 200);
    ada.client.get("/v1/models").await.error(401, "unauthorized");
    let fresh = login(&home, "ada@example.org").await;
    assert_eq!(fresh.get("/v1/models").await.status, 200);
    home.stop().await;
}
