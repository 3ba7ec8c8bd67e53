//! Instructions a request, counted by callgrind: they hardly depend on what else the machine does, so that a small
//! change of the request path shows.
//!
//! Each server runs twice under callgrind, with few requests and with many. The difference of the two counts is that
//! of the requests between them, without the start and the end. Only user space is counted.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use tempfile::TempDir;

use super::{
    Bench, HEARTH, PASS_THROUGH, Part,
    client::Connection,
    hearth::{self, Home},
    plan::{MANY, ONE, STREAM, WHOLE},
    subject::Subject,
};
use crate::{
    gateway::client::{Earlier, Wanted},
    table::Row,
};

/// The kinds of request that are counted, each with its instructions as a multiple of a whole answer's.
const COUNTED: [(Wanted, usize, usize, &str); 6] = [
    (WHOLE, ONE, 1, "whole, 0.3 KB, 1 connection"),
    (WHOLE, MANY, 1, "whole, 0.3 KB, 32 connections"),
    (STREAM, ONE, 8, "200 chunks, 0.3 KB, 1 connection"),
    (after(Earlier::Turns(16 << 10)), ONE, 4, "whole, 16 KB, 1 connection"),
    (after(Earlier::Turns(128 << 10)), ONE, 16, "whole, 128 KB, 1 connection"),
    (after(Earlier::OneText(128 << 10)), ONE, 16, "whole, 128 KB in one text, 1 connection"),
];

/// A short answer in one piece, after a conversation.
const fn after(earlier: Earlier) -> Wanted {
    Wanted { earlier, ..WHOLE }
}

pub(super) async fn a_request(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Part::Instructions) {
        return Ok(());
    }
    if !Path::new("/usr/bin/valgrind").is_file() {
        eprintln!("instructions: not counted, since valgrind isn't installed");
        return Ok(());
    }
    let upstream = bench.upstream();
    let home = Home::new(bench.home.program(), &upstream).await?;
    // The first start makes keys and tables; the limits stay in the store.
    let mut first = home.start(None).await?;
    if bench.limits {
        home.limit(&mut first).await.context("limits")?;
    }
    first.process.stop().await?;
    let folder = TempDir::new().context("no temporary folder")?;
    let counts = folder.path().join("counts");
    for (wanted, connections, weight, what) in COUNTED {
        eprintln!("instructions: {what}");
        let requests = bench.plan.counted_requests.map(|requests| requests / weight);
        let (mut totals, mut direct_totals) = ([0.0; 2], [0.0; 2]);
        for (index, requests) in requests.into_iter().enumerate() {
            let subject = home.start(Some(&counts)).await?;
            totals[index] = count(subject, &counts, wanted, connections, requests).await?;
            let subject = hearth::pass_through(&upstream, Some(&counts)).await?;
            direct_totals[index] = count(subject, &counts, wanted, connections, requests).await?;
        }
        let each = |totals: [f64; 2]| (totals[1] - totals[0]) / (requests[1] - requests[0]) as f64 / 1000.0;
        let mut values = vec![vec![f64::NAN]; bench.subjects.len()];
        (values[HEARTH], values[PASS_THROUGH]) = (vec![each(totals)], vec![each(direct_totals)]);
        let (what, unit) = (format!("{what}, instructions a request"), "thousand");
        let row =
            Row::ratio(format!("{what}, to pass-through"), unit, &values[HEARTH], &values[PASS_THROUGH]);
        bench.goals.push(row);
        bench.everybody.push(what, unit, &values);
    }
    Ok(())
}

/// Asks a server that runs under callgrind so often, and ends it. Gives the instructions of its whole life.
async fn count(
    subject: Subject,
    counts: &Path,
    wanted: Wanted,
    connections: usize,
    requests: usize,
) -> Result<f64> {
    let ask = subject.address.ask(wanted)?;
    let mut open = try_join_all((0..connections).map(|_| Connection::open(&subject.address))).await?;
    let each = open.iter_mut().map(async |connection| -> Result<()> {
        for _ in 0..requests / connections {
            connection.ask(&ask).await?;
        }
        Ok(())
    });
    try_join_all(each).await?;
    subject.process.stop().await?;
    let text = fs::read_to_string(counts).context("callgrind wrote no counts")?;
    total(&text).context("callgrind's file has no total")
}

/// The instructions in a file of callgrind's.
fn total(text: &str) -> Option<f64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals: "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_is_read_from_the_end() {
        assert_eq!(total("version: 1\nevents: Ir\nfn=(1) main\n12 345\n\ntotals: 987654\n"), Some(987_654.0));
        assert_eq!(total("version: 1\n"), None);
    }
}
