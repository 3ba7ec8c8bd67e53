//! A node with an address: reached directly while it answers there, and by the relay while it doesn't.

use fault_proxy::FaultProxy;
use hearth_tests::{
    eventually,
    relay::{NodeProcess, RelayWorld, enrolment_code},
};

use crate::{MODEL, assert_answers, undisturbed_text};

/// An address at which nothing listens.
const NOWHERE: &str = "127.0.0.1:1";

/// Waits until the gateway reaches a node by this transport, and returns the reason.
async fn wait_for_transport(world: &RelayWorld, node: &NodeProcess, transport: &str) -> String {
    eventually(transport, async || {
        let listed = world.client().get(&format!("/v1/nodes/{}", node.id)).await.json();
        let status = &listed["status"];
        let is_reached = status["transport"] == transport && status["alive"] == true;
        is_reached.then(|| status["transport_reason"].as_str().unwrap_or_default().to_owned())
    })
    .await
}

#[tokio::test]
async fn node_that_is_cut_off_at_its_address_is_served_by_the_relay_and_directly_again_afterwards() {
    let world = RelayWorld::start_with("[relay]\ndirect_retry_seconds = 1\n").await;
    let way = FaultProxy::start(NOWHERE).await.unwrap();
    let code = enrolment_code(&world.client()).await;
    let mut node = NodeProcess::enroll_at(&world.proxy.url(), &code, &way.url()).await;
    node.start().await;
    way.set_upstream(node.url.as_deref().unwrap()).unwrap();
    world.wait_for_model(MODEL).await;
    // Direct, cut off, and direct again. Each run goes the way that is listed.
    let mut text = None;
    for transport in ["direct", "relay", "direct"] {
        if transport == "relay" {
            way.set_upstream(NOWHERE).unwrap();
            way.cut();
        } else {
            way.set_upstream(node.url.as_deref().unwrap()).unwrap();
        }
        let reason = wait_for_transport(&world, &node, transport).await;
        assert_eq!(reason.contains("can't be reached"), transport == "relay", "{transport}: {reason}");
        let (direct, claims) = (way.count("POST /v1/runs"), world.proxy.count("/claim"));
        match &text {
            None => text = Some(undisturbed_text(&world).await),
            Some(text) => assert_answers(&world, text).await,
        }
        let expected = if transport == "direct" { (1, 0) } else { (0, 1) };
        let went = (way.count("POST /v1/runs") - direct, world.proxy.count("/claim") - claims);
        assert_eq!(went, expected, "{transport}");
    }
    node.stop().await;
}
