//! Batches of events that come twice, late, or in part.

use hearth_tests::{Fault, Network, relay::RelayWorld};

use crate::{assert_answers, undisturbed_text};

/// The route of batches.
const EVENTS: &str = "/events";
/// 64 kbit/s.
const SLOW_UPLOAD: u32 = 64_000 / 8;

/// Checks that answers come whole when `count` batches have this fault.
async fn answers_in_spite_of(fault: Fault, count: usize) {
    let world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    for _ in 0..3 {
        world.proxy.inject(EVENTS, fault, count);
        assert_answers(&world, &text).await;
        world.proxy.heal();
    }
}

#[tokio::test]
async fn doubled_batches_add_their_events_once() {
    answers_in_spite_of(Fault::Double, usize::MAX).await;
}

#[tokio::test]
async fn batches_out_of_order_add_their_events_in_order() {
    answers_in_spite_of(Fault::Late, 2).await;
}

#[tokio::test]
async fn batch_that_is_cut_is_sent_again() {
    answers_in_spite_of(Fault::CutRequest, 2).await;
}

#[tokio::test]
async fn batch_whose_answer_is_cut_is_sent_again() {
    answers_in_spite_of(Fault::CutAnswer, 2).await;
}

#[tokio::test]
async fn claim_whose_answer_is_cut_is_repeated() {
    let world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    for fault in [Fault::CutAnswer, Fault::CutRequest, Fault::Double] {
        world.proxy.inject("/claim", fault, 1);
        assert_answers(&world, &text).await;
    }
}

#[tokio::test]
async fn upload_of_64_kilobits_a_second_slows_an_answer_and_loses_nothing() {
    let world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    world.proxy.set_network(Network { upload_bytes_per_second: Some(SLOW_UPLOAD), ..Network::default() });
    world.proxy.cut();
    assert_answers(&world, &text).await;
}

#[tokio::test]
async fn proxy_that_buffers_answers_and_refuses_sockets_loses_nothing() {
    let world = RelayWorld::start().await;
    world.proxy.set_network(Network { buffers_answers: true, ..Network::default() });
    world.proxy.inject("GET /v1/socket", Fault::Refuse(502), usize::MAX);
    let _node = world.node().await;
    let text = undisturbed_text(&world).await;
    assert_answers(&world, &text).await;
}
