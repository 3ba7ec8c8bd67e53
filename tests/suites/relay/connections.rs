//! Connections that end, or don't, while a run goes on.

use hearth_tests::{Fault, relay::RelayWorld};

use crate::{MODEL, TOKENS, assert_answers, undisturbed_text};

#[tokio::test]
async fn all_connections_cut_in_mid_run_lose_nothing() {
    let world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    for _ in 0..3 {
        let mut stream = world.ask(MODEL, TOKENS).await;
        stream.read_text(20).await;
        world.proxy.cut();
        let answer = stream.rest().await;
        answer.assert_whole(&text);
        world.assert_ended_once(&answer.id).await;
    }
}

#[tokio::test]
async fn half_open_connection_in_mid_run_loses_nothing() {
    let world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    world.proxy.inject("/events", Fault::HalfOpen, 1);
    assert_answers(&world, &text).await;
    // The claim's connection hangs.
    world.proxy.inject("/claim", Fault::HalfOpen, 1);
    assert_answers(&world, &text).await;
}
