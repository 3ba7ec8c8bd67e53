//! A cache of what is read from the store, for requests that shouldn't wait for the store.
//!
//! - A stale value serves while one task reads it again in the background. A process that is frozen after its response has no
//!   such task, and serves none.
//! - Concurrent requests for a value that isn't cached share one read.
//! - After a change, no request gets a value whose read began before it.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hearth_wire::{ApiError, ErrorCode};

use crate::{
    background::Background,
    single_flight::{Entrance, Flights},
    timed_cache::{Freshness, TimedCache},
};

/// Ages and number of the values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadCacheLimits {
    /// Age at which a value is read again.
    pub(crate) ttl: Duration,
    /// Age up to which a stale value serves, where the process outlives its responses.
    pub(crate) max_stale_age: Duration,
    pub(crate) max_count: usize,
}

/// The cache. Clones share it.
#[derive(Debug)]
pub(crate) struct ReadCache<K, V>(Arc<Shared<K, V>>);

#[derive(Debug)]
struct Shared<K, V> {
    values: TimedCache<K, V>,
    /// The reads in progress, each with the number of changes before it.
    reads: Flights<(K, u64), Result<V, ApiError>>,
    /// The number of times that values were forgotten.
    changes: AtomicU64,
    background: Background,
}

impl<K, V> Clone for ReadCache<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> ReadCache<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(limits: ReadCacheLimits, background: Background) -> Self {
        let values = TimedCache::new(limits.ttl, limits.max_count);
        let values = match background.outlives_response() {
            true => values.stale_up_to(limits.max_stale_age),
            false => values,
        };
        Self(Arc::new(Shared {
            values,
            reads: Flights::default(),
            changes: AtomicU64::default(),
            background,
        }))
    }

    /// The value, if it is cached. The first caller to get it stale has it read again in the background, by `read`. A value that is
    /// refused then is removed.
    pub(crate) fn cached<F>(&self, key: &K, read: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = Result<V, ApiError>> + Send + 'static,
    {
        let (value, freshness) = self.0.values.get_or_stale(key)?;
        if freshness == Freshness::Stale {
            let (cache, key, changes, read) = (self.clone(), key.clone(), self.changes(), read());
            self.0.background.spawn_or_skip(async move {
                match read.await {
                    Ok(value) => cache.put_unless_changed(key, value, changes),
                    Err(error) if matches!(error.code, ErrorCode::Unauthorized | ErrorCode::Forbidden) => {
                        cache.0.values.remove(&key);
                    }
                    Err(error) => tracing::warn!(%error, "a cached record can't be read again"),
                }
            });
        }
        Some(value)
    }

    /// Reads a value that isn't cached, by `read`, unless another request does already.
    pub(crate) async fn read<F>(&self, key: K, read: impl FnOnce() -> F) -> Result<V, ApiError>
    where
        F: Future<Output = Result<V, ApiError>>,
    {
        loop {
            let changes = self.changes();
            match self.0.reads.enter(&(key.clone(), changes)) {
                Entrance::Lead(leader) => {
                    let result = read().await;
                    if let Ok(value) = &result {
                        self.put_unless_changed(key, value.clone(), changes);
                    }
                    leader.finish(result.clone());
                    return result;
                }
                // Without a result, the request that read was cancelled.
                Entrance::Follow(follower) => {
                    if let Some(result) = follower.wait().await {
                        return result;
                    }
                }
            }
        }
    }

    /// The value that was read last, however old it is.
    pub(crate) fn latest(&self, key: &K) -> Option<V> {
        self.0.values.get_within(key, Duration::MAX)
    }

    /// Stores a value as just read, unless there were changes since the number `changes`: it may be the state before them.
    pub(crate) fn put_unless_changed(&self, key: K, value: V, changes: u64) {
        self.0.values.put_if(key, value, || self.changes() == changes);
    }

    /// Has the next request for a value read it: it has changed.
    pub(crate) fn forget(&self, key: &K) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.0.values.remove(key);
    }

    /// Has the next requests read the values that `is_current` is false for.
    pub(crate) fn retain(&self, is_current: impl Fn(&V) -> bool) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.0.values.retain(is_current);
    }

    /// Has the next requests read all values.
    pub(crate) fn clear(&self) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.0.values.clear();
    }

    /// The number of changes up to now.
    pub(crate) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests;
