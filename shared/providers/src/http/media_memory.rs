//! Limit of the memory that the answers of all generations of images, meshes and vectors take together.
//!
//! A generation reserves the expected size of its answers before it sends a request: where there is no memory, it is refused before
//! its provider is paid. An answer that is larger than expected grows in a part of the memory that nothing reserves.

use std::{
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_wire::{ApiError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory that generations reserve. A decoded file beside its answer takes as much again for a moment.
const RESERVED_MAX_BYTES: usize = 384 << 20;
/// Memory for answers that are larger than expected.
const GROWTH_MAX_BYTES: usize = 128 << 20;
/// Answers up to this size don't count against the memory: those of all runs together are a small part of it.
const UNCOUNTED_MAX_BYTES: usize = 256 << 10;
/// Size of the pieces by which a share grows.
const STEP_BYTES: usize = 1 << 20;
/// Longest time that a generation waits for memory before it is sent.
const RESERVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that an answer waits for memory. Its provider has been paid.
const GROWTH_TIMEOUT: Duration = Duration::from_secs(30);

/// The memory of this process.
static PROCESS_MEMORY: LazyLock<MediaMemory> =
    LazyLock::new(|| MediaMemory::new(RESERVED_MAX_BYTES, GROWTH_MAX_BYTES));

/// Memory for answers: semaphores with a permit for each KiB.
#[derive(Debug, Clone)]
pub(super) struct MediaMemory {
    reservable: Arc<Semaphore>,
    growth: Arc<Semaphore>,
    reserved_max_bytes: usize,
}

impl MediaMemory {
    pub(super) fn new(reserved_max_bytes: usize, growth_max_bytes: usize) -> Self {
        Self {
            reservable: Arc::new(Semaphore::new(reserved_max_bytes / 1024)),
            growth: Arc::new(Semaphore::new(growth_max_bytes / 1024)),
            reserved_max_bytes,
        }
    }

    /// The memory that all generations of this process share.
    pub(super) fn of_process() -> Self {
        PROCESS_MEMORY.clone()
    }

    /// Waits until there is memory for answers of `bytes` together, and reserves it.
    ///
    /// # Errors
    /// `overloaded` if other generations hold the memory for too long.
    pub(super) async fn reserve(&self, bytes: usize) -> Result<MediaShare, ApiError> {
        // More than all of the memory could never be reserved.
        let bytes = bytes.min(self.reserved_max_bytes);
        let mut size = ShareSize { held: UNCOUNTED_MAX_BYTES, ..ShareSize::default() };
        if bytes > UNCOUNTED_MAX_BYTES {
            size.reserved = Some(acquire(&self.reservable, bytes, RESERVE_TIMEOUT).await?);
            size.held = bytes;
        }
        Ok(MediaShare { memory: self.clone(), size: Mutex::new(size) })
    }
}

/// Memory that the answers of one generation hold. Dropping it releases the memory.
#[derive(Debug)]
pub(super) struct MediaShare {
    memory: MediaMemory,
    size: Mutex<ShareSize>,
}

#[derive(Debug, Default)]
struct ShareSize {
    /// Bytes of the answers so far.
    used: usize,
    /// Bytes that the answers may have with the permits, also those that are waited for.
    held: usize,
    reserved: Option<OwnedSemaphorePermit>,
    growth: Option<OwnedSemaphorePermit>,
}

impl MediaShare {
    /// Waits until there is memory for `bytes` more of an answer.
    ///
    /// # Errors
    /// `overloaded` if other answers hold the memory for too long.
    pub(super) async fn add(&self, bytes: usize) -> Result<(), ApiError> {
        let more = {
            let mut size = self.size();
            size.used += bytes;
            let more = size.used.saturating_sub(size.held).next_multiple_of(STEP_BYTES);
            size.held += more;
            more
        };
        if more == 0 {
            return Ok(());
        }
        if let Ok(permit) = Arc::clone(&self.memory.reservable).try_acquire_many_owned(permits(more)) {
            merge(&mut self.size().reserved, permit);
            return Ok(());
        }
        let permit = acquire(&self.memory.growth, more, GROWTH_TIMEOUT).await?;
        merge(&mut self.size().growth, permit);
        Ok(())
    }

    fn size(&self) -> MutexGuard<'_, ShareSize> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquire(
    memory: &Arc<Semaphore>,
    bytes: usize,
    timeout: Duration,
) -> Result<OwnedSemaphorePermit, ApiError> {
    match tokio::time::timeout(timeout, Arc::clone(memory).acquire_many_owned(permits(bytes))).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => {
            let message = "the gateway has no memory left for an answer of this size; try again shortly";
            Err(ApiError::new(ErrorCode::Overloaded, message))
        }
    }
}

/// The number of permits for `bytes`.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes / 1024).unwrap_or(u32::MAX)
}

fn merge(held: &mut Option<OwnedSemaphorePermit>, permit: OwnedSemaphorePermit) {
    match held {
        Some(held) => held.merge(permit),
        None => *held = Some(permit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn free(memory: &MediaMemory) -> (usize, usize) {
        (memory.reservable.available_permits() / 1024, memory.growth.available_permits() / 1024)
    }

    #[tokio::test]
    async fn generation_waits_until_another_is_delivered() {
        let memory = MediaMemory::new(4 * MIB, 2 * MIB);
        let small = memory.reserve(UNCOUNTED_MAX_BYTES).await.unwrap();
        assert_eq!(free(&memory), (4, 2));
        let one = memory.reserve(3 * MIB).await.unwrap();
        let mut waiting = Box::pin(memory.reserve(2 * MIB));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop((one, small));
        let other = waiting.await.unwrap();
        assert_eq!(free(&memory), (2, 2));
        drop(other);
        // A generation that expects more than all of the memory has it alone.
        let large = memory.reserve(9 * MIB).await.unwrap();
        assert_eq!(free(&memory), (0, 2));
        drop(large);
        assert_eq!(free(&memory), (4, 2));
    }

    #[tokio::test]
    async fn answer_beyond_its_reservation_grows_where_others_cannot_reserve() {
        let memory = MediaMemory::new(4 * MIB, 2 * MIB);
        let one = memory.reserve(MIB).await.unwrap();
        one.add(MIB).await.unwrap();
        assert_eq!(free(&memory), (3, 2));
        // What nobody has reserved is used first.
        one.add(1).await.unwrap();
        assert_eq!(free(&memory), (2, 2));
        let other = memory.reserve(2 * MIB).await.unwrap();
        one.add(2 * MIB).await.unwrap();
        assert_eq!(free(&memory), (0, 0));
        let mut waiting = Box::pin(other.add(3 * MIB));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(one);
        waiting.await.unwrap();
        drop(other);
        assert_eq!(free(&memory), (4, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn generation_and_answer_without_memory_are_refused_in_time() {
        let memory = MediaMemory::new(4 * MIB, MIB);
        let share = memory.reserve(4 * MIB).await.unwrap();
        assert_eq!(memory.reserve(MIB).await.unwrap_err().code, ErrorCode::Overloaded);
        share.add(5 * MIB).await.unwrap();
        assert_eq!(share.add(1).await.unwrap_err().code, ErrorCode::Overloaded);
    }
}
