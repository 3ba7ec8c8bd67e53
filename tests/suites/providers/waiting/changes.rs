//! Prices and rights that change while a run waits, and the limit of the runs that wait.

use std::time::Duration;

use hearth_auth::ApiToken;
use hearth_domain::{MemberRole, Owner, Scope, Timestamp};
use hearth_store::tokens::TokenRecord;
use hearth_tests::{Person, operators_organisation};
use reqwest::Method;
use serde_json::json;

use super::{Scene, node_at, request};

#[tokio::test]
async fn provider_that_became_too_dear_in_the_wait_isnt_asked() {
    let scene = Scene::start().await;
    let client = scene.client();
    let fields = json!({"deadline": 5, "max_price": 3});
    let mut stream = client.stream("/v1/generate", &request(&fields)).await;
    stream.next_named("waiting").await;
    let models = json!({"rig1:big": {"price": {"input": 1, "output": 4}}});
    let body = json!({"version": 0, "configuration": {"models": models}});
    let stored = client.send(client.request(Method::PUT, "/v1/config").json(&body)).await;
    assert_eq!(stored.status, 200, "{stored:?}");
    let error = stream.next_named("error").await.data;
    assert_eq!(error["error"]["code"], "deadline_exceeded", "{error}");
    assert!(scene.dear.received().is_empty() && scene.cheap.received().is_empty());
    scene.home.stop().await;
}

#[tokio::test]
async fn token_that_ends_in_the_wait_ends_the_run() {
    let Scene { dear, cheap, home, .. } = Scene::start().await;
    let (home, token) = home
        .restart_after(async |store| {
            let (token, operator) = (ApiToken::generate(), store.operator().await.unwrap());
            let record = TokenRecord {
                scopes: vec![Scope::Generate],
                expires_at: Some(Timestamp::now().plus(Duration::from_secs(12))),
                ..TokenRecord::new(token.hash(), Owner::of_record(operator, None))
            };
            store.tokens().create(&record).await.unwrap();
            token.expose().to_owned()
        })
        .await;
    let client = home.client().with_token(Some(&token));
    let mut stream = client.stream("/v1/generate", &request(&json!({"deadline": 3600}))).await;
    stream.next_named("waiting").await;
    let error = stream.next_named("error").await.data;
    assert_eq!(error["error"]["code"], "unauthorized", "{error}");
    assert!(dear.received().is_empty() && cheap.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn member_who_lost_their_rights_in_the_wait_gets_no_provider() {
    let Scene { dear, cheap, home, ports } = Scene::start().await;
    let (home, person) = home
        .restart_after(async |store| {
            let organisation = operators_organisation(store).await;
            let person = Person::in_organisation(store, organisation, MemberRole::Developer).await;
            let owner = Owner { user: person.user, organisation };
            store.nodes().put(&node_at(ports[0], owner)).await.unwrap();
            person
        })
        .await;
    let client = home.client().with_token(Some(&person.token));
    let mut stream = client.stream("/v1/generate", &request(&json!({"deadline": 5}))).await;
    stream.next_named("waiting").await;
    let path = format!("/v1/organisations/{}/members/{}", person.organisation, person.user);
    let operator = home.client();
    let change = operator.request(Method::PATCH, &path).json(&json!({"role": "viewer"}));
    let changed = operator.send(change).await;
    assert!(changed.status.is_success(), "{changed:?}");
    let error = stream.next_named("error").await.data;
    assert_eq!(error["error"]["code"], "forbidden", "{error}");
    assert!(dear.received().is_empty() && cheap.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn more_waiting_runs_than_a_user_may_have_are_refused() {
    let scene = Scene::start().await;
    let client = scene.client();
    let mut streams = Vec::new();
    for _ in 0..32 {
        let mut stream = client.stream("/v1/generate", &request(&json!({"deadline": 3600}))).await;
        stream.next_named("waiting").await;
        streams.push(stream);
    }
    let body = request(&json!({"deadline": 3600, "stream": false}));
    let error = client.post("/v1/generate", &body).await.error(429, "queue_full");
    assert_eq!(error["details"]["waiting_max_count"], 32, "{error}");
    assert!(scene.dear.received().is_empty() && scene.cheap.received().is_empty());
    drop(streams);
    scene.home.stop().await;
}
