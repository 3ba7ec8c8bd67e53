//! The relay under faults: a gateway, a node that reaches it through a proxy of ours, and a client. After each fault the client
//! has lost no token and has none twice, every run has ended, and none was executed twice to its end.

#![expect(clippy::unwrap_used, reason = "what a test calls fails as the test does")]

mod batches;
mod charges;
mod clock;
mod cloud;
mod connections;
mod continued;
mod direct;
mod doorbells;
mod fencing;
mod kills;
mod lies;
mod many_nodes;
mod node_run;
mod restarts;
mod token_counts;
mod waiting;

use hearth_tests::relay::RelayWorld;

/// The node's model.
const MODEL: &str = "tiny-chat";
/// Tokens of an answer: enough for several batches.
const TOKENS: u64 = 400;

/// The text of an answer without a fault, which is the same at each time.
async fn undisturbed_text(world: &RelayWorld) -> String {
    let answer = world.ask(MODEL, TOKENS).await.rest().await;
    assert!(answer.is_whole && answer.error.is_none() && !answer.text.is_empty(), "{answer:?}");
    world.assert_ended_once(&answer.id).await;
    answer.text
}

/// Checks that an answer comes whole, in spite of the faults that were injected.
async fn assert_answers(world: &RelayWorld, text: &str) {
    let answer = world.ask(MODEL, TOKENS).await.rest().await;
    answer.assert_whole(text);
    let record = world.assert_ended_once(&answer.id).await;
    assert_eq!((&record["status"], &record["output"]["text"]), (&"completed".into(), &text.into()));
}
