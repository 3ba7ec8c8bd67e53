//! The quotas of sessions and of stored requests.

use hearth_tests::{Setup, Upstream};
use serde_json::json;

use crate::{answer, create, played, post, prompt};

#[tokio::test]
async fn racing_creations_make_exactly_the_sessions_that_the_quota_allows() {
    let home = Setup::new().settings("[sessions]\nuser_max_count = 7\n").without_node().start().await;
    let client = home.client();
    let answers = futures::future::join_all((0..20).map(|_| {
        let client = client.clone();
        async move { client.post("/v1/sessions", &json!({})).await }
    }))
    .await;
    let (created, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status.is_success());
    assert_eq!((created.len(), refused.len()), (7, 13));
    for answer in refused {
        let error = answer.error(429, "quota_exceeded");
        assert_eq!(
            (&error["details"]["subject"], &error["details"]["max_count"]),
            (&json!("user"), &json!(7))
        );
        assert!(error["message"].as_str().unwrap().contains("DELETE /v1/sessions/{id}"), "{error}");
    }
    // A closed session counts until it is deleted.
    let id = created[0].json()["id"].as_str().unwrap().to_owned();
    assert_eq!(client.delete(&format!("/v1/sessions/{id}")).await.status, 200);
    client.post("/v1/sessions", &json!({})).await.error(429, "quota_exceeded");
    assert_eq!(client.delete(&format!("/v1/sessions/{id}?permanent=true")).await.status, 200);
    create(&client, &json!({"title": "again"})).await;
    home.stop().await;
}

#[tokio::test]
async fn full_sessions_refuse_turns_and_a_deletion_makes_room() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "[sessions]\nuser_max_bytes = 40000\n").await;
    let client = home.client();
    let session = create(&client, &json!({"model": "rig:big"})).await;
    let path = format!("/v1/sessions/{session}/generate");
    let mut turns = 0;
    let error = loop {
        upstream.reply(answer("yes"));
        let response = client.post(&path, &prompt(&"word ".repeat(1000))).await;
        if !response.status.is_success() {
            break response.error(429, "quota_exceeded");
        }
        turns += 1;
    };
    assert!((4..8).contains(&turns), "{turns} turns");
    assert_eq!(error["details"]["max_bytes"], 40_000, "{error}");
    // Nothing of the refused turn is in the session, and it can still be read.
    let messages = client.get(&format!("/v1/sessions/{session}/messages")).await.json();
    assert_eq!(messages["messages"].as_array().unwrap().len(), turns * 2);
    let items = json!({"items": [{"role": "user", "content": "word ".repeat(2000)}]});
    client.post(&format!("/v1/conversations/{session}/items"), &items).await.error(429, "quota_exceeded");
    client.delete(&format!("/v1/sessions/{session}?permanent=true")).await;
    let session = create(&client, &json!({"model": "rig:big"})).await;
    let path = format!("/v1/sessions/{session}/generate");
    post(&client, &path, &prompt(&"word ".repeat(1000))).await;
    home.stop().await;
}

#[tokio::test]
async fn stored_requests_have_a_quota_that_a_deletion_frees() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "[requests]\nuser_max_count = 2\n").await;
    let client = home.client();
    let body = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "store": true});
    let mut ids = Vec::new();
    for _ in 0..2 {
        upstream.reply(answer("yes"));
        ids.push(post(&client, "/v1/generate", &body).await["request_id"].as_str().unwrap().to_owned());
    }
    let error = client.post("/v1/generate", &body).await.error(429, "quota_exceeded");
    assert!(error["message"].as_str().unwrap().contains("stored requests"), "{error}");
    // Without being stored it is carried out.
    upstream.reply(answer("yes"));
    post(&client, "/v1/generate", &json!({"model": "rig:big", "input": {"prompt": "Hi"}})).await;
    let deleted = client.delete(&format!("/v1/requests/{}/record", ids[0])).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    upstream.reply(answer("yes"));
    post(&client, "/v1/generate", &body).await;
    home.stop().await;
}
