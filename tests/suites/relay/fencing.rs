//! Claims that are over, and nodes that are out of time.

use hearth_tests::{
    cancel_run, eventually,
    relay::{RelayStream, RelayWorld, long_request},
};
use hearth_wire::{RunEventBody, relay::NodeBatchAccepted};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{MODEL, undisturbed_text};

/// Settings with leases of two seconds.
const SHORT_LEASES: &str = "[relay]\nlease_seconds = 2\n";

#[tokio::test]
async fn writes_of_a_node_whose_lease_is_over_are_refused() {
    let world = RelayWorld::start_with(SHORT_LEASES).await;
    let node = world.scripted("slow", &["ghost"]).await;
    let (client, body) = (world.client(), long_request("ghost", 100));
    let asking = tokio::spawn(async move { RelayStream::open(&client, &body).await.unwrap().rest().await });
    let mut run = node.next_run().await;
    node.post(&mut run, vec![RunEventBody::Started { prompt_tokens: 3 }, RunEventBody::text("one")]).await;
    // It generates on, and sends nothing until its lease is over.
    let answer = asking.await.unwrap();
    assert_eq!((answer.text.as_str(), answer.error.as_deref()), ("one", Some("node_lost")));
    let late = run.next(vec![RunEventBody::text("two"), RunEventBody::Cancelled]);
    let refused = node.try_post(run.id(), run.claimed.fence, late).await;
    refused.error(409, "conflict");
    let record = world.assert_ended_once(&answer.id).await;
    assert_eq!((&record["status"], &record["output"]["text"]), (&"failed".into(), &"one".into()));
}

#[tokio::test]
async fn claim_of_an_earlier_fence_is_refused() {
    let world = RelayWorld::start().await;
    let node = world.scripted("twin", &["ghost"]).await;
    let (client, body) = (world.client(), long_request("ghost", 100));
    let asking = tokio::spawn(async move { RelayStream::open(&client, &body).await.unwrap().rest().await });
    let mut before = node.next_run().await;
    // The same node again, after its restart.
    let mut run = node.claim(before.id()).await.unwrap();
    assert!(run.claimed.fence > before.claimed.fence);
    let late = before.next(vec![RunEventBody::Started { prompt_tokens: 3 }, RunEventBody::text("before")]);
    node.try_post(before.id(), before.claimed.fence, late).await.error(409, "conflict");
    node.serve(&mut run, &["one ", "two"]).await;
    let answer = asking.await.unwrap();
    answer.assert_whole("one two");
    world.assert_ended_once(&answer.id).await;
}

#[tokio::test]
async fn end_of_a_run_that_comes_after_its_cancellation_changes_nothing() {
    let world = RelayWorld::start().await;
    let node = world.scripted("deaf", &["ghost"]).await;
    let (client, body) = (world.client(), long_request("ghost", 100));
    let asking = tokio::spawn(async move {
        let mut stream = RelayStream::open(&client, &body).await.unwrap();
        stream.read_text(3).await;
        cancel_run(&client, stream.id()).await;
        stream.rest().await
    });
    let mut run = node.next_run().await;
    node.post(&mut run, vec![RunEventBody::Started { prompt_tokens: 3 }, RunEventBody::text("one")]).await;
    let answer = asking.await.unwrap();
    assert_eq!((answer.text.as_str(), answer.error.as_deref()), ("one", Some("cancelled")), "{answer:?}");
    // Each answer to a batch says so, until the run is gone.
    let heartbeat = node.try_post(run.id(), run.claimed.fence, Vec::new()).await;
    if heartbeat.status.is_success() {
        let accepted: NodeBatchAccepted = serde_json::from_slice(&heartbeat.body).unwrap();
        assert!(accepted.cancelled, "{accepted:?}");
    }
    let late = run.next(vec![RunEventBody::text("two"), RunEventBody::Cancelled]);
    let late = node.try_post(run.id(), run.claimed.fence, late).await;
    assert!(late.status.is_success() || late.status == StatusCode::CONFLICT, "{late:?}");
    let record = world.assert_ended_once(&answer.id).await;
    assert_eq!((&record["status"], &record["output"]["text"]), (&"cancelled".into(), &"one".into()));
}

#[tokio::test]
async fn clock_that_is_five_minutes_off_is_corrected_by_the_date_of_the_refusal() {
    let world = RelayWorld::start().await;
    for offset in [300, -300] {
        let mut node = world.scripted("skewed", &["ghost"]).await;
        node.clock_offset_seconds = offset;
        let refused = node.try_report().await;
        refused.error(401, "unauthorized");
        let date = httpdate::parse_http_date(refused.header("date")).unwrap();
        let now = std::time::SystemTime::now();
        let skew = date.duration_since(now).or_else(|_| now.duration_since(date)).unwrap();
        assert!(skew.as_secs() < 5, "{skew:?}");
        // A node that computes the gateway's clock signs by that.
        node.clock_offset_seconds = 0;
        assert!(node.try_report().await.status.is_success());
    }
}

#[tokio::test]
async fn key_that_is_revoked_in_mid_run_ends_the_run() {
    let world = RelayWorld::start().await;
    let node = world.node().await;
    let text = undisturbed_text(&world).await;
    let mut stream = world.ask(MODEL, 3000).await;
    stream.read_text(20).await;
    let revoked = world.client().delete(&format!("/v1/nodes/{}", node.id)).await;
    assert!(revoked.status.is_success(), "{revoked:?}");
    let answer = stream.rest().await;
    assert!(answer.error.is_some(), "{answer:?}");
    assert!(answer.text.starts_with(&text) || text.starts_with(&answer.text), "{answer:?}");
    let record = world.assert_ended_once(&answer.id).await;
    assert_eq!(record["status"], "failed", "{record}");
    eventually("a request with the revoked key", async || {
        world.proxy.log().iter().any(|one| one.status == Some(401)).then_some(())
    })
    .await;
    world.client().get(&format!("/v1/nodes/{}", node.id)).await.error(404, "not_found");
}

#[tokio::test]
async fn revoked_node_can_do_nothing_more() {
    let world = RelayWorld::start().await;
    let node = world.scripted("gone", &["ghost"]).await;
    let (client, body) = (world.client(), long_request("ghost", 100));
    let asking = tokio::spawn(async move { RelayStream::open(&client, &body).await.unwrap().rest().await });
    let mut run = node.next_run().await;
    node.post(&mut run, vec![RunEventBody::Started { prompt_tokens: 3 }, RunEventBody::text("one")]).await;
    assert!(world.client().delete(&format!("/v1/nodes/{}", node.id)).await.status.is_success());
    let late = run.next(vec![RunEventBody::text("two")]);
    node.try_post(run.id(), run.claimed.fence, late).await.error(401, "unauthorized");
    node.try_report().await.error(401, "unauthorized");
    node.send(Method::GET, "/v1/node/orders?wait=0", &Value::Null).await.error(401, "unauthorized");
    let answer = asking.await.unwrap();
    assert!(answer.error.is_some(), "{answer:?}");
    world.assert_ended_once(&answer.id).await;
}
