//! Queueing: how long requests wait when many more come at once than there are slots.

use anyhow::Result;
use futures::future::try_join_all;

use super::{
    Bench, Report, Servers,
    plan::{QUEUED, SHORT},
};
use crate::{
    client::Ask,
    random::Random,
    rounds::{in_turns, seed},
    server::Server,
    statistics::{median, percentile},
    table::{Goal, Row},
};

pub(super) async fn waits(bench: &Bench, servers: &Servers, report: &mut Report) -> Result<()> {
    let both = [&servers.node, &servers.llama_server];
    let waits = in_turns("queueing", bench.plan.rounds, &both, async |server, round| {
        all_at_once(server, bench.plan.queued_tokens, round).await
    })
    .await?;
    let of_both = |value: fn(&Vec<f64>) -> f64| -> [Vec<f64>; 2] {
        [0, 1].map(|server: usize| waits[server].iter().map(value).collect())
    };
    let table = &mut report.against_llama_server;
    let [ours, theirs] = of_both(|waits| median(waits));
    table.push(Row::ratio(format!("{QUEUED} at once, median wait"), "ms", &ours, &theirs));
    let [ours, theirs] = of_both(|waits| percentile(waits, 99.0));
    table.push(Row::ratio(format!("{QUEUED} at once, p99 wait"), "ms", &ours, &theirs));
    let [ours, theirs] = of_both(|waits| percentile(waits, 99.0) / median(waits));
    let row = Row::ratio(format!("{QUEUED} at once, p99 / median"), "", &ours, &theirs);
    table.push(row.goal(Goal::AtMost(1.1)));
    Ok(())
}

/// Time to the first token of each request, in milliseconds.
async fn all_at_once(server: &Server, tokens: u32, round: u64) -> Result<Vec<f64>> {
    let mut random = Random::new(seed("queueing", round));
    let asks: Vec<Ask> = (0..QUEUED).map(|_| Ask::random(&mut random, SHORT, tokens)).collect();
    let answers = try_join_all(asks.iter().map(|ask| server.client.ask(ask))).await?;
    Ok(answers.iter().map(crate::client::Answer::first_ms).collect())
}
