//! Gateway or node restart while a run goes on, in order.

use hearth_tests::relay::{RelayStream, RelayWorld, long_request};

use crate::{MODEL, TOKENS, assert_answers, undisturbed_text};

#[tokio::test]
async fn run_of_a_node_that_restarts_ends_and_the_next_is_served() {
    let world = RelayWorld::start().await;
    let mut node = world.node().await;
    let text = undisturbed_text(&world).await;
    let mut stream = world.ask(MODEL, 3000).await;
    stream.read_text(20).await;
    node.kill().await;
    node.start().await;
    let answer = stream.rest().await;
    assert_eq!(answer.error.as_deref(), Some("node_lost"), "{answer:?}");
    let record = world.assert_ended_once(&answer.id).await;
    assert_eq!(record["status"], "failed", "{record}");
    assert_eq!(record["output"]["text"].as_str().unwrap_or_default(), answer.text, "{record}");
    assert_answers(&world, &text).await;
}

#[tokio::test]
async fn run_that_a_node_has_claimed_before_its_restart_is_answered_after_it() {
    let world = RelayWorld::start().await;
    let mut node = world.node().await;
    let text = undisturbed_text(&world).await;
    // Nothing comes back from it any more.
    world.proxy.inject("/events", hearth_tests::Fault::HalfOpen, usize::MAX);
    let claims = world.proxy.count("/claim");
    let client = world.client();
    let asking = tokio::spawn(async move { RelayStream::open(&client, &long_request(MODEL, TOKENS)).await });
    world.proxy.wait_until(|proxy| proxy.count("/claim") > claims).await;
    node.kill().await;
    world.proxy.heal();
    node.start().await;
    let answer = asking.await.unwrap().unwrap_or_else(|answer| panic!("{answer:?}")).rest().await;
    answer.assert_whole(&text);
    world.assert_ended_once(&answer.id).await;
}

#[tokio::test]
async fn run_of_a_gateway_that_restarts_ends_and_the_next_is_served() {
    let mut world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    for crashes in [false, true] {
        let mut stream = world.ask(MODEL, 3000).await;
        stream.read_text(20).await;
        if crashes {
            world.crash_gateway().await;
        } else {
            world.restart_gateway().await;
        }
        let answer = stream.rest().await;
        let record = world.assert_ended_once(&answer.id).await;
        let stored = record["output"]["text"].as_str().unwrap_or_default();
        let is_same = stored.starts_with(&answer.text) || answer.text.starts_with(stored);
        assert!(is_same, "{stored:?} isn't {:?}", answer.text);
        assert_answers(&world, &text).await;
    }
}
