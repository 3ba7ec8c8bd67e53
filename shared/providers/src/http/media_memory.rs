//! Limit of the memory that the answers of all generations of images, meshes and vectors take together.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use hearth_wire::{ApiError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory of all answers together. A decoded file beside its answer takes as much again for a moment.
const MEMORY_MAX_BYTES: usize = 512 << 20;
/// Answers up to this size don't count against the memory: those of all runs together are a small part of it.
const UNCOUNTED_MAX_BYTES: usize = 256 << 10;
/// Size of the pieces by which an answer's share grows.
const STEP_BYTES: usize = 1 << 20;
/// Longest time that a growing answer waits for memory.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(10);

/// The memory of this process.
static PROCESS_MEMORY: LazyLock<MediaMemory> = LazyLock::new(|| MediaMemory::new(MEMORY_MAX_BYTES));

/// Memory for answers: a semaphore with a permit for each KiB.
#[derive(Debug, Clone)]
pub(super) struct MediaMemory(Arc<Semaphore>);

impl MediaMemory {
    fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / 1024)))
    }

    /// The memory that all generations of this process share.
    pub(super) fn of_process() -> Self {
        PROCESS_MEMORY.clone()
    }

    /// An empty share for one answer.
    pub(super) fn share(&self) -> MediaShare {
        MediaShare { memory: self.clone(), permit: None }
    }
}

/// Memory that one answer holds. Dropping it releases the memory.
#[derive(Debug)]
pub(super) struct MediaShare {
    memory: MediaMemory,
    permit: Option<OwnedSemaphorePermit>,
}

impl MediaShare {
    /// Waits until there is memory for an answer that has grown to `bytes`.
    ///
    /// # Errors
    /// `overloaded` if other answers hold the memory for too long.
    pub(super) async fn grow_to(&mut self, bytes: usize) -> Result<(), ApiError> {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * 1024;
        if bytes <= held.max(UNCOUNTED_MAX_BYTES) {
            return Ok(());
        }
        let more = (bytes - held).next_multiple_of(STEP_BYTES) / 1024;
        let acquired = Arc::clone(&self.memory.0).acquire_many_owned(u32::try_from(more).unwrap_or(u32::MAX));
        match tokio::time::timeout(MEMORY_TIMEOUT, acquired).await {
            Ok(Ok(permit)) => {
                match &mut self.permit {
                    Some(held) => held.merge(permit),
                    None => self.permit = Some(permit),
                }
                Ok(())
            }
            _ => {
                let message = "the gateway has no memory left for an answer of this size; try again shortly";
                Err(ApiError::new(ErrorCode::Overloaded, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn growing_answer_waits_until_another_is_delivered() {
        let memory = MediaMemory::new(4 << 20);
        let (mut one, mut other) = (memory.share(), memory.share());
        one.grow_to(UNCOUNTED_MAX_BYTES).await.unwrap();
        assert_eq!(memory.0.available_permits(), 4 << 10);
        one.grow_to(UNCOUNTED_MAX_BYTES + 1).await.unwrap();
        one.grow_to(5 << 19).await.unwrap();
        assert_eq!(memory.0.available_permits(), 1 << 10);
        other.grow_to(1 << 20).await.unwrap();
        let mut waiting = Box::pin(other.grow_to(2 << 20));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(one);
        waiting.await.unwrap();
        drop(other);
        assert_eq!(memory.0.available_permits(), 4 << 10);
    }

    #[tokio::test(start_paused = true)]
    async fn answer_without_memory_is_refused_in_time() {
        let memory = MediaMemory::new(4 << 20);
        let mut one = memory.share();
        one.grow_to(4 << 20).await.unwrap();
        let error = memory.share().grow_to(1 << 20).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Overloaded);
    }
}
