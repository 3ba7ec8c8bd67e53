//! What a gateway adds to an answer's time, with one connection.

use anyhow::Result;

use super::{Bench, DIRECT, HEARTH, Part, client::Connection, plan::WHOLE};
use crate::{
    statistics::percentile,
    table::{Goal, Row},
};

/// Requests before those that count: connections are made, and tables are filled.
const WARM_UP: usize = 20;

pub(super) async fn added(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Part::Latency) {
        return Ok(());
    }
    let requests = bench.plan.requests;
    let [p50, p99] = bench
        .in_turns("latency", async |subject| {
            let ask = subject.address.ask(WHOLE)?;
            let mut connection = Connection::open(&subject.address).await?;
            let mut times = Vec::with_capacity(requests);
            for request in 0..WARM_UP + requests {
                let took = connection.ask(&ask).await?.took.as_secs_f64() * 1000.0;
                times.extend((request >= WARM_UP).then_some(took));
            }
            Ok([50.0, 99.0].map(|percent| percentile(&times, percent)))
        })
        .await?;
    for (values, percent) in [(&p50, 50), (&p99, 99)] {
        bench.everybody.push(format!("one connection, p{percent}"), "ms", values);
    }
    let less_direct = |values: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let added =
            |of: &Vec<f64>| of.iter().zip(&values[DIRECT]).map(|(one, direct)| one - direct).collect();
        values.iter().map(added).collect()
    };
    bench.everybody.push("added p50", "ms", &less_direct(&p50));
    bench.everybody.push("added p99", "ms", &less_direct(&p99));
    let row = Row::difference("added p50, to the mock itself", "ms", &p50[HEARTH], &p50[DIRECT]);
    bench.goals.push(row.goal(Goal::AtMost(0.1)));
    bench.goals.push(Row::difference("added p99, to the mock itself", "ms", &p99[HEARTH], &p99[DIRECT]));
    Ok(())
}
