//! Registry of the runs in progress in this process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hearth_domain::RunId;
use tokio::sync::Notify;

use super::readers::{Reader, Readers};
use crate::activity;

/// Reason why a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// It was cancelled by its id.
    Cancelled,
    /// The time limit of its process is near.
    TimeLimit,
    /// Its process stops.
    ProcessStops,
}

/// Signal that stops a run, with the first reason. A later one may leave it less time.
#[derive(Debug, Default)]
pub(crate) struct StopSignal {
    notify: Notify,
    reason: OnceLock<StopReason>,
    must_end_now: AtomicBool,
}

impl StopSignal {
    /// Wakes one task that waits, now or next, for the signal.
    fn send(&self, reason: StopReason) {
        let _ = self.reason.set(reason);
        if reason != StopReason::Cancelled {
            self.must_end_now.store(true, Ordering::Release);
        }
        self.notify.notify_one();
    }

    /// Waits for the signal.
    pub(super) async fn received(&self) {
        self.notify.notified().await;
    }

    /// Leaves a signal that was received to the next task that waits.
    pub(super) fn put_back(&self) {
        self.notify.notify_one();
    }

    /// The reason; `None` if the run isn't stopped.
    pub(super) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    /// True if the process ends: no time is left to wait for the provider's last events.
    pub(super) fn must_end_now(&self) -> bool {
        self.must_end_now.load(Ordering::Acquire)
    }
}

/// A run in progress, as the registry has it.
#[derive(Debug, Clone, Default)]
pub(super) struct ActiveRun {
    /// Signal that stops it.
    pub(super) stop: Arc<StopSignal>,
    /// The readers of its events.
    pub(super) readers: Arc<Readers>,
}

/// Registry of the runs in progress: for each run's id the signal that stops it, and its readers. It contains no run: each
/// is in the task of its driver.
#[derive(Debug, Default)]
pub(crate) struct ActiveRuns {
    runs: Mutex<HashMap<RunId, ActiveRun>>,
    /// Notified when the last run ends.
    idle: Notify,
    is_stopping: AtomicBool,
}

impl ActiveRuns {
    /// Adds a run.
    pub(super) fn enter(&self, id: RunId) -> ActiveRun {
        activity::of_process().note();
        self.runs().entry(id).or_default().clone()
    }

    /// Adds a reader of a run's events; `None` if the run isn't in progress here.
    pub(super) fn add_reader(&self, id: RunId) -> Option<Reader> {
        self.runs().get(&id).map(|run| run.readers.add())
    }

    /// Removes a run.
    pub(super) fn leave(&self, id: RunId) {
        activity::of_process().note();
        let mut runs = self.runs();
        runs.remove(&id);
        if runs.is_empty() {
            self.idle.notify_waiters();
        }
    }

    /// True if the run is in progress here.
    pub(super) fn contains(&self, id: RunId) -> bool {
        self.runs().contains_key(&id)
    }

    /// The number of runs in progress.
    pub(super) fn count(&self) -> usize {
        self.runs().len()
    }

    /// True if the process starts no more runs.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Stops a run; returns whether it is in progress here.
    pub(super) fn stop(&self, id: RunId, reason: StopReason) -> bool {
        let runs = self.runs();
        let run = runs.get(&id);
        run.inspect(|run| run.stop.send(reason)).is_some()
    }

    /// Refuses new runs, waits for those in progress, and stops those that are left after `grace`; returns when all have
    /// ended, or after `grace` again.
    pub(super) async fn stop_all(&self, grace: Duration) {
        self.is_stopping.store(true, Ordering::Release);
        if !self.wait_until_idle(grace).await {
            let left = self.runs().values().map(|run| run.stop.send(StopReason::ProcessStops)).count();
            tracing::info!(runs = left, "runs are stopped");
            self.wait_until_idle(grace).await;
        }
    }

    async fn wait_until_idle(&self, timeout: Duration) -> bool {
        let idle = async {
            loop {
                let idle = self.idle.notified();
                if self.runs().is_empty() {
                    return;
                }
                idle.await;
            }
        };
        tokio::time::timeout(timeout, idle).await.is_ok()
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, ActiveRun>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_limit_after_a_cancel_is_received_and_changes_no_reason() {
        let active = ActiveRuns::default();
        let id = RunId::new();
        let signal = active.enter(id).stop;
        active.stop(id, StopReason::Cancelled);
        signal.received().await;
        assert_eq!((signal.reason(), signal.must_end_now()), (Some(StopReason::Cancelled), false));
        active.stop(id, StopReason::TimeLimit);
        signal.received().await;
        assert_eq!((signal.reason(), signal.must_end_now()), (Some(StopReason::Cancelled), true));
    }
}
