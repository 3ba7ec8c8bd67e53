//! Benchmark of the store of `hearth up`: writes of ended runs with 1, 10 and 100 writers, in a small and in a large table,
//! compared with the earlier store: DynamoDB's protocol over SQLite in the process, through the AWS SDK. It is a program of
//! the tests, since only they have that store.
//!
//! `cargo xtask bench store` builds and runs it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is what this program is for")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of writes are small"
)]

mod subject;

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use hearth_domain::{Run, RunState, Selection, Timestamp, Usage, UserId};
use hearth_store::Store;
use tokio::task::JoinSet;

use subject::Subject;

/// Benchmark of the store of `hearth up`, compared with the earlier one
#[derive(Debug, Parser)]
struct Options {
    /// Numbers of concurrent writers, each in a measurement of its own
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100])]
    writers: Vec<usize>,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Runs in the large table, if they can be written in `--fill-seconds`; the table of results has the real number
    #[arg(long, default_value_t = 1_000_000)]
    runs: usize,
    /// Seconds that filling the large table of a store may take
    #[arg(long, default_value_t = 60)]
    fill_seconds: u64,
    /// Leave the earlier store out
    #[arg(long)]
    only_ours: bool,
}

/// Concurrent writers that fill a table.
const FILL_WRITERS: usize = 256;

/// The writes of a measurement.
struct Measurement {
    count: usize,
    duration: Duration,
    /// The duration of each write, sorted.
    latencies: Vec<Duration>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    println!("| store | runs in the table | writers | writes/s | p50, ms | p99, ms | max, ms |");
    println!("|---|---|---|---|---|---|---|");
    let mut subjects = vec![Subject::ours(false)?, Subject::ours(true)?];
    if !options.only_ours {
        subjects.push(Subject::earlier().await?);
    }
    for subject in &subjects {
        measure(subject, &options).await?;
    }
    for subject in &subjects {
        let filled = fill(subject, &options).await?;
        subject.add(filled.count);
        let (name, runs, seconds) = (subject.name, subject.count(), filled.duration.as_secs());
        let end = if runs < options.runs {
            format!(" of {} to write: `--fill-seconds {}` ended it", options.runs, options.fill_seconds)
        } else {
            String::new()
        };
        eprintln!("{name}: {runs} runs in the table after {seconds} s{end}");
        measure(subject, &options).await?;
    }
    Ok(())
}

async fn measure(subject: &Subject, options: &Options) -> Result<()> {
    for writers in &options.writers {
        let before = subject.count();
        let end = Instant::now() + Duration::from_secs(options.seconds);
        let measured = write(&subject.store, *writers, usize::MAX, end).await?;
        subject.add(measured.count);
        let rate = measured.count as f64 / measured.duration.as_secs_f64();
        let at = |share: f64| {
            let place = (measured.latencies.len() as f64 * share) as usize;
            let latency = measured.latencies.get(place.min(measured.latencies.len().saturating_sub(1)));
            latency.map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
        };
        println!(
            "| {} | {before} | {writers} | {rate:.0} | {:.2} | {:.2} | {:.2} |",
            subject.name,
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    Ok(())
}

async fn fill(subject: &Subject, options: &Options) -> Result<Measurement> {
    let end = Instant::now() + Duration::from_secs(options.fill_seconds);
    write(&subject.store, FILL_WRITERS, options.runs.saturating_sub(subject.count()), end).await
}

/// Writes ended runs until `end`, or until there are `max_count` and at most one more for each writer.
async fn write(store: &Store, writers: usize, max_count: usize, end: Instant) -> Result<Measurement> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let store = store.clone();
        let share = max_count.div_ceil(writers);
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end && latencies.len() < share {
                let run = ended_run();
                let began = Instant::now();
                store.runs().record_ended(&run, &[]).await?;
                latencies.push(began.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    latencies.sort_unstable();
    Ok(Measurement { count: latencies.len(), duration: began.elapsed(), latencies })
}

/// A run of a short chat, with 400 bytes of text.
fn ended_run() -> Run {
    let now = Timestamp::now();
    Run {
        state: RunState::Completed,
        selection: Selection::example("vendor/model", "vendor"),
        usage: Usage { prompt_tokens: 20, completion_tokens: 80, ..Usage::default() },
        finish_reason: Some(hearth_domain::FinishReason::Stop),
        text: "word ".repeat(80),
        finished_at: Some(now),
        ..Run::example(UserId::new())
    }
}
