//! Requests a second, each connection sending the next one when it has its answer.

use std::time::Instant;

use anyhow::Result;
use futures::future::try_join_all;

use super::{
    Bench, Part,
    client::Connection,
    memory::processor_time,
    plan::{MANY, WHOLE},
};
use crate::table::Goal;

pub(super) async fn requests_a_second(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Part::Throughput) {
        return Ok(());
    }
    let counted = bench.plan.counted;
    for connections in [1, MANY] {
        let what = match connections {
            1 => "one connection".to_owned(),
            many => format!("{many} connections"),
        };
        let [rates, costs] = bench
            .in_turns(&format!("throughput, {what}"), async |subject| {
                let ask = subject.address.ask(WHOLE)?;
                let open = (0..connections).map(|_| Connection::open(&subject.address));
                let mut open = try_join_all(open).await?;
                try_join_all(open.iter_mut().map(|connection| connection.ask(&ask))).await?;
                let pid = subject.process.pid();
                let (began, before) = (Instant::now(), processor_time(pid));
                let counts = open.iter_mut().map(async |connection| -> Result<usize> {
                    let mut count = 0;
                    while began.elapsed() < counted {
                        connection.ask(&ask).await?;
                        count += 1;
                    }
                    Ok(count)
                });
                let count: usize = try_join_all(counts).await?.into_iter().sum();
                let rate = count as f64 / began.elapsed().as_secs_f64();
                // Threads that have ended take their time with them.
                let spent =
                    before.zip(processor_time(pid)).and_then(|(before, after)| after.checked_sub(before));
                let cost = spent.map_or(f64::NAN, |spent| spent.as_secs_f64() * 1000.0 / count as f64);
                Ok([rate, cost])
            })
            .await?;
        bench.everybody.push(&*what, "requests/s", &rates);
        bench.everybody.push(format!("{what}, processor time a request"), "ms", &costs);
        let goals = [
            ("pass-through", Goal::AtLeast(0.5)),
            ("TensorZero", Goal::AtLeast(1.0)),
            ("SMG", Goal::AtLeast(1.0)),
            ("LiteLLM", Goal::AtLeast(40.0)),
        ];
        bench.ratio_to(&what, "requests/s", &rates, &goals);
    }
    Ok(())
}
