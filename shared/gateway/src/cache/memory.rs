//! The answers in the process' memory, with least-recently-used eviction.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::Timestamp;
use moka::{Expiry, policy::EvictionPolicy, sync::Cache};

use super::{entry::CachedAnswer, key::CacheKey};

/// The answers in memory.
pub(super) struct Memory(Cache<CacheKey, Arc<CachedAnswer>>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} answers)", self.0.entry_count())
    }
}

/// The time until which an answer stays in memory.
struct AnswerExpiry {
    /// Limit of the time, however long the answer stays in the table.
    max_ttl: Duration,
}

impl Expiry<CacheKey, Arc<CachedAnswer>> for AnswerExpiry {
    fn expire_after_create(&self, _: &CacheKey, answer: &Arc<CachedAnswer>, _: Instant) -> Option<Duration> {
        Some(Timestamp::now().until(answer.facts.expires).min(self.max_ttl))
    }

    fn expire_after_update(
        &self,
        key: &CacheKey,
        answer: &Arc<CachedAnswer>,
        at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, answer, at)
    }
}

impl Memory {
    /// Room for `bytes`. Each answer stays for `max_ttl` at most.
    pub(super) fn new(bytes: u64, max_ttl: Duration) -> Self {
        let cache =
            Cache::builder().max_capacity(bytes).weigher(|_, answer: &Arc<CachedAnswer>| answer.weight);
        Self(cache.eviction_policy(EvictionPolicy::lru()).expire_after(AnswerExpiry { max_ttl }).build())
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Arc<CachedAnswer>> {
        self.0.get(key)
    }

    pub(super) fn put(&self, key: CacheKey, answer: Arc<CachedAnswer>) {
        self.0.insert(key, answer);
    }

    pub(super) fn remove(&self, key: &CacheKey) {
        self.0.invalidate(key);
    }

    /// Removes the answers that `is_match` selects; returns their keys.
    pub(super) fn remove_matching(&self, is_match: impl Fn(&CachedAnswer) -> bool) -> Vec<CacheKey> {
        let matching_keys: Vec<CacheKey> =
            self.0.iter().filter(|(_, answer)| is_match(answer)).map(|(key, _)| *key).collect();
        matching_keys.iter().for_each(|key| self.remove(key));
        matching_keys
    }

    /// The number of answers, and their bytes.
    pub(super) fn usage(&self) -> (u64, u64) {
        self.0.run_pending_tasks();
        (self.0.entry_count(), self.0.weighted_size())
    }
}
