//! From a process' start to its first answer.

use anyhow::Result;

use super::{Bench, HEARTH, Part};
use crate::table::{Goal, Row};

/// Last of all: Hearth's data folder has room for one process, so the one that was measured ends.
pub(super) async fn first_answer(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Part::Start) {
        return Ok(());
    }
    let mut starts: Vec<Vec<f64>> =
        bench.subjects.iter().map(|subject| vec![subject.started.as_secs_f64()]).collect();
    bench.subjects.remove(HEARTH).process.stop().await?;
    starts[HEARTH].clear();
    for start in 0..bench.plan.starts {
        eprintln!("start: {} of {}", start + 1, bench.plan.starts);
        let subject = bench.home.start(None).await?;
        starts[HEARTH].push(subject.started.as_secs_f64());
        subject.process.stop().await?;
    }
    bench.everybody.push("start to first answer", "s", &starts);
    let row = Row::alone("start to first answer", "s", &starts[HEARTH]);
    bench.goals.push(row.goal(Goal::AtMost(0.3)));
    Ok(())
}
