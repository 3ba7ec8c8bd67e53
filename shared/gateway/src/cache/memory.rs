//! The answers in the process' memory: as many as there is room for, the least recently used leaving first.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::Timestamp;
use moka::{Expiry, policy::EvictionPolicy, sync::Cache};

use super::{entry::Entry, key::Key};

/// The answers in memory.
pub(crate) struct Memory(Cache<Key, Arc<Entry>>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} answers)", self.0.entry_count())
    }
}

/// Until when an answer stays in memory.
struct Until {
    /// At most this long, however long it is kept in the table.
    most: Duration,
}

impl Expiry<Key, Arc<Entry>> for Until {
    fn expire_after_create(&self, _: &Key, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        Some(Timestamp::now().until(entry.facts.expires).min(self.most))
    }

    fn expire_after_update(
        &self,
        key: &Key,
        entry: &Arc<Entry>,
        at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, entry, at)
    }
}

impl Memory {
    /// With room for `bytes`; each stays for `most`.
    pub(crate) fn new(bytes: u64, most: Duration) -> Self {
        let cache = Cache::builder().max_capacity(bytes).weigher(|_, entry: &Arc<Entry>| entry.weight);
        Self(cache.eviction_policy(EvictionPolicy::lru()).expire_after(Until { most }).build())
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.0.get(key)
    }

    pub(crate) fn put(&self, key: Key, entry: Arc<Entry>) {
        self.0.insert(key, entry);
    }

    pub(crate) fn forget(&self, key: &Key) {
        self.0.invalidate(key);
    }

    /// Forgets those that `is` holds for; what they were kept under.
    pub(crate) fn remove(&self, is: impl Fn(&Entry) -> bool) -> Vec<Key> {
        let found: Vec<Key> = self.0.iter().filter(|(_, entry)| is(entry)).map(|(key, _)| *key).collect();
        found.iter().for_each(|key| self.forget(key));
        found
    }

    /// How many there are, and what they take in bytes.
    pub(crate) fn usage(&self) -> (u64, u64) {
        self.0.run_pending_tasks();
        (self.0.entry_count(), self.0.weighted_size())
    }
}
