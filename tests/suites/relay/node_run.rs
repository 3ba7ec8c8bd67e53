//! `hearth node run`: an enrolled node without faults.

use hearth_tests::{
    eventually, hearth,
    relay::{RelayStream, RelayWorld, long_request},
    run,
};
use tempfile::TempDir;

use crate::{MODEL, TOKENS, assert_answers, undisturbed_text};

#[tokio::test]
async fn stopped_node_lets_its_run_end_and_serves_again_after_its_start() {
    let world = RelayWorld::start().await;
    let mut node = world.node().await;
    let text = undisturbed_text(&world).await;
    let mut stream = world.ask(MODEL, TOKENS).await;
    stream.read_text(1).await;
    let (answer, ()) = tokio::join!(stream.rest(), node.stop());
    answer.assert_whole(&text);
    world.assert_ended_once(&answer.id).await;
    node.start().await;
    assert_answers(&world, &text).await;
}

#[tokio::test]
async fn node_with_a_limit_of_one_run_gets_the_next_when_that_has_ended() {
    let world = RelayWorld::start().await;
    let _node = world.node_with(&[("HEARTH_NODE__RUNS_MAX_COUNT", "1")]).await;
    let text = undisturbed_text(&world).await;
    let mut first = world.ask(MODEL, TOKENS).await;
    first.read_text(1).await;
    let refused = RelayStream::open(&world.client(), &long_request(MODEL, TOKENS)).await;
    assert_eq!(refused.err().and_then(|answer| answer.error).as_deref(), Some("queue_full"));
    first.rest().await.assert_whole(&text);
    // The gateway counts the run until its client has the last event.
    eventually("a place at the node", async || {
        let route = world.client().get(&format!("/v1/route?model={MODEL}")).await;
        route.status.is_success().then_some(())
    })
    .await;
    assert_answers(&world, &text).await;
}

#[tokio::test]
async fn node_that_is_not_enrolled_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let mut command = hearth(folder.path(), &["node", "run"]);
    command.arg("--data").arg(folder.path().join("node"));
    let ended = run(command, "").await;
    assert!(!ended.status.success(), "{ended:?}");
    assert!(ended.stderr.contains("hearth node enroll"), "{ended:?}");
}
