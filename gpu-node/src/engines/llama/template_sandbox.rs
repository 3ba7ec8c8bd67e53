//! Probes a model's chat template before the model is loaded, with limits on memory and time. A template that exceeds
//! them fails the load with a message that names the template.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;

use super::template::{self, TemplateAbilities};
use crate::{frames::Report, gguf::Header};

/// Time for the whole probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Memory that the process may allocate during the probe, in addition to what it has reserved already, in bytes. It has
/// no weights yet, and its allocator reserves a gigabyte when it starts.
#[cfg(target_os = "linux")]
const PROBE_MEMORY_MAX_BYTES: u64 = 768 << 20;
/// Stack of the probing thread: templates may nest as deeply as minijinja allows.
const PROBE_STACK_BYTES: usize = 16 << 20;

/// Probes the chat template of the model with this header. It reports the probe first: if the process dies, the
/// supervisor knows the reason.
///
/// # Errors
/// If the template can't be used.
pub(super) fn probe_template(
    header: &Header,
    reports: &UnboundedSender<Report>,
) -> Result<TemplateAbilities, String> {
    if header.is_embedding() {
        return Ok(TemplateAbilities::default());
    }
    let _ = reports.send(Report::Probing);
    let source = header.chat_template().map(str::to_owned);
    let abilities =
        with_memory_limit(|| run_within(PROBE_TIMEOUT, move || template::probe(source.as_deref())));
    let _ = reports.send(Report::Progress { progress: 0.0 });
    abilities?
}

/// Runs `work` on a thread, and returns its result if it comes in time. Otherwise the thread goes on; the process is to
/// end.
fn run_within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (done, result) = mpsc::sync_channel(1);
    let started = thread::Builder::new().stack_size(PROBE_STACK_BYTES).spawn(move || {
        let _ = done.send(work());
    });
    started.map_err(|error| format!("its chat template can't be probed: {error}"))?;
    result.recv_timeout(limit).map_err(|ended| match ended {
        RecvTimeoutError::Timeout => format!("its chat template takes longer than {} s", limit.as_secs()),
        RecvTimeoutError::Disconnected => "its chat template can't be rendered".to_owned(),
    })
}

/// Runs `work` with a limit on the process' memory. An allocation beyond the limit aborts the process.
#[cfg(target_os = "linux")]
fn with_memory_limit<T>(work: impl FnOnce() -> T) -> T {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let before = getrlimit(Resource::Data);
    let limit = reserved_bytes().saturating_add(PROBE_MEMORY_MAX_BYTES);
    let limit = before.maximum.map_or(limit, |maximum| maximum.min(limit));
    let set = |limit: Rlimit| {
        if let Err(error) = setrlimit(Resource::Data, limit) {
            tracing::warn!(%error, "the memory of a chat template's probe can't be limited");
        }
    };
    set(Rlimit { current: Some(limit), maximum: before.maximum });
    let result = work();
    set(before);
    result
}

/// Memory that counts against the limit now, in bytes.
#[cfg(target_os = "linux")]
fn reserved_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
    kib.map_or(u64::MAX, |kib| kib.saturating_mul(1024))
}

#[cfg(not(target_os = "linux"))]
fn with_memory_limit<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_exceeds_the_time_limit_fails() {
        let (_held, never) = mpsc::channel::<()>();
        let late = run_within(Duration::from_millis(20), move || never.recv().is_ok()).unwrap_err();
        assert!(late.contains("takes longer"), "{late}");
        assert_eq!(run_within(PROBE_TIMEOUT, || 7), Ok(7));
    }
}
