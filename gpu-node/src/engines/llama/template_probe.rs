//! Tries a model's chat template before the model is loaded, with little memory and little time: a template that
//! takes more is a fault of its file, and is told as that.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;

use super::template::{Abilities, ChatTemplate};
use crate::{frames::Report, gguf::Header};

/// How long a template may take for all that is tried.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// What the process may have of memory meanwhile beside what it has reserved already, in bytes. It has no weights
/// yet, and its allocator reserves a gigabyte when it starts.
#[cfg(target_os = "linux")]
const PROBE_MEMORY_MAX_BYTES: u64 = 768 << 20;
/// Templates may nest deeply; the limits are minijinja's.
const STACK_BYTES: usize = 16 << 20;

/// What the chat template of the model with this header takes. The supervisor is told first: if the process
/// doesn't survive it, it knows why.
///
/// # Errors
/// If the template can't be used.
pub(super) fn probe(header: &Header, reports: &UnboundedSender<Report>) -> Result<Abilities, String> {
    if header.is_embedding() {
        return Ok(Abilities::default());
    }
    let _ = reports.send(Report::Probing);
    let source = header.chat_template().map(str::to_owned);
    let abilities =
        with_little_memory(|| within(PROBE_TIMEOUT, move || ChatTemplate::probe(source.as_deref())));
    let _ = reports.send(Report::Progress { progress: 0.0 });
    abilities?
}

/// What `work` gives, if it ends in time; else it is left behind, and the process is to end.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (done, result) = mpsc::sync_channel(1);
    let started = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let _ = done.send(work());
    });
    started.map_err(|error| format!("its chat template can't be tried: {error}"))?;
    result.recv_timeout(limit).map_err(|ended| match ended {
        RecvTimeoutError::Timeout => format!("its chat template takes longer than {} s", limit.as_secs()),
        RecvTimeoutError::Disconnected => "its chat template can't be rendered".to_owned(),
    })
}

/// Runs `work` while the process may have little memory. An allocation beyond that ends the process.
#[cfg(target_os = "linux")]
fn with_little_memory<T>(work: impl FnOnce() -> T) -> T {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let before = getrlimit(Resource::Data);
    let most = reserved_bytes().saturating_add(PROBE_MEMORY_MAX_BYTES);
    let most = before.maximum.map_or(most, |maximum| maximum.min(most));
    let set = |limit: Rlimit| {
        if let Err(error) = setrlimit(Resource::Data, limit) {
            tracing::warn!(%error, "the memory for trying a chat template can't be limited");
        }
    };
    set(Rlimit { current: Some(most), maximum: before.maximum });
    let result = work();
    set(before);
    result
}

/// What counts against the limit now.
#[cfg(target_os = "linux")]
fn reserved_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
    kib.map_or(u64::MAX, |kib| kib.saturating_mul(1024))
}

#[cfg(not(target_os = "linux"))]
fn with_little_memory<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_takes_too_long_is_left_behind() {
        let (_held, never) = mpsc::channel::<()>();
        let late = within(Duration::from_millis(20), move || never.recv().is_ok()).unwrap_err();
        assert!(late.contains("takes longer"), "{late}");
        assert_eq!(within(PROBE_TIMEOUT, || 7), Ok(7));
    }
}
