//! `hearth-bench soak --kill-gateway`: a burst of small requests, an orderly stop in the middle of them, and kills of the
//! gateway itself. What a client has received must be in the gateway's records after the next start.

mod checks;
mod delay;
mod load;
mod polling;
mod process;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::time::sleep;

use super::Options;
use crate::{
    machine,
    statistics::{median, percentile},
    table::{Goal, Row, Table},
};
use checks::{Checks, Due};
use delay::SchedulingDelay;
use load::Load;
use polling::ModelsPolling;
use process::{DataFolder, Gateway};

/// Minutes of the burst.
const MINUTES: f64 = 1.0;
/// Clients at once.
const CLIENTS: u64 = 50;
/// Interval at which the memory is read.
const MEMORY_INTERVAL: Duration = Duration::from_millis(250);
/// Readings whose median is the memory at a moment.
const MEMORY_SAMPLES: usize = 8;
/// Time for which the gateway comes to rest after the burst.
const REST_PERIOD: Duration = Duration::from_secs(5);
/// Shortest load before a kill, and what is added to it in steps from round to round.
const KILL_AFTER: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(131));
/// Steps after which the times of the kills repeat.
const KILL_STEPS: u32 = 10;

const MODELS_LIMIT_MS: f64 = 100.0;
const STOP_LIMIT_SECONDS: f64 = 2.0;
const START_LIMIT_SECONDS: f64 = 2.0;
/// Megabytes by which the memory may grow from the middle of the burst to its end.
const GROWTH_LIMIT_MB: f64 = 10.0;

/// Carries out all of it.
///
/// # Errors
/// Something that a client had received is lost, or a goal isn't met.
pub(super) async fn run(options: &Options) -> Result<()> {
    let clients = options.concurrency.unwrap_or(CLIENTS);
    let seconds = 60.0 * options.minutes.unwrap_or(MINUTES);
    println!("{}\n", machine::heading(&machine::about(1)));
    let folder = DataFolder::new(options)?;
    let mut table = Table::new("Hearth", "");
    let (gateway, _) = folder.start().await?;
    eprintln!("{seconds:.0} s of {clients} clients");
    burst(&gateway, clients, Duration::from_secs_f64(seconds), &mut table).await;

    let (load, polling) = (Load::start(&gateway, clients), ModelsPolling::start(&gateway));
    sleep(KILL_AFTER.0 * 3).await;
    let mut latencies = polling.end();
    let took = gateway.stop().await?;
    table.push(Row::alone("orderly stop under load", "s", &[took]).goal(Goal::AtMost(STOP_LIMIT_SECONDS)));
    let received = load.end().await;
    let (mut gateway, _) = folder.start().await?;
    let polling = ModelsPolling::start(&gateway);
    let mut all = checks::check(&gateway, &received, Due::all()).await;
    latencies.extend(polling.end());

    let (mut starts, mut lags) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let delays = SchedulingDelay::start();
        let (load, polling) = (Load::start(&gateway, clients), ModelsPolling::start(&gateway));
        sleep(KILL_AFTER.0 + KILL_AFTER.1 * (round * 7 % KILL_STEPS)).await;
        latencies.extend(polling.end());
        let killed_at = Instant::now();
        gateway.kill().await?;
        let received = load.end().await;
        let (next, took) = folder.start().await?;
        gateway = next;
        starts.push(took);
        let polling = ModelsPolling::start(&gateway);
        let Checks { count, faults, lag } =
            checks::check(&gateway, &received, Due::before(killed_at, &delays)).await;
        latencies.extend(polling.end());
        eprintln!("  kill {}: {count} records checked, {} faults", round + 1, faults.len());
        lags.push(lag.as_secs_f64() * 1e3);
        all.count += count;
        all.faults.extend(faults);
    }
    gateway.stop().await?;
    push_latencies(&mut table, "around the stop and the kills", &latencies);
    if !starts.is_empty() {
        let slowest = percentile(&starts, 100.0);
        table.push(Row::alone("start after a kill", "s", &[slowest]).goal(Goal::AtMost(START_LIMIT_SECONDS)));
        let row = Row::alone("age of the oldest answer that a kill took", "ms", &[percentile(&lags, 100.0)]);
        table.push(row.goal(Goal::AtMost(checks::ANSWER_LAG_LIMIT.as_secs_f64() * 1e3)));
    }
    println!("{clients} clients; {} records checked\n\n{}", all.count, table.markdown());
    let mut failures = Vec::new();
    if !all.faults.is_empty() {
        let shown: Vec<&str> = all.faults.iter().take(20).map(String::as_str).collect();
        failures.push(format!(
            "{} things that a client had received are lost:\n{}",
            all.faults.len(),
            shown.join("\n")
        ));
    }
    failures.extend(table.missed().into_iter().map(|row| format!("a goal isn't met: {row}")));
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// A load for some time. Meanwhile the list of models is asked for, and the memory read.
async fn burst(gateway: &Gateway, clients: u64, duration: Duration, table: &mut Table) {
    let (load, polling) = (Load::start(gateway, clients), ModelsPolling::start(gateway));
    let mut sizes = vec![gateway.resident_megabytes()];
    let end = Instant::now() + duration;
    while Instant::now() < end {
        sleep(MEMORY_INTERVAL).await;
        sizes.push(gateway.resident_megabytes());
    }
    let received = load.end().await;
    let latencies = polling.end();
    let rate = received.len() as f64 / duration.as_secs_f64();
    table.push(Row::alone("answers, whole and streamed", "a second", &[rate]));
    push_latencies(table, "during the burst", &latencies);
    let before = |end: usize| median(&sizes[end.saturating_sub(MEMORY_SAMPLES)..end]);
    let (middle, last) = (before(sizes.len().div_ceil(2)), before(sizes.len()));
    table.push(Row::alone("resident memory at the burst's end", "MB", &[last]));
    let growth = Row::alone("its growth since the burst's middle", "MB", &[last - middle]);
    // Only Linux tells it.
    let is_measured = last.is_finite();
    table.push(if is_measured { growth.goal(Goal::AtMost(GROWTH_LIMIT_MB)) } else { growth });
    let polling = ModelsPolling::start(gateway);
    sleep(REST_PERIOD).await;
    push_latencies(table, "at rest", &polling.end());
    table.push(Row::alone("resident memory 5 s later", "MB", &[gateway.resident_megabytes()]));
}

fn push_latencies(table: &mut Table, phase: &str, latencies: &[f64]) {
    for (what, percent) in [("median", 50.0), ("p99", 99.0), ("slowest", 100.0)] {
        let value = percentile(latencies, percent);
        let row = Row::alone(format!("GET /v1/models {phase}, {what}"), "ms", &[value]);
        table.push(row.goal(Goal::AtMost(MODELS_LIMIT_MS)));
    }
}
