//! Memory of the gateway and the workers over time.

use std::time::{Duration, Instant};

use tokio::time::interval;

use super::Soak;

const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

/// A process' resident memory at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) pid: u32,
    pub(super) at: Instant,
    pub(super) bytes: u64,
}

/// Notes it every five seconds, until the time is over.
pub(super) async fn watch(soak: &Soak) {
    let mut pauses = interval(SAMPLE_INTERVAL);
    while !soak.is_over() {
        pauses.tick().await;
        let pid = soak.runtime().await.ok().and_then(|runtime| runtime["pid"].as_u64());
        let worker = pid.and_then(|pid| sample(u32::try_from(pid).ok()?));
        let mut tally = soak.tally.borrow_mut();
        tally.gateway.extend(sample(soak.pid));
        tally.workers.extend(worker);
    }
}

/// As Linux tells it; elsewhere there is none.
pub(super) fn sample(pid: u32) -> Option<Sample> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(Sample { pid, at: Instant::now(), bytes: kilobytes * 1024 })
}
