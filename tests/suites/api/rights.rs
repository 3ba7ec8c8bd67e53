//! Rights that nobody gets by a detour: over sign-ins, codes, roles and the administration.

use hearth_domain::Scope;
use hearth_tests::{Answer, Client, Home};
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{PASSWORD, member};

async fn send(client: &Client, method: Method, path: &str, body: &Value) -> Answer {
    client.send(client.request(method, path).json(body)).await
}

async fn operators(home: &Home) -> String {
    let own = home.client().get("/v1/organisations").await.json();
    own["organisations"][0]["id"].as_str().unwrap().to_owned()
}

/// Clients with the owner's tokens that have fewer rights than a sign-in.
async fn limited(owner: &Client) -> Vec<Client> {
    let all = Scope::ALL.map(Scope::as_str);
    let mut clients = Vec::new();
    for token in [
        json!({"name": "narrow", "scopes": ["organisation", "account", "admin"]}),
        json!({"name": "models", "scopes": all, "models": ["local"]}),
        json!({"name": "short", "scopes": all, "expires_in_days": 1}),
    ] {
        let created = owner.post("/v1/users/tokens", &token).await.json();
        clients.push(owner.with_token(created["token"].as_str()));
    }
    clients
}

#[tokio::test]
async fn limited_token_makes_no_sign_in() {
    let home = Home::start_without_node().await;
    let owner = home.client();
    let ada = member(&home, "ada@example.org", "viewer").await;
    for limited in limited(&owner).await {
        limited.post("/v1/users/invites", &json!({"role": "viewer"})).await.error(403, "forbidden");
        let user = json!({"email": "x@example.org", "name": "X", "password": PASSWORD, "role": "owner"});
        limited.post("/v1/users", &user).await.error(403, "forbidden");
        let reset = format!("/v1/users/{}/password-reset", ada.id);
        limited.post(&reset, &json!({})).await.error(403, "forbidden");
        let own = json!({"email": "owner@example.org", "name": "Owner", "password": PASSWORD});
        limited.post("/v1/users/me/sign-in", &own).await.error(403, "forbidden");
    }
    home.stop().await;
}

#[tokio::test]
async fn limited_token_raises_no_role() {
    let home = Home::start_without_node().await;
    let owner = home.client();
    let ada = member(&home, "ada@example.org", "developer").await;
    let member = format!("organisations/{}/members/{}", operators(&home).await, ada.id);
    let limited = limited(&owner).await;
    for client in &limited {
        for (method, path) in
            [(Method::PATCH, format!("/v1/{member}")), (Method::PUT, format!("/v1/admin/{member}"))]
        {
            send(client, method, &path, &json!({"role": "owner"})).await.error(403, "forbidden");
        }
    }
    // A lower role takes the scope alone.
    let lower = send(&limited[0], Method::PATCH, &format!("/v1/{member}"), &json!({"role": "viewer"})).await;
    assert_eq!(lower.status, 200, "{lower:?}");
    home.stop().await;
}

#[tokio::test]
async fn admin_erases_no_owner() {
    let home = Home::start_without_node().await;
    let admin = member(&home, "admin@example.org", "admin").await;
    let other = member(&home, "owner@example.org", "owner").await;
    admin.client.delete(&format!("/v1/users/{}", other.id)).await.error(403, "forbidden");
    assert_eq!(other.client.get("/v1/users/me").await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn operators_organisation_is_changed_by_its_owners_only() {
    let home = Home::start_without_node().await;
    let admin = member(&home, "admin@example.org", "admin").await;
    let id = operators(&home).await;
    let name = json!({"name": "Mine"});
    for path in [format!("/v1/organisations/{id}"), format!("/v1/admin/organisations/{id}")] {
        send(&admin.client, Method::PATCH, &path, &name).await.error(403, "forbidden");
        let changed = send(&home.client(), Method::PATCH, &path, &name).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn reset_code_is_worth_nothing_after_its_maker_lost_the_role() {
    let home = Home::start_without_node().await;
    let owner = home.client();
    let (id, anonymous) = (operators(&home).await, owner.with_token(None));
    let ada = member(&home, "ada@example.org", "developer").await;
    let admin = member(&home, "admin@example.org", "admin").await;
    let code = async || {
        let path = format!("/v1/users/{}/password-reset", ada.id);
        let created = admin.client.post(&path, &json!({})).await;
        assert_eq!(created.status, 201, "{created:?}");
        json!({"code": created.json()["code"], "password": "another sentence of mine"})
    };
    let change = async |user: &str, role: &str| {
        let path = format!("/v1/organisations/{id}/members/{user}");
        let changed = send(&owner, Method::PATCH, &path, &json!({"role": role})).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    };
    let first = code().await;
    // The user may do more than the maker now.
    change(&ada.id, "owner").await;
    anonymous.post("/v1/users/password-reset", &first).await.error(403, "forbidden");
    change(&ada.id, "developer").await;
    change(&admin.id, "viewer").await;
    anonymous.post("/v1/users/password-reset", &first).await.error(403, "forbidden");
    change(&admin.id, "admin").await;
    assert_eq!(anonymous.post("/v1/users/password-reset", &first).await.status, 204);
    home.stop().await;
}
