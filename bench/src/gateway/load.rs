//! Requests a second, processor time and latency under load: each connection sends its next request when it has the
//! answer to the last.

use std::time::Instant;

use anyhow::Result;
use futures::future::try_join_all;

use super::{
    Bench, HEARTH, PASS_THROUGH, Part,
    client::Connection,
    hearth::BEFORE,
    memory::processor_time,
    plan::{Load, MANY},
    subject::Subject,
};
use crate::{
    statistics::percentile,
    table::{Goal, Row},
};

/// Hearth's requests a second to those of a peer, at least.
const PEERS: [(&str, f64); 3] = [("SMG", 1.5), ("TensorZero", 2.0), ("LiteLLM", 40.0)];

pub(super) async fn under_load(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Part::Load) {
        return Ok(());
    }
    for load in Load::all() {
        let [rates, costs, p50, p99] = bench
            .in_turns(&load.to_string(), async |subject| bench.ask_for_a_while(subject, &load).await)
            .await?;
        bench.everybody.push(load.to_string(), "requests/s", &rates);
        bench.everybody.push(format!("{load}, processor time a request"), "ms", &costs);
        bench.everybody.push(format!("{load}, p50"), "ms", &p50);
        bench.everybody.push(format!("{load}, p99"), "ms", &p99);
        bench.compare(&load, "requests/s", &rates, Goal::AtLeast(bench.throughput_goal));
        bench.compare(&load, "processor time, ms", &costs, Goal::AtMost(2.0));
        bench.compare(&load, "p99, ms", &p99, Goal::AtMost(3.0));
        bench.ratio_to(&load.to_string(), "requests/s", &rates, &[(BEFORE, Goal::AtLeast(0.97))]);
        bench.ratio_to(&load.to_string(), "processor time, ms", &costs, &[(BEFORE, Goal::AtMost(1.03))]);
        if load.has_goals() && load.is_small() {
            let goals = PEERS.map(|(peer, least)| (peer, Goal::AtLeast(least)));
            bench.ratio_to(&load.to_string(), "requests/s", &rates, &goals);
        }
    }
    Ok(())
}

impl Bench {
    /// Requests a second, milliseconds of processor time a request, and the median and p99 of the time to an answer's end.
    async fn ask_for_a_while(&self, subject: &Subject, load: &Load) -> Result<[f64; 4]> {
        let ask = subject.address.ask(load.wanted)?;
        let open = (0..load.connections).map(|_| Connection::open(&subject.address));
        let mut open = try_join_all(open).await?;
        try_join_all(open.iter_mut().map(|connection| connection.ask(&ask))).await?;
        let (pid, counted) = (subject.process.pid(), self.plan.counted);
        let (began, before) = (Instant::now(), processor_time(pid));
        let times = open.iter_mut().map(async |connection| -> Result<Vec<f64>> {
            let mut times = Vec::new();
            while began.elapsed() < counted {
                times.push(connection.ask(&ask).await?.took.as_secs_f64() * 1000.0);
            }
            Ok(times)
        });
        let times = try_join_all(times).await?.concat();
        let (count, took) = (times.len() as f64, began.elapsed().as_secs_f64());
        // Threads that have ended take their time with them.
        let spent = before.zip(processor_time(pid)).and_then(|(before, after)| after.checked_sub(before));
        let cost = spent.map_or(f64::NAN, |spent| spent.as_secs_f64() * 1000.0 / count);
        Ok([count / took, cost, percentile(&times, 50.0), percentile(&times, 99.0)])
    }

    /// Hearth's values over the pass-through's, with a goal where the load has some.
    fn compare(&mut self, load: &Load, unit: &'static str, values: &[Vec<f64>], goal: Goal) {
        if load.connections > MANY {
            return;
        }
        let what = format!("{load}, to pass-through");
        let row = Row::ratio(what, unit, &values[HEARTH], &values[PASS_THROUGH]);
        self.goals.push(if load.has_goals() { row.goal(goal) } else { row });
    }
}
