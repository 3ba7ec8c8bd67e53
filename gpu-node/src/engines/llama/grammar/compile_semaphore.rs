//! Limit of the number of concurrent compilations.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

/// A counting semaphore with a timeout.
pub(super) struct CompileSemaphore {
    max_count: usize,
    pub(super) acquired: Mutex<usize>,
    released: Condvar,
}

/// A permit, which is released when it is dropped.
pub(super) struct CompilePermit(Arc<CompileSemaphore>);

impl CompileSemaphore {
    pub(super) fn new(max_count: usize) -> Arc<Self> {
        Arc::new(Self { max_count, acquired: Mutex::new(0), released: Condvar::new() })
    }

    /// Acquires a permit; `None` if none is released in time.
    pub(super) fn acquire(self: &Arc<Self>, timeout: Duration) -> Option<CompilePermit> {
        let acquired = self.acquired.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |acquired: &mut usize| *acquired >= self.max_count;
        let waited = self.released.wait_timeout_while(acquired, timeout, is_full);
        let (mut acquired, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *acquired >= self.max_count {
            return None;
        }
        *acquired += 1;
        Some(CompilePermit(Arc::clone(self)))
    }
}

impl Drop for CompilePermit {
    fn drop(&mut self) {
        *self.0.acquired.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_permit_can_be_acquired_again() {
        let semaphore = CompileSemaphore::new(2);
        let mut permits: Vec<CompilePermit> =
            (0..2).map(|_| semaphore.acquire(Duration::ZERO).unwrap()).collect();
        assert!(semaphore.acquire(Duration::from_millis(5)).is_none());
        permits.pop();
        assert!(semaphore.acquire(Duration::ZERO).is_some());
    }
}
