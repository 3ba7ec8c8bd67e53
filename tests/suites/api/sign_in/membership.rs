//! The users of an identity provider: created once, with the membership that their claims give.

use std::collections::BTreeSet;

use futures::future::join_all;
use hearth_domain::Timestamp;
use hearth_tests::{Home, OpenIdProvider};
use serde_json::{Value, json};

use super::{bearer, exchange, start};

async fn members(home: &Home) -> (String, Vec<Value>) {
    let organisations = home.client().get("/v1/organisations").await.json();
    let id = organisations["organisations"][0]["id"].as_str().unwrap().to_owned();
    let members = home.client().get(&format!("/v1/organisations/{id}/members")).await.json();
    (id, members["members"].as_array().unwrap().clone())
}

/// The member with this role who isn't the owner.
async fn other_member(home: &Home) -> (String, Value) {
    let (organisation, members) = members(home).await;
    let mut others = members.into_iter().filter(|member| member["role"] != "owner");
    let other = others.next().unwrap();
    assert!(others.next().is_none(), "there are several");
    (organisation, other)
}

async fn status(home: &Home, provider: &OpenIdProvider, path: &str) -> u16 {
    bearer(home, provider).get(path).await.status.as_u16()
}

#[tokio::test]
async fn user_of_twenty_concurrent_first_tokens_is_created_once() {
    let (home, provider) = start(json!({})).await;
    let answers = join_all((0..20).map(|_| async {
        // Each token is another one.
        let answer = bearer(&home, &provider).get("/v1/users/me").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }));
    let users: BTreeSet<String> = answers.await.into_iter().collect();
    assert_eq!(users.len(), 1, "{users:?}");
    let (_, member) = other_member(&home).await;
    assert_eq!(member["role"], "developer");
    // The same user by an ID token, and another one of another subject with the same address.
    let login = exchange(&home, &provider.id_token("n", json!({})), Some("n")).await.json();
    assert!(users.contains(login["user"].as_str().unwrap()), "{login}");
    provider.set_user(json!({"sub": "eve", "email": "ada@example.com", "email_verified": true}));
    let other = bearer(&home, &provider).get("/v1/users/me").await.json();
    assert!(!users.contains(other["id"].as_str().unwrap()), "{other}");
    home.stop().await;
}

#[tokio::test]
async fn rules_decide_the_role_at_each_token() {
    let rules = json!([
        {"claim": "groups", "value": "admins", "role": "admin"},
        {"claim": "realm_access.roles", "value": "audit", "role": "auditor"},
    ]);
    let (home, provider) = start(json!({"rules": rules, "role": "viewer"})).await;
    let role = async |claims: Value| {
        let mut user = json!({"sub": "ada", "name": "Ada"});
        user.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        provider.set_user(user);
        assert_eq!(status(&home, &provider, "/v1/users/me").await, 200);
        other_member(&home).await.1["role"].as_str().unwrap().to_owned()
    };
    assert_eq!(role(json!({})).await, "viewer");
    assert_eq!(role(json!({"groups": ["x", "admins"]})).await, "admin");
    assert_eq!(role(json!({"groups": "admins"})).await, "admin");
    assert_eq!(role(json!({"realm_access": {"roles": ["audit"]}})).await, "auditor");
    assert_eq!(role(json!({"groups": []})).await, "viewer");
    let log = home.client().get("/v1/audit").await.json();
    let entries = log["entries"].as_array().unwrap().iter();
    let followed: Vec<&Value> = entries.filter(|entry| entry["operation"] == "follow_claims").collect();
    // The first sight, and each change of the role.
    assert_eq!(followed.len(), 4, "{log}");
    assert!(followed.iter().all(|entry| entry["details"]["provider"] == "test"), "{log}");
    let generate = bearer(&home, &provider).post("/v1/generate", &json!({"input": {"prompt": "Hi"}})).await;
    generate.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn user_without_a_role_a_domain_or_an_organisation_is_refused() {
    let rules = json!([{"claim": "groups", "value": "staff", "role": "developer"}]);
    let changes =
        json!({"role": null, "rules": rules, "domains": ["example.com"], "organisation_claim": "org"});
    let (home, provider) = start(changes).await;
    let (organisation, _) = members(&home).await;
    for (claims, expected) in [
        (json!({"groups": ["staff"], "email": "a@Example.com", "email_verified": true}), 200),
        (json!({"groups": ["other"], "email": "a@example.com", "email_verified": true}), 403),
        (json!({"groups": ["staff"], "email": "a@example.com", "email_verified": false}), 403),
        (json!({"groups": ["staff"], "email": "a@example.com"}), 403),
        (json!({"groups": ["staff"], "email": "a@elsewhere.com", "email_verified": true}), 403),
        (json!({"groups": ["staff"], "email": "a@x.example.com", "email_verified": true}), 403),
        (json!({"groups": ["staff"]}), 403),
        // A claim gives no access to the operator's organisation, nor to one that isn't there.
        (
            json!({"groups": ["staff"], "email": "a@example.com", "email_verified": true, "org": organisation}),
            403,
        ),
        (
            json!({"groups": ["staff"], "email": "a@example.com", "email_verified": true,
                   "org": "org_01J9ZX5V2QH8N4T6W0C3M7K1RB"}),
            403,
        ),
        (json!({"groups": ["staff"], "email": "a@example.com", "email_verified": true, "org": "acme"}), 403),
    ] {
        let mut user = json!({"sub": "ada"});
        user.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        provider.set_user(user);
        assert_eq!(status(&home, &provider, "/v1/models").await, expected, "{claims}");
    }
    home.stop().await;
}

#[tokio::test]
async fn claim_chooses_the_organisation() {
    let (home, provider) = start(json!({"organisation_claim": "org"})).await;
    let created = home.client().post("/v1/organisations", &json!({"name": "Acme"})).await;
    assert_eq!(created.status, 201, "{created:?}");
    let acme = created.json()["id"].as_str().unwrap().to_owned();
    provider.set_user(json!({"sub": "ada", "org": acme}));
    let login = exchange(&home, &provider.id_token("n", json!({})), Some("n")).await.json();
    assert_eq!(login["organisation"], json!(acme), "{login}");
    home.stop().await;
}

#[tokio::test]
async fn removed_member_isnt_admitted_again() {
    let (home, provider) = start(json!({})).await;
    assert_eq!(status(&home, &provider, "/v1/models").await, 200);
    let login = exchange(&home, &provider.id_token("n", json!({})), Some("n")).await.json();
    let (organisation, member) = other_member(&home).await;
    let user = member["user"].as_str().unwrap();
    let removed = home.client().delete(&format!("/v1/organisations/{organisation}/members/{user}")).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    assert_eq!(status(&home, &provider, "/v1/models").await, 401);
    exchange(&home, &provider.id_token("n2", json!({})), Some("n2")).await.error(401, "unauthorized");
    let client = home.client().with_token(login["access_token"].as_str());
    client.get("/v1/models").await.error(401, "unauthorized");
    home.stop().await;
}

#[tokio::test]
async fn user_of_a_provider_makes_no_password_and_no_lasting_token() {
    let (home, provider) = start(json!({})).await;
    let by_issuer = bearer(&home, &provider);
    let login = exchange(&home, &provider.id_token("n", json!({})), Some("n")).await.json();
    let by_login = home.client().with_token(login["access_token"].as_str());
    let own = json!({"email": "ada@example.org", "name": "Ada", "password": "a sentence of my own"});
    for client in [&by_issuer, &by_login] {
        let error = client.post("/v1/users/me/sign-in", &own).await.error(403, "forbidden");
        assert!(error["message"].as_str().unwrap().contains("identity provider"), "{error}");
    }
    let created = by_issuer.post("/v1/users/tokens", &json!({"name": "ci"})).await;
    assert!(created.json()["expires_at"].is_string(), "{created:?}");
    let long = json!({"name": "long", "expires_in_days": 31});
    by_issuer.post("/v1/users/tokens", &long).await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn disabled_user_is_refused_with_a_new_token() {
    let (home, provider) = start(json!({})).await;
    let me = bearer(&home, &provider).get("/v1/users/me").await.json();
    let path = format!("/v1/admin/users/{}", me["id"].as_str().unwrap());
    let client = home.client();
    let disabled =
        client.send(client.request(reqwest::Method::PATCH, &path).json(&json!({"disabled": true}))).await;
    assert_eq!(disabled.status, 200, "{disabled:?}");
    assert_eq!(status(&home, &provider, "/v1/models").await, 401);
    exchange(&home, &provider.id_token("n", json!({})), Some("n")).await.error(401, "unauthorized");
    home.stop().await;
}

#[tokio::test]
async fn unknown_user_is_refused_where_none_is_created() {
    let (home, provider) = start(json!({"provision": false})).await;
    assert_eq!(status(&home, &provider, "/v1/models").await, 403);
    let (_, members) = members(&home).await;
    assert_eq!(members.len(), 1, "{members:?}");
    home.stop().await;
}

#[tokio::test]
async fn loss_of_every_group_ends_membership_logins_and_tokens() {
    let rules = json!([{"claim": "groups", "value": "staff", "role": "developer"}]);
    let (home, provider) = start(json!({"role": null, "rules": rules})).await;
    let staff = json!({"sub": "ada", "groups": ["staff"]});
    provider.set_user(staff.clone());
    let login = exchange(&home, &provider.id_token("n", json!({})), Some("n")).await.json();
    let client = home.client().with_token(login["access_token"].as_str());
    let token = client.post("/v1/users/tokens", &json!({"name": "laptop", "scopes": ["models:read"]})).await;
    let token = home.client().with_token(token.json()["token"].as_str());
    assert_eq!(token.get("/v1/models").await.status, 200);

    // A program's token may lack the claim: it is refused, and nothing ends.
    provider.set_user(json!({"sub": "ada"}));
    assert_eq!(status(&home, &provider, "/v1/models").await, 403);
    assert_eq!(token.get("/v1/models").await.status, 200);
    // An ID token has it, if there is a group.
    exchange(&home, &provider.id_token("n2", json!({})), Some("n2")).await.error(403, "forbidden");
    token.get("/v1/models").await.error(401, "unauthorized");
    client.get("/v1/models").await.error(401, "unauthorized");
    let refresh = json!({"refresh_token": login["refresh_token"]});
    home.client().with_token(None).post("/v1/users/refresh", &refresh).await.error(401, "unauthorized");
    assert!(members(&home).await.1.iter().all(|member| member["role"] == "owner"));

    // With a group the user is a member again, and what ended stays ended.
    provider.set_user(staff);
    let again = exchange(&home, &provider.id_token("n3", json!({})), Some("n3")).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.json()["user"], login["user"]);
    token.get("/v1/models").await.error(401, "unauthorized");
    home.stop().await;
}

#[tokio::test]
async fn owner_without_a_group_stays() {
    let rules = json!([{"claim": "groups", "value": "staff", "role": "developer"}]);
    let (home, provider) = start(json!({"role": null, "rules": rules})).await;
    provider.set_user(json!({"sub": "ada", "groups": ["staff"]}));
    assert_eq!(status(&home, &provider, "/v1/models").await, 200);
    let (organisation, member) = other_member(&home).await;
    let path = format!("/v1/organisations/{organisation}/members/{}", member["user"].as_str().unwrap());
    let client = home.client();
    let change = client.request(reqwest::Method::PATCH, &path).json(&json!({"role": "owner"}));
    assert_eq!(client.send(change).await.status, 200);
    provider.set_user(json!({"sub": "ada", "groups": ["other"]}));
    assert_eq!(status(&home, &provider, "/v1/models").await, 403);
    assert_eq!(client.get(&path).await.json()["role"], "owner");
    home.stop().await;
}

#[tokio::test]
async fn login_of_a_provider_ends_after_a_week() {
    let (home, provider) = start(json!({})).await;
    let login = exchange(&home, &provider.id_token("n", json!({})), Some("n")).await.json();
    let end: Timestamp = login["refresh_expires_at"].as_str().unwrap().parse().unwrap();
    let left = Timestamp::now().until(end);
    assert!(left <= std::time::Duration::from_secs(7 * 24 * 3600), "{login}");
    let refresh = json!({"refresh_token": login["refresh_token"]});
    let next = home.client().with_token(None).post("/v1/users/refresh", &refresh).await.json();
    assert_eq!(next["refresh_expires_at"], login["refresh_expires_at"]);
    home.stop().await;
}
