//! Doorbells are hints: an answer doesn't depend on one, nor on the socket.

use std::time::Duration;

use hearth_tests::{
    Fault, MessageFault, eventually,
    relay::{RelayStream, RelayWorld, long_request, reference_text},
};

use crate::{MODEL, TOKENS, assert_answers, undisturbed_text};

/// Part of the doorbell of a run.
const RUN: &str = r#""type":"run""#;
/// The route of the socket.
const SOCKET: &str = "GET /v1/socket";
/// Limit of the time to the first text when one doorbell is lost: the second rings after 2 s.
const SECOND_RING_LIMIT: Duration = Duration::from_secs(5);
/// Limit of the time until a run that isn't claimed fails: the node has 10 s.
const CLAIM_LIMIT: Duration = Duration::from_secs(15);

#[tokio::test]
async fn relayed_answer_has_the_text_of_the_node_alone() {
    let (world, text) = tokio::join!(RelayWorld::start(), reference_text(TOKENS));
    let _node = world.node().await;
    assert_answers(&world, &text).await;
}

#[tokio::test]
async fn lost_doorbell_is_rung_again() {
    let world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    world.proxy.inject_message(RUN, MessageFault::Drop, 1);
    let answer = world.ask(MODEL, TOKENS).await.rest().await;
    answer.assert_whole(&text);
    assert!(answer.first_text.unwrap() < SECOND_RING_LIMIT, "{:?}", answer.first_text);
    world.assert_ended_once(&answer.id).await;
}

#[tokio::test]
async fn node_that_hears_no_doorbell_is_offline_until_it_is_heard_of_again() {
    let world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    world.proxy.inject_message(RUN, MessageFault::Drop, usize::MAX);
    match RelayStream::open(&world.client(), &long_request(MODEL, TOKENS)).await {
        Err(refused) => {
            assert_eq!(refused.error.as_deref(), Some("node_offline"), "{refused:?}");
            assert!(refused.duration < CLAIM_LIMIT, "{refused:?}");
        }
        // The answer to a report, such as of a model's new state, lists the run too.
        Ok(stream) => stream.rest().await.assert_whole(&text),
    }
    world.proxy.heal();
    // The node opens another socket, and asks for its orders.
    world.proxy.cut();
    eventually("the node's return", async || {
        let stream = RelayStream::open(&world.client(), &long_request(MODEL, TOKENS)).await.ok()?;
        stream.rest().await.assert_whole(&text);
        Some(())
    })
    .await;
}

#[tokio::test]
async fn doubled_and_late_doorbells_start_a_run_once() {
    let world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    world.proxy.inject_message(RUN, MessageFault::Double, 3);
    for _ in 0..2 {
        assert_answers(&world, &text).await;
    }
    // Later than the second ring.
    world.proxy.heal();
    world.proxy.inject_message(RUN, MessageFault::Delay(Duration::from_millis(2500)), 2);
    assert_answers(&world, &text).await;
    assert_answers(&world, &text).await;
}

#[tokio::test]
async fn node_whose_socket_is_refused_for_ever_polls() {
    let world = RelayWorld::start().await;
    world.proxy.inject(SOCKET, Fault::Refuse(503), usize::MAX);
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    assert_answers(&world, &text).await;
    assert_eq!(world.proxy.messages().from_server, 0);
    assert!(world.proxy.count("GET /v1/node/orders") > 0);
}

#[tokio::test]
async fn socket_is_replaced_before_its_end_without_a_gap() {
    let world = RelayWorld::start_with("[sockets]\nseconds = 3\n").await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    world.proxy.wait_until(|proxy| proxy.count(SOCKET) >= 1).await;
    // Answers, one after the other, until the node has had three sockets.
    while world.proxy.count(SOCKET) < 3 {
        let answer = world.ask(MODEL, TOKENS).await.rest().await;
        answer.assert_whole(&text);
        assert!(answer.first_text.unwrap() < Duration::from_secs(2), "{:?}", answer.first_text);
        world.assert_ended_once(&answer.id).await;
    }
    let refused = world
        .proxy
        .log()
        .iter()
        .filter(|one| one.path.contains("/v1/socket") && one.status != Some(101))
        .count();
    assert_eq!(refused, 0, "a socket was refused");
}
