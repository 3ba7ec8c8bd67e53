//! Identity providers in the cloud: each function accepts their tokens, under the role of a stack that has some.

use hearth_tests::{Cloud, OpenIdProvider};
use lambda_emulator::{Emulator, Invocation};
use serde_json::{Value, json};

use crate::{Placeholders, invoke};

const ACCOUNTS: &str = "hearth-fn-accounts";

/// A stack with an identity provider, and the variable of its functions.
async fn start() -> (Cloud, OpenIdProvider, String) {
    let provider = OpenIdProvider::start().await;
    let settings = provider.settings(json!({"rules": [{"claim": "groups", "value": "a", "role": "admin"}]}));
    let settings = settings.to_string();
    let cloud = Cloud::start_with_parameters(&[("IdentityProviders", &settings)]).await;
    (cloud, provider, settings)
}

async fn function(cloud: &Cloud, name: &str, settings: &str) -> Emulator {
    cloud.function_with(name, &[("HEARTH_IDENTITY_PROVIDERS", settings)]).await
}

async fn send(function: &Emulator, sample: &str, token: &str) -> Invocation {
    let values = Placeholders { token: token.to_owned(), ..Placeholders::default() };
    invoke(function, &values.event(sample)).await
}

#[tokio::test]
async fn each_function_creates_the_user_of_a_token_and_uses_its_permissions() {
    let (cloud, provider, settings) = start().await;
    for (name, sample, claims) in [
        ("hearth-fn-generate", "post_v1.generate.json", json!({"sub": "g"})),
        ("hearth-fn-models", "get_v1.models.json", json!({"sub": "m"})),
        ("hearth-fn-nodes", "get_v1.nodes.json", json!({"sub": "n"})),
        (ACCOUNTS, "get_v1.users.tokens.json", json!({"sub": "a"})),
        ("hearth-fn-ops", "get_ready.json", json!({"sub": "o", "groups": "a"})),
    ] {
        let function = function(&cloud, name, &settings).await;
        provider.set_user(claims);
        for _ in 0..2 {
            let token = provider.access_token(json!({}), json!({}));
            let answer = send(&function, sample, &token).await;
            assert_eq!(answer.status, 200, "{name}: {}", String::from_utf8_lossy(&answer.body()));
        }
        let unused: Vec<String> = cloud.unused_permissions(name);
        let of = |unused: &&String| unused.contains(": Identities:") || unused.contains(": NewUsers:");
        let unused: Vec<&String> = unused.iter().filter(of).collect();
        assert!(unused.is_empty(), "{unused:#?}");
    }
}

#[tokio::test]
async fn id_token_opens_a_login_that_other_functions_accept() {
    let (cloud, provider, settings) = start().await;
    let accounts = function(&cloud, ACCOUNTS, &settings).await;
    let values = Placeholders::default();
    let listed = invoke(&accounts, &values.event("get_v1.sign-in.json")).await;
    assert_eq!(listed.json().unwrap()["providers"][0]["issuer"], json!(provider.issuer));
    let mut event = values.event("post_v1.users.login.token.json");
    let body = json!({"provider": "test", "id_token": provider.id_token("n", json!({})), "nonce": "n"});
    event["body"] = body.to_string().into();
    let login = invoke(&accounts, &event).await;
    assert_eq!(login.status, 200, "{}", String::from_utf8_lossy(&login.body()));
    let login: Value = login.json().unwrap();
    let again = invoke(&accounts, &event).await;
    assert_eq!(again.status, 401);
    let models = function(&cloud, "hearth-fn-models", &settings).await;
    let answer = send(&models, "get_v1.models.json", login["access_token"].as_str().unwrap()).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body()));
    let unused = cloud.unused_permissions(ACCOUNTS);
    assert!(!unused.iter().any(|unused| unused.contains(": SignIns:")), "{unused:#?}");
}

#[tokio::test]
async fn function_without_the_provider_refuses_its_tokens() {
    let (cloud, provider, settings) = start().await;
    let with = function(&cloud, ACCOUNTS, &settings).await;
    let token = provider.access_token(json!({}), json!({}));
    assert_eq!(send(&with, "get_v1.users.tokens.json", &token).await.status, 200);
    let without = cloud.function(ACCOUNTS).await;
    assert_eq!(send(&without, "get_v1.users.tokens.json", &token).await.status, 401);
}
