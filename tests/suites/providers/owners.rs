//! What runs make is their owner's; and what a crash leaves of it.

use std::fs;

use hearth_tests::{Reply, Upstream, eventually};
use serde_json::json;

use crate::{
    images::{GLB, drawn},
    with,
};

#[tokio::test]
async fn a_stranger_finds_neither_run_nor_picture() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(drawn(1));
    let asked = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}});
    let told = home.client().post("/v1/generate", &asked).await.json();
    let run = told["request_id"].as_str().unwrap().to_owned();
    let artifact = told["output"]["images"][0]["id"].as_str().unwrap().to_owned();
    let (home, token) = home.restart_with_a_stranger().await;
    let (owner, stranger) = (home.client(), home.client().with_token(Some(&token)));
    assert_eq!(stranger.get("/v1/models").await.status, 200, "the stranger may ask");

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
    // Nor may it be a request's input.
    let before = upstream.received().len();
    let shown =
        json!({"model": "rig0:gpt-image-1", "input": {"prompt": "in the rain", "images": [artifact]}});
    let refused = stranger.post("/v1/generate", &shown).await.error(404, "not_found");
    assert_eq!((&refused["param"], upstream.received().len()), (&json!("input.images"), before));
    // Its owner starts from it.
    upstream.reply(drawn(1));
    assert_eq!(owner.post("/v1/generate", &shown).await.status, 200);
    assert_eq!(upstream.received().pop().unwrap().path, "/v1/images/edits");
    home.stop().await;
}

#[tokio::test]
async fn a_picture_that_a_crash_cut_off_is_failed_and_nowhere() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    // It begins to answer, and goes on for ever.
    upstream.reply(Reply::file("application/json", GLB).then_silence());
    let asked = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}, "stream": true});
    let mut events = home.client().stream("/v1/generate", &asked).await;
    assert_eq!(events.next().await.unwrap().data["event"], "model_selected");
    let path = format!("/v1/requests/{}", events.request_id);
    let begun = eventually("the run's record", async || {
        let run = home.client().get(&path).await;
        (run.status == 200).then(|| run.json())
    });
    assert_eq!(begun.await["status"], "running");

    let home = home.crash_and_restart().await;
    let run = home.client().get(&path).await.json();
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("node_lost")), "{run}");
    assert!(run["error"]["message"].as_str().unwrap().contains("Send the request again"), "{run}");
    assert_eq!(run["output"], json!({"text": ""}), "{run}");
    let kept = || fs::read_dir(home.data().join("objects")).unwrap().count();
    assert_eq!(kept(), 0, "something half made was kept");
    // And the next one is made.
    upstream.reply(drawn(1));
    let asked = json!({"model": "rig0:gpt-image-1", "prompt": "a fox"});
    let told = home.client().post("/v1/images/generations", &asked).await.json();
    assert_eq!(told["data"].as_array().map(Vec::len), Some(1), "{told}");
    assert!(kept() > 0, "this isn't where artifacts are kept");
    home.stop().await;
}
