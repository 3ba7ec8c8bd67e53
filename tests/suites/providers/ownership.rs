//! Access to runs and artifacts by their owner only, and the state after a crash.

use std::fs;

use hearth_domain::{ArtifactId, UserId};
use hearth_tests::{Reply, Upstream, eventually};
use serde_json::{Value, json};

use crate::{
    images::{GLB, drawn},
    with,
};

#[tokio::test]
async fn other_user_cannot_read_run_or_artifact() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(drawn(1));
    let request = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}});
    let response = home.client().post("/v1/generate", &request).await.json();
    let run = response["request_id"].as_str().unwrap().to_owned();
    let artifact = response["output"]["images"][0]["id"].as_str().unwrap().to_owned();
    let (home, token) = home.restart_with_a_stranger().await;
    let (owner, stranger) = (home.client(), home.client().with_token(Some(&token)));
    assert_eq!(stranger.get("/v1/models").await.status, 200, "the other user has a valid token");

    let paths = [
        format!("/v1/requests/{run}"),
        format!("/v1/requests/{run}/status"),
        format!("/v1/requests/{run}/events"),
        format!("/v1/artifacts/{artifact}"),
    ];
    for path in &paths {
        assert_eq!(owner.get(path).await.status, 200, "{path}");
        stranger.get(path).await.error(404, "not_found");
    }
    let cancel = format!("/v1/requests/{run}/cancel");
    stranger.post(&cancel, &json!({})).await.error(404, "not_found");
    stranger.delete(&paths[0]).await.error(404, "not_found");
    // Nor use the artifact as input.
    let before = upstream.received().len();
    let shown =
        json!({"model": "rig0:gpt-image-1", "input": {"prompt": "in the rain", "images": [artifact]}});
    let refused = stranger.post("/v1/generate", &shown).await.error(404, "not_found");
    assert_eq!((&refused["param"], upstream.received().len()), (&json!("input.images"), before));
    // The owner can use it.
    upstream.reply(drawn(1));
    assert_eq!(owner.post("/v1/generate", &shown).await.status, 200);
    assert_eq!(upstream.received().pop().unwrap().path, "/v1/images/edits");
    home.stop().await;
}

#[tokio::test]
async fn run_has_no_link_to_the_artifact_of_another_user() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(drawn(1));
    let request = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}});
    let response = home.client().post("/v1/generate", &request).await.json();
    let path = format!("/v1/requests/{}", response["request_id"].as_str().unwrap());
    let link = |run: &Value| run["output"]["images"][0]["url"].as_str().map(|url| url.contains("signature="));
    assert_eq!(link(&home.client().get(&path).await.json()), Some(true));
    let artifact: ArtifactId = response["output"]["images"][0]["id"].as_str().unwrap().parse().unwrap();
    let (home, ()) = home
        .restart_after(async |store| {
            let mut record = store.artifacts().get(artifact).await.unwrap().unwrap();
            record.owner = UserId::new();
            store.artifacts().put(&record, GLB.to_vec()).await.unwrap();
        })
        .await;
    let run = home.client().get(&path).await.json();
    assert_ne!(link(&run), Some(true), "{run}");
    let events = String::from_utf8(home.client().get(&format!("{path}/events")).await.body.to_vec()).unwrap();
    assert!(events.contains(&artifact.to_string()) && !events.contains("signature="), "{events}");
    home.stop().await;
}

#[tokio::test]
async fn image_run_fails_and_stores_nothing_after_a_crash() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    // The answer begins and never ends.
    upstream.reply(Reply::file("application/json", GLB).then_silence());
    let request = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}, "stream": true});
    let mut events = home.client().stream("/v1/generate", &request).await;
    assert_eq!(events.next().await.unwrap().data["event"], "model_selected");
    let path = format!("/v1/requests/{}", events.request_id);
    let begun = eventually("the run's record", async || {
        let run = home.client().get(&path).await;
        (run.status == 200).then(|| run.json())
    });
    assert_eq!(begun.await["status"], "running");

    let home = home.crash_and_restart().await;
    let run = home.client().get(&path).await.json();
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("failed"), &json!("gateway_stopped")),
        "{run}"
    );
    assert!(run["error"]["message"].as_str().unwrap().contains("Send the request again"), "{run}");
    assert_eq!(run["output"], json!({"text": ""}), "{run}");
    let object_count = || fs::read_dir(home.data().join("objects")).unwrap().count();
    assert_eq!(object_count(), 0, "an incomplete file was stored");
    // The next run succeeds.
    upstream.reply(drawn(1));
    let request = json!({"model": "rig0:gpt-image-1", "prompt": "a fox"});
    let response = home.client().post("/v1/images/generations", &request).await.json();
    assert_eq!(response["data"].as_array().map(Vec::len), Some(1), "{response}");
    assert!(object_count() > 0, "artifacts are stored elsewhere");
    home.stop().await;
}
