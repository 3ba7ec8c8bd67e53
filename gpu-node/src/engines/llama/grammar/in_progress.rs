//! Single flight: requests with the same schema wait for one compilation of it, and not for a place each.

use std::{
    collections::HashSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{cache::Key, compilation::CANCEL_CHECK_INTERVAL, compile::COMPILE_TIMEOUT};
use crate::engines::llama::preparation::Preparation;

/// Timeout of the wait for the compilation of another request: that waits for a place, and compiles.
const FOLLOWER_WAIT_TIMEOUT: Duration = COMPILE_TIMEOUT.saturating_mul(2);

/// The keys of the grammars that are being compiled.
#[derive(Default)]
pub(super) struct InProgress {
    keys: Mutex<HashSet<Key>>,
    ended: Condvar,
}

/// The compilation of one key is in progress until this is dropped.
pub(super) struct Leader<'a> {
    in_progress: &'a InProgress,
    key: Key,
}

impl InProgress {
    /// Makes the caller the leader of a key. If the key has one, waits for its end, until the timeout or until the run is
    /// cancelled, and returns none: the grammar may be in the cache then.
    pub(super) fn lead_or_wait(&self, key: Key, preparation: &Preparation) -> Option<Leader<'_>> {
        let mut keys = self.lock();
        if keys.insert(key) {
            return Some(Leader { in_progress: self, key });
        }
        let deadline = Instant::now() + FOLLOWER_WAIT_TIMEOUT;
        while keys.contains(&key) && Instant::now() < deadline && preparation.checkpoint().is_ok() {
            let waited = self.ended.wait_timeout(keys, CANCEL_CHECK_INTERVAL);
            keys = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.in_progress.lock().remove(&self.key);
        self.in_progress.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering::Relaxed},
        },
        thread,
    };

    use super::*;

    #[test]
    fn follower_waits_for_the_leader_of_its_key_alone() {
        let (in_progress, progress) = (InProgress::default(), Arc::<AtomicU64>::default());
        let preparation = Preparation::with_progress(&progress);
        let leader = in_progress.lead_or_wait([1; 32], &Preparation::default()).unwrap();
        assert!(in_progress.lead_or_wait([2; 32], &Preparation::default()).is_some());
        thread::scope(|scope| {
            let follower = scope.spawn(|| in_progress.lead_or_wait([1; 32], &preparation).is_none());
            // It counts checkpoints while it waits.
            while progress.load(Relaxed) == 0 {
                assert!(!follower.is_finished(), "it doesn't wait");
                thread::yield_now();
            }
            drop(leader);
            assert!(follower.join().unwrap());
        });
        assert!(in_progress.lead_or_wait([1; 32], &preparation).is_some());
    }

    #[test]
    fn cancelled_follower_does_not_wait() {
        let (in_progress, preparation) = (InProgress::default(), Preparation::default());
        let _leader = in_progress.lead_or_wait([1; 32], &preparation).unwrap();
        preparation.cancel();
        let began = Instant::now();
        assert!(in_progress.lead_or_wait([1; 32], &preparation).is_none());
        assert!(began.elapsed() < COMPILE_TIMEOUT, "{:?}", began.elapsed());
    }
}
