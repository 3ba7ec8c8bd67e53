//! The exchange of an ID token for a login.

use hearth_tests::Home;
use serde_json::{Value, json};

use super::{exchange, start};

#[tokio::test]
async fn providers_are_listed_without_a_credential() {
    let (home, provider) = start(json!({"public_client_secret": "no-secret"})).await;
    let listed = home.client().with_token(None).get("/v1/sign-in").await.json();
    assert_eq!(
        listed,
        json!({"providers": [{
            "name": "test", "issuer": provider.issuer, "client_id": "hearth-cli", "client_secret": "no-secret",
            "redirect_uri": "http://127.0.0.1/callback", "scopes": ["openid", "profile", "email"],
        }]})
    );
    let without = Home::start_with(&["--no-node"]).await;
    let listed = without.client().with_token(None).get("/v1/sign-in").await.json();
    assert_eq!(listed, json!({"providers": []}));
    without.stop().await;
    home.stop().await;
}

#[tokio::test]
async fn id_token_signs_in_once() {
    let (home, provider) = start(json!({})).await;
    let token = provider.id_token("nonce-1", json!({}));
    let login = exchange(&home, &token, Some("nonce-1")).await;
    assert_eq!(login.status, 200, "{login:?}");
    let login = login.json();
    let client = home.client().with_token(login["access_token"].as_str());
    let me = client.get("/v1/users/me").await.json();
    assert_eq!((&me["name"], &me["email"]), (&json!("Ada"), &Value::Null), "{me}");
    assert_eq!(login["role"], "developer");
    let logins = client.get("/v1/users/me/logins").await.json();
    assert_eq!(logins["logins"][0]["method"], "test", "{logins}");
    let again = exchange(&home, &token, Some("nonce-1")).await.error(401, "unauthorized");
    assert!(again["message"].as_str().unwrap().contains("signed in already"), "{again}");
    home.stop().await;
}

#[tokio::test]
async fn id_token_with_a_wrong_claim_is_refused() {
    let (home, provider) = start(json!({})).await;
    for (claims, nonce, word) in [
        (json!({}), Some("other"), "nonce"),
        (json!({}), None, "nonce"),
        (json!({"nonce": null}), Some("n"), "nonce"),
        (json!({"aud": "someone-else"}), Some("n"), "audience"),
        (json!({"aud": "hearth-api"}), Some("n"), "audience"),
        (json!({"aud": ["hearth-cli", "x"]}), Some("n"), "audience"),
        (json!({"azp": "someone-else"}), Some("n"), "audience"),
        (json!({"iss": "https://elsewhere.example"}), Some("n"), "another issuer"),
        (json!({"exp": 1_700_000_000}), Some("n"), "expired"),
        (json!({"nbf": 4_000_000_000_u64}), Some("n"), "valid yet"),
        (json!({"iat": 4_000_000_000_u64}), Some("n"), "valid yet"),
        (json!({"iat": null}), Some("n"), "claims"),
        (json!({"sub": null}), Some("n"), "claims"),
    ] {
        let answer = exchange(&home, &provider.id_token("n", claims.clone()), nonce).await;
        let error = answer.error(401, "unauthorized");
        assert!(error["message"].as_str().unwrap().contains(word), "{claims} {nonce:?}: {error}");
    }
    let (message, _) =
        provider.id_token("n", json!({})).rsplit_once('.').map(|(m, s)| (m.to_owned(), s.len())).unwrap();
    for token in [format!("{message}."), format!("{message}.AAAA"), "hth_abc".to_owned(), String::new()] {
        exchange(&home, &token, Some("n")).await.error(401, "unauthorized");
    }
    let unknown = json!({"provider": "other", "id_token": provider.id_token("n", json!({})), "nonce": "n"});
    let client = home.client().with_token(None);
    let error = client.post("/v1/users/login/token", &unknown).await.error(400, "invalid_request");
    assert_eq!(error["param"], "provider");
    home.stop().await;
}

#[tokio::test]
async fn login_ends_at_its_refresh_when_the_provider_is_removed() {
    let (home, provider) = start(json!({})).await;
    let login = exchange(&home, &provider.id_token("n", json!({})), Some("n")).await.json();
    let refreshed = refresh(&home, &login).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    std::fs::write(home.folder().join("hearth.toml"), "").unwrap();
    let home = home.restart().await;
    refresh(&home, &refreshed.json()).await.error(401, "unauthorized");
    let client = home.client().with_token(Some(&provider.access_token(json!({}), json!({}))));
    client.get("/v1/models").await.error(401, "unauthorized");
    home.stop().await;
}

async fn refresh(home: &Home, login: &Value) -> hearth_tests::Answer {
    let body = json!({"refresh_token": login["refresh_token"]});
    home.client().with_token(None).post("/v1/users/refresh", &body).await
}
