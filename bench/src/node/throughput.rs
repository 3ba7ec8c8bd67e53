//! Tokens a second, of one stream and of many.

use std::time::Instant;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;

use super::{
    Bench, Part, Report, fairness, overhead,
    plan::{CONTEXT, SHORT, SLOTS, SMALL_CONTEXT},
    prefix,
};
use crate::{
    client::Ask,
    random::Random,
    rounds::{in_turns, seed},
    server::Server,
    table::{Goal, Row},
};

/// Everything that is measured with [`SLOTS`] slots: one stream and eight, through node and gateway,
/// prefixes, and queues.
pub(super) async fn with_eight_slots(bench: &Bench, report: &mut Report) -> Result<()> {
    let parts = [Part::Throughput, Part::Prefix, Part::Fairness, Part::Overhead];
    if !parts.into_iter().any(|part| bench.measures(part)) {
        return Ok(());
    }
    let gateway = bench.measures(Part::Overhead);
    let servers = bench.servers(bench.capacity(SLOTS, CONTEXT), gateway).await?;
    if bench.measures(Part::Throughput) || gateway {
        for ((streams, tokens), goal) in bench.plan.few_streams.into_iter().zip([1.05, 1.15]) {
            let mut measured = vec![&servers.node, &servers.llama_server];
            measured.extend(&servers.gateway);
            let rates = rates(bench, &measured, streams, tokens).await?;
            let row = Row::ratio(name(streams), "tok/s", &rates[0], &rates[1]);
            report.against_llama_server.push(row.goal(Goal::AtLeast(goal)));
            if let Some(gateway) = rates.get(2) {
                report.gateway_against_node.push(overhead::rate(&name(streams), gateway, &rates[0]));
            }
        }
    }
    if bench.measures(Part::Prefix) {
        prefix::second_turn(bench, &servers, report).await?;
    }
    if bench.measures(Part::Fairness) {
        fairness::waits(bench, &servers, report).await?;
    }
    servers.stop().await
}

/// As many slots as streams, and little context in each.
pub(super) async fn with_many_slots(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.measures(Part::Throughput) {
        return Ok(());
    }
    for (streams, tokens) in bench.plan.many_streams {
        let servers = bench.servers(bench.capacity(streams, SMALL_CONTEXT), false).await?;
        let rates = rates(bench, &[&servers.node, &servers.llama_server], streams, tokens).await?;
        let row = Row::ratio(name(streams), "tok/s", &rates[0], &rates[1]);
        report.against_llama_server.push(row.goal(Goal::AtLeast(1.0)));
        servers.stop().await?;
    }
    Ok(())
}

async fn rates(bench: &Bench, servers: &[&Server], streams: u32, tokens: u32) -> Result<Vec<Vec<f64>>> {
    in_turns(&name(streams), bench.plan.rounds, servers, async |server, round| {
        let mut random = Random::new(seed(&name(streams), round));
        let asks: Vec<Ask> = (0..streams).map(|_| Ask::random(&mut random, SHORT, tokens)).collect();
        rate(server, &asks).await
    })
    .await
}

/// Of one stream the tokens a second once it runs; of several all their tokens, from the first request's
/// sending to the last one's end.
async fn rate(server: &Server, asks: &[Ask]) -> Result<f64> {
    let began = Instant::now();
    let answers = try_join_all(asks.iter().map(|ask| server.client.ask(ask))).await?;
    let took = began.elapsed().as_secs_f64();
    if asks.len() == 1 {
        return answers.first().map(crate::client::Answer::decode_rate).context("no answer");
    }
    let tokens: u32 = answers.iter().map(|answer| answer.usage.completion_tokens).sum();
    Ok(f64::from(tokens) / took)
}

fn name(streams: u32) -> String {
    match streams {
        1 => "one stream".to_owned(),
        streams => format!("{streams} streams"),
    }
}
