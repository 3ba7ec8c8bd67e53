//! Overhead of the gateway over the node: time before the first token, and between tokens.

use anyhow::Result;

use super::{
    Bench, Part, Report,
    plan::{CONTEXT, SLOTS},
};
use crate::{
    client::Ask,
    hearth,
    random::Random,
    rounds::{in_turns, seed},
    statistics::median,
    table::{Goal, Row},
};

/// Words of each prompt: what the model takes for them is the same on both sides, and only noise here.
const WORDS: usize = 4;

/// Ratio of the gateway's token rate to the node's.
pub(super) fn rate(what: &str, gateway: &[f64], node: &[f64]) -> Row {
    Row::ratio(what, "tok/s", gateway, node).goal(Goal::AtLeast(0.98))
}

/// The first token's way, with the tiny model: another one would take longer to say it than the way is.
pub(super) async fn first_token(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.measures(Part::Overhead) {
        return Ok(());
    }
    let capacity = bench.capacity(SLOTS, CONTEXT);
    let gateway = hearth::gateway(&bench.hearth, None, capacity).await?.warm_up().await?;
    let node = hearth::node(&bench.hearth, None, capacity).await?.warm_up().await?;
    let times = in_turns("first token", bench.plan.rounds, &[&gateway, &node], async |server, round| {
        let mut random = Random::new(seed("first token", round));
        let mut times = Vec::with_capacity(bench.plan.first_tokens);
        for _ in 0..bench.plan.first_tokens {
            times.push(server.client.ask(&Ask::random(&mut random, WORDS, 2)).await?.first_ms());
        }
        Ok(median(&times))
    })
    .await?;
    let row = Row::difference("first token of a tiny model", "ms", &times[0], &times[1]);
    report.gateway_against_node.push(row.goal(Goal::AtMost(1.0)));
    gateway.process.stop().await?;
    node.process.stop().await
}
