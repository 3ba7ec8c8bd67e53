//! Registry of the runs in progress in this process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hearth_domain::RunId;
use tokio::sync::Notify;

/// Registry of the runs in progress: for each run's id the signal that stops it. It contains no run: each is in the task
/// of its driver.
#[derive(Debug, Default)]
pub(crate) struct ActiveRuns {
    runs: Mutex<HashMap<RunId, Arc<Notify>>>,
    /// Notified when the last run ends.
    idle: Notify,
    is_stopping: AtomicBool,
}

impl ActiveRuns {
    /// Adds a run; returns the signal that stops it.
    pub(super) fn enter(&self, id: RunId) -> Arc<Notify> {
        Arc::clone(self.runs().entry(id).or_default())
    }

    /// Removes a run.
    pub(super) fn leave(&self, id: RunId) {
        let mut runs = self.runs();
        runs.remove(&id);
        if runs.is_empty() {
            self.idle.notify_waiters();
        }
    }

    /// True if the process starts no more runs.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Stops a run; returns whether it is in progress here.
    pub(super) fn stop(&self, id: RunId) -> bool {
        let runs = self.runs();
        let run = runs.get(&id);
        run.inspect(|run| run.notify_one()).is_some()
    }

    /// Refuses new runs, waits for those in progress, and stops those that are left after `grace`; returns when all have
    /// ended, or after `grace` again.
    pub(super) async fn stop_all(&self, grace: Duration) {
        self.is_stopping.store(true, Ordering::Release);
        if !self.wait_until_idle(grace).await {
            let left = self.runs().values().map(|run| run.notify_one()).count();
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

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Notify>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
