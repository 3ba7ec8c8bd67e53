//! Tokens of an issuer in place of API tokens: their algorithms and claims, and the keys that verify them.

use serde_json::{Value, json};

use super::{bearer, start};

#[tokio::test]
async fn token_of_the_issuer_is_accepted_and_one_with_a_wrong_claim_refused() {
    let (home, provider) = start(json!({})).await;
    let status = async |claims: Value, header: Value| {
        let client = home.client().with_token(Some(&provider.access_token(claims, header)));
        client.get("/v1/models").await.status.as_u16()
    };
    assert_eq!(status(json!({}), json!({})).await, 200);
    assert_eq!(status(json!({}), json!({"typ": "at+jwt"})).await, 200);
    assert_eq!(status(json!({"aud": ["x", "hearth-api"]}), json!({})).await, 200);
    for (claims, header) in [
        (json!({"aud": "hearth-cli"}), json!({})),
        (json!({"aud": null}), json!({})),
        (json!({"iss": "https://elsewhere.example"}), json!({})),
        (json!({"exp": 1_700_000_000}), json!({})),
        (json!({"exp": null}), json!({})),
        (json!({"nbf": 4_000_000_000_u64}), json!({})),
        (json!({}), json!({"alg": "none"})),
        (json!({}), json!({"alg": "HS256"})),
        (json!({}), json!({"alg": "RS512"})),
        (json!({}), json!({"alg": "ES256"})),
        (json!({}), json!({"kid": "unknown"})),
        (json!({}), json!({"crit": ["exp"]})),
        (json!({}), json!({"typ": "logout+jwt"})),
    ] {
        assert_eq!(status(claims.clone(), header.clone()).await, 401, "{claims} {header}");
    }
    home.stop().await;
}

#[tokio::test]
async fn keys_follow_the_issuer_and_a_flood_of_unknown_ids_fetches_a_few_times() {
    let (home, provider) = start(json!({})).await;
    let old = bearer(&home, &provider);
    assert_eq!(old.get("/v1/models").await.status, 200);
    assert_eq!(provider.key_fetches(), 1);
    provider.rotate("ec-2", true);
    assert_eq!(bearer(&home, &provider).get("/v1/models").await.status, 200);
    assert_eq!(provider.key_fetches(), 2, "the new key was fetched");
    for at in 0..60 {
        let token = provider.access_token(json!({}), json!({"kid": format!("unknown-{at}")}));
        home.client().with_token(Some(&token)).get("/v1/models").await.error(401, "unauthorized");
    }
    assert_eq!(provider.key_fetches(), 5, "fetches are bounded");
    assert_eq!(bearer(&home, &provider).get("/v1/models").await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn issuer_that_is_down_is_needed_for_unknown_keys_alone() {
    let (home, provider) = start(json!({})).await;
    provider.set_down(true);
    let first = bearer(&home, &provider).get("/v1/models").await;
    first.error(503, "issuer_unavailable");
    assert!(first.headers.contains_key("retry-after"), "{first:?}");
    assert_eq!(home.client().get("/v1/models").await.status, 200, "API tokens need no issuer");
    provider.set_down(false);
    assert_eq!(bearer(&home, &provider).get("/v1/models").await.status, 200);
    provider.set_down(true);
    assert_eq!(bearer(&home, &provider).get("/v1/models").await.status, 200);
    home.stop().await;
}
