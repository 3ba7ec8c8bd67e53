//! Metrics of the process itself, under the names that Prometheus' client libraries use.

use std::{
    fs,
    sync::OnceLock,
    time::{Instant, SystemTime},
};

static START: OnceLock<Instant> = OnceLock::new();

/// Records the start and the version.
pub(super) fn start() {
    START.get_or_init(Instant::now);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("process_start_time_seconds").set(now.as_secs_f64());
    metrics::gauge!("hearth_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Sets the gauges. Where the system has no `/proc`, those of memory and files are missing.
pub(super) fn update() {
    if let Some(start) = START.get() {
        metrics::gauge!("hearth_uptime_seconds").set(start.elapsed().as_secs_f64());
    }
    if let Some(bytes) = resident_bytes() {
        #[expect(clippy::cast_precision_loss, reason = "a graph needs few digits")]
        metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        #[expect(clippy::cast_precision_loss, reason = "a process has few files")]
        metrics::gauge!("process_open_fds").set(files.count() as f64);
    }
}

/// Resident memory, by `/proc/self/status`, which is in kilobytes whatever the page size (man 5 proc).
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}
