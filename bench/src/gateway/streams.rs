//! Streams of 200 chunks, as fast as they can be and at a model's pace.

use anyhow::Result;

use super::{
    Bench, HEARTH, PASS_THROUGH, Part,
    client::{Answer, Connection},
    plan::{PACED, STREAM},
};
use crate::{
    statistics::{median, percentile},
    table::{Goal, Row},
};

pub(super) async fn two_hundred_chunks(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Part::Streams) {
        return Ok(());
    }
    let [fast, slow] = bench.plan.streams;
    for (what, wanted, count) in
        [("200 chunks at once", STREAM, fast), ("200 chunks, one each 2 ms", PACED, slow)]
    {
        let [total, first, gap] = bench
            .in_turns(what, async |subject| {
                let ask = subject.address.ask(wanted)?;
                let mut connection = Connection::open(&subject.address).await?;
                connection.ask(&subject.address.ask(STREAM)?).await?;
                let (mut totals, mut firsts, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
                for _ in 0..count {
                    let answer = connection.ask(&ask).await?;
                    totals.push(answer.took.as_secs_f64() * 1000.0);
                    firsts.extend(answer.tokens.first().map(|first| first.as_secs_f64() * 1000.0));
                    gaps.extend(gaps_of(&answer));
                }
                Ok([median(&totals), median(&firsts), percentile(&gaps, 99.0)])
            })
            .await?;
        bench.everybody.push(format!("{what}, p50"), "ms", &total);
        bench.everybody.push(format!("{what}, first chunk"), "ms", &first);
        bench.everybody.push(format!("{what}, p99 between two"), "ms", &gap);
        let row =
            |what, values: &[Vec<f64>]| Row::difference(what, "ms", &values[HEARTH], &values[PASS_THROUGH]);
        bench.goals.push(row(format!("{what}, p50, to pass-through"), &total).goal(Goal::AtMost(0.2)));
        bench.goals.push(row(format!("{what}, p99 between two, to pass-through"), &gap));
    }
    Ok(())
}

/// The time between each token and the next, in milliseconds.
fn gaps_of(answer: &Answer) -> impl Iterator<Item = f64> {
    answer.tokens.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0)
}
