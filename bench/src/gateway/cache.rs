//! Cached answers.

use anyhow::Result;

use super::{Bench, HEARTH, Part, client::Connection, plan::REPEATED};
use crate::{
    statistics::percentile,
    table::{Goal, Row},
};

pub(super) async fn hit(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Part::Cache) {
        return Ok(());
    }
    let hearth = &bench.subjects[HEARTH];
    let ask = hearth.address.ask(REPEATED)?;
    let mut connection = Connection::open(&hearth.address).await?;
    connection.ask(&ask).await?;
    if connection.ask(&ask).await?.cache.as_deref() != Some("hit") {
        eprintln!("cache: this hearth keeps no answers here, so hits aren't measured");
        return Ok(());
    }
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..bench.plan.rounds {
        let mut times = Vec::with_capacity(bench.plan.requests);
        for _ in 0..bench.plan.requests {
            let answer = connection.ask(&ask).await?;
            anyhow::ensure!(
                answer.cache.as_deref() == Some("hit"),
                "the upstream got a request for a cached answer"
            );
            times.push(answer.took.as_secs_f64() * 1000.0);
        }
        for (round, percent) in rounds.iter_mut().zip([50.0, 99.0]) {
            round.push(percentile(&times, percent));
        }
    }
    bench.goals.push(Row::alone("cache hit, p50", "ms", &rounds[0]));
    bench.goals.push(Row::alone("cache hit, p99", "ms", &rounds[1]).goal(Goal::AtMost(1.0)));
    Ok(())
}
