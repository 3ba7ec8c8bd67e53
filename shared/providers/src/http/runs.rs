//! The runs in progress at one provider, so that each can be cancelled by its id.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hearth_domain::RunId;
use tokio::sync::oneshot;

/// The runs in progress. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct ActiveRuns(Arc<Mutex<HashMap<RunId, oneshot::Sender<()>>>>);

impl ActiveRuns {
    /// Registers a run. Returns the receiver of its cancellation, and a guard that removes the run when it is dropped.
    pub(super) fn register(&self, run: RunId) -> (oneshot::Receiver<()>, RunGuard) {
        let (cancel, cancelled) = oneshot::channel();
        self.lock().insert(run, cancel);
        (cancelled, RunGuard { runs: self.clone(), run })
    }

    /// Cancels a run. Returns false if it isn't in progress.
    pub(super) fn cancel(&self, run: RunId) -> bool {
        let cancel = self.lock().remove(&run);
        cancel.is_some_and(|cancel| cancel.send(()).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a run from [`ActiveRuns`] when its stream is dropped.
pub(super) struct RunGuard {
    runs: ActiveRuns,
    run: RunId,
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.runs.lock().remove(&self.run);
    }
}
