//! Figures of a soak test.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{judge::Outcome, memory::Sample};
use crate::statistics::{median, percentile, slope};

/// A failure that a kill explains comes at most this long after it.
const KILL_GRACE: Duration = Duration::from_secs(30);
/// Samples of a worker that are left out: its memory grows while it loads.
const LOADING: usize = 2;
/// Number of faults that are printed.
const SHOWN: usize = 20;

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) began: Instant,
    pub(super) manner: &'static str,
}

/// Counts so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ids: HashSet<String>,
    /// Number of requests by their end.
    ends: BTreeMap<String, u64>,
    /// Of the completed ones, in seconds.
    times: Vec<f64>,
    pub(super) kills: Vec<Instant>,
    /// From each kill to a served request.
    pub(super) recoveries: Vec<Duration>,
    pub(super) gateway: Vec<Sample>,
    pub(super) workers: Vec<Sample>,
    /// Faults: ends that must not happen.
    pub(super) faults: Vec<String>,
}

impl Tally {
    pub(super) fn fault(&mut self, what: String) {
        eprintln!("fault: {what}");
        self.faults.push(what);
    }

    /// Notes an answer's id, which no other may have.
    pub(super) fn seen(&mut self, id: &str) {
        if !self.ids.insert(id.to_owned()) {
            self.fault(format!("two requests have the id {id}"));
        }
    }

    /// Notes how a request ended. It may fail only by a kill.
    pub(super) fn ended(&mut self, sent: Sent, outcome: Result<Outcome>) {
        let end = match outcome {
            Ok(Outcome::Completed) => {
                self.times.push(sent.began.elapsed().as_secs_f64());
                "completed".to_owned()
            }
            Ok(Outcome::Cancelled) => "cancelled".to_owned(),
            Ok(Outcome::Left) => "left by the client".to_owned(),
            Ok(Outcome::Failed(code)) => {
                if !self.kills.iter().any(|kill| *kill + KILL_GRACE > sent.began) {
                    self.fault(format!("{} failed with {code}, and no worker was killed", sent.manner));
                }
                format!("failed by a kill: {code}")
            }
            Err(error) => {
                self.fault(format!("{}: {error:#}", sent.manner));
                "lost".to_owned()
            }
        };
        *self.ends.entry(end).or_default() += 1;
    }

    /// For people, in Markdown.
    pub(super) fn report(&self) -> String {
        let mut text = String::from("| requests | |\n|---|---|\n");
        for (end, count) in &self.ends {
            // Writing to a string can't fail.
            let _ = writeln!(text, "| {end} | {count} |");
        }
        let _ = writeln!(text, "| in all | {} |", self.ends.values().sum::<u64>());
        let (middle, late) = (median(&self.times), percentile(&self.times, 99.0));
        let _ = writeln!(text, "| time of a completed one | median {middle:.2} s, p99 {late:.2} s |");
        let recoveries: Vec<f64> = self.recoveries.iter().map(Duration::as_secs_f64).collect();
        let _ = writeln!(
            text,
            "| workers killed | {}; a request was served again after {:.2} s, at most {:.2} s |",
            self.kills.len(),
            median(&recoveries),
            percentile(&recoveries, 100.0),
        );
        let half = self.gateway.len() / 2;
        let _ =
            writeln!(text, "| memory of gateway and node | {} |", memory(&[self.gateway[half..].to_vec()]));
        let _ = writeln!(text, "| memory of workers | {} |", memory(&self.lives()));
        for fault in self.faults.iter().take(SHOWN) {
            let _ = writeln!(text, "| **fault** | {fault} |");
        }
        text
    }

    /// The workers' samples, by worker, without those of its loading.
    fn lives(&self) -> Vec<Vec<Sample>> {
        let by_pid = self.workers.chunk_by(|one, next| one.pid == next.pid);
        by_pid.map(|life| life.iter().skip(LOADING).copied().collect()).collect()
    }
}

/// Memory of the processes, and its growth.
fn memory(lives: &[Vec<Sample>]) -> String {
    const MEBIBYTE: f64 = 1024.0 * 1024.0;
    let all = || lives.iter().flatten();
    let Some(begin) = all().map(|sample| sample.at).min() else { return "not measured".to_owned() };
    let sizes: Vec<f64> = all().map(|sample| sample.bytes as f64 / MEBIBYTE).collect();
    let minutes = |sample: &Sample| (sample.at - begin).as_secs_f64() / 60.0;
    let points = |life: &Vec<Sample>| -> Vec<(f64, f64)> {
        life.iter().map(|sample| (minutes(sample), sample.bytes as f64 / MEBIBYTE)).collect()
    };
    let groups: Vec<Vec<(f64, f64)>> = lives.iter().map(points).collect();
    let growth = slope(&groups).map_or_else(|| "?".to_owned(), |slope| format!("{slope:+.2}"));
    let (middle, most) = (median(&sizes), percentile(&sizes, 100.0));
    format!("median {middle:.0} MiB, at most {most:.0} MiB, growing by {growth} MiB a minute")
}
