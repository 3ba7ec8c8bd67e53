//! What a run's preparation is told and tells: that its client has left, and that it goes on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use hearth_wire::{ApiError, ErrorCode};

/// Shared by the thread that prepares a run and the side that may cancel it.
#[derive(Debug, Clone, Default)]
pub(super) struct Preparation {
    cancelled: Arc<AtomicBool>,
    /// Counts the steps of all preparations of the worker.
    progress: Arc<AtomicU64>,
}

/// The run was cancelled while it was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cancelled;

impl Preparation {
    /// One that counts its steps together with all others of `progress`.
    pub(super) fn counted_in(progress: &Arc<AtomicU64>) -> Self {
        Self { cancelled: Arc::default(), progress: Arc::clone(progress) }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Notes that a bounded piece of work is done.
    ///
    /// # Errors
    /// If nobody waits for the rest.
    pub(super) fn step(&self) -> Result<(), Cancelled> {
        self.progress.fetch_add(1, Ordering::Relaxed);
        if self.cancelled.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

/// Nobody reads it: the run was reported as cancelled before.
impl From<Cancelled> for ApiError {
    fn from(_: Cancelled) -> Self {
        ApiError::new(ErrorCode::ProviderError, "the request was cancelled while it was prepared")
    }
}
