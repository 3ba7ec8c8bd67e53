//! A cache whose entries end after some time.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::moment::Moment;

/// Age of a cached value, compared with its time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    /// The caller refreshes it; until then other callers get the value as [`Freshness::Fresh`].
    Stale,
}

/// A value, and the times from which its age is counted.
#[derive(Debug)]
struct Entry<V> {
    value: V,
    stored_at: Moment,
    /// The latest time at which a caller began to refresh the value; `stored_at` before the first.
    fresh_from: Moment,
}

impl<V> Entry<V> {
    /// True if the value is younger than `max_age`, or being refreshed for a shorter time and not older than `max_stale_age`.
    fn is_within(&self, now: Moment, max_age: Duration, max_stale_age: Duration) -> bool {
        self.fresh_from.age_at(now) < max_age && self.stored_at.age_at(now) < max_age.max(max_stale_age)
    }
}

/// Maps keys to values, each with the time at which it was stored. Holds at most `max_count` entries.
#[derive(Debug)]
pub(crate) struct TimedCache<K, V> {
    ttl: Duration,
    /// Age up to which [`TimedCache::get_or_stale`] returns a value.
    max_stale_age: Duration,
    max_count: usize,
    entries: Mutex<HashMap<K, Entry<V>>>,
}

impl<K: Eq + Hash, V: Clone> TimedCache<K, V> {
    /// A cache of up to `max_count` values that are valid for `ttl`.
    pub(crate) fn new(ttl: Duration, max_count: usize) -> Self {
        Self { ttl, max_stale_age: ttl, max_count, entries: Mutex::default() }
    }

    /// The same cache, which also returns stale values up to an age of `max_stale_age`.
    pub(crate) fn stale_up_to(self, max_stale_age: Duration) -> Self {
        Self { max_stale_age, ..self }
    }

    /// The value, if it is younger than the time to live.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.get_within(key, self.ttl)
    }

    /// The value, if it is younger than `max_age`.
    pub(crate) fn get_within<Q>(&self, key: &Q, max_age: Duration) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // The clocks are read once, and not under the lock.
        let now = Moment::now();
        let entries = self.entries();
        let entry = entries.get(key).filter(|entry| entry.is_within(now, max_age, self.max_stale_age));
        entry.map(|entry| entry.value.clone())
    }

    /// The value, which may be stale: stale-while-revalidate. The first caller to see it stale refreshes it. If that fails, the
    /// value is stale again after the time to live, and ends at its largest age.
    pub(crate) fn get_or_stale<Q>(&self, key: &Q) -> Option<(V, Freshness)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let now = Moment::now();
        let mut entries = self.entries();
        let entry = entries.get_mut(key).filter(|entry| entry.stored_at.age_at(now) < self.max_stale_age)?;
        let is_fresh = entry.fresh_from.age_at(now) < self.ttl;
        if !is_fresh {
            entry.fresh_from = now;
        }
        Some((entry.value.clone(), if is_fresh { Freshness::Fresh } else { Freshness::Stale }))
    }

    /// Stores a value. A full cache evicts the values that are too old; if that makes no room, it stores nothing.
    pub(crate) fn put(&self, key: K, value: V) {
        self.put_if(key, value, || true);
    }

    /// The same if `is_current` holds while nothing is removed.
    pub(crate) fn put_if(&self, key: K, value: V, is_current: impl FnOnce() -> bool) {
        let now = Moment::now();
        let mut entries = self.entries();
        if !is_current() {
            return;
        }
        if entries.len() >= self.max_count && !entries.contains_key(&key) {
            entries.retain(|_, entry| entry.stored_at.age_at(now) < self.max_stale_age);
            if entries.len() >= self.max_count {
                return;
            }
        }
        entries.insert(key, Entry { value, stored_at: now, fresh_from: now });
    }

    /// Removes every value.
    pub(crate) fn clear(&self) {
        self.entries().clear();
    }

    /// Removes the values that `keep` is false for.
    pub(crate) fn retain(&self, keep: impl Fn(&V) -> bool) {
        self.entries().retain(|_, entry| keep(&entry.value));
    }

    /// Removes a value.
    pub(crate) fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries().remove(key);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn fresh_value_is_returned_until_it_is_removed() {
        let cache = TimedCache::new(DAY, 4);
        cache.put("a", 1);
        assert_eq!((cache.get("a"), cache.get("b")), (Some(1), None));
        assert_eq!(cache.get_or_stale("a"), Some((1, Freshness::Fresh)));
        cache.remove("a");
        assert_eq!(cache.get("a"), None);
    }

    #[tokio::test]
    async fn first_caller_of_a_stale_value_refreshes_it() {
        let ttl = Duration::from_millis(200);
        let cache = TimedCache::new(ttl, 4).stale_up_to(DAY);
        cache.put("a", 1);
        tokio::time::sleep(ttl).await;
        assert_eq!(cache.get("a"), None);
        assert_eq!(cache.get_or_stale("a"), Some((1, Freshness::Stale)));
        assert_eq!(cache.get_or_stale("a"), Some((1, Freshness::Fresh)));
    }

    #[test]
    fn value_whose_refreshes_fail_ends_at_its_largest_age() {
        let cache = TimedCache::new(Duration::ZERO, 4).stale_up_to(DAY);
        cache.put("a", 1);
        assert_eq!(cache.get_or_stale("a"), Some((1, Freshness::Stale)));
        if let Some(entry) = cache.entries().get_mut("a") {
            entry.stored_at = Moment::ago(DAY);
        }
        assert_eq!((cache.get_or_stale("a"), cache.get_within("a", DAY)), (None, None));
        assert_eq!(cache.get_within("a", Duration::MAX), Some(1));
    }

    #[test]
    fn full_cache_evicts_old_values_and_else_stores_nothing() {
        let full = |ttl| {
            let cache = TimedCache::new(ttl, 2);
            for key in ["a", "b", "c"] {
                cache.put(key, 1);
            }
            cache.entries().len()
        };
        assert_eq!((full(DAY), full(Duration::ZERO)), (2, 1));
    }
}
