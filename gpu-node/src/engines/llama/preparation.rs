//! The state that a run's preparation shares with the I/O side: a cancel flag and a progress counter.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use hearth_wire::{ApiError, ErrorCode};

/// A handle to a run that is being prepared, for the preparing thread and the I/O side.
#[derive(Debug, Clone, Default)]
pub(super) struct Preparation {
    cancelled: Arc<AtomicBool>,
    /// Counts the checkpoints of all preparations of the worker.
    progress: Arc<AtomicU64>,
}

/// The run was cancelled while it was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cancelled;

impl Preparation {
    /// A new preparation that counts its checkpoints in `progress`.
    pub(super) fn with_progress(progress: &Arc<AtomicU64>) -> Self {
        Self { cancelled: Arc::default(), progress: Arc::clone(progress) }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Counts a bounded piece of work as done.
    ///
    /// # Errors
    /// If the run was cancelled.
    pub(super) fn checkpoint(&self) -> Result<(), Cancelled> {
        self.progress.fetch_add(1, Ordering::Relaxed);
        if self.cancelled.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

/// No client reads this error: the run was reported as cancelled before.
impl From<Cancelled> for ApiError {
    fn from(_: Cancelled) -> Self {
        ApiError::new(ErrorCode::ProviderError, "the request was cancelled while it was prepared")
    }
}
