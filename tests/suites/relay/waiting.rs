//! Requests that wait for an enrolled node, and the cost of its runs by its own settings.

use hearth_tests::relay::{RelayStream, RelayWorld, history, long_request};
use serde_json::json;

use crate::{MODEL, TOKENS, undisturbed_text};

#[tokio::test]
async fn run_waits_for_a_node_that_starts_after_the_request() {
    let world = RelayWorld::start().await;
    let mut node = world.node().await;
    let text = undisturbed_text(&world).await;
    node.stop().await;
    let mut body = long_request(MODEL, TOKENS);
    body["prefer"] = json!("home");
    body["deadline"] = json!(300);
    // The head of the stream comes when the run waits.
    let stream = RelayStream::open(&world.client(), &body).await.unwrap();
    let record = world.client().get(&format!("/v1/requests/{}", stream.id())).await.json();
    assert_eq!(record["status"], "queued", "{record}");
    let (answer, ()) = tokio::join!(stream.rest(), node.start());
    answer.assert_whole(&text);
    world.assert_ended_once(&answer.id).await;
}

#[tokio::test]
async fn runs_of_a_node_cost_the_energy_of_its_settings() {
    let world = RelayWorld::start().await;
    let settings = [("HEARTH_NODE__BUSY_WATTS", "400"), ("HEARTH_NODE__PRICE_PER_KWH", "1000")];
    let _node = world.node_with(&settings).await;
    let answer = world.ask(MODEL, TOKENS).await.rest().await;
    let record = history(&world.client(), &answer.id).await;
    let cost = record["cost"]["usd"].as_str().map(|usd| usd.parse::<f64>().unwrap());
    // 400 W are a ninth of a dollar in a second.
    let most = answer.duration.as_secs_f64() * 400.0 / 3600.0;
    assert!(cost.is_some_and(|cost| cost > 0.0 && cost <= most), "{record}, {:?}", answer.duration);
}
