//! Deletes kept answers, and tells how the cache does.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use futures::{StreamExt as _, stream};
use hearth_wire::{ApiError, native::cache::CacheStats};

use super::entry::fits;
use crate::{Caller, Gateway, error};

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 256;
/// So many are deleted at once.
const AT_ONCE: usize = 8;

impl Gateway {
    /// Deletes the caller's kept answers, or those of them whose model has a name that fits `pattern`, in which
    /// `*` stands for any text; how many there were. What runs at present gives answers that aren't kept.
    ///
    /// # Errors
    /// `invalid_request` if that is no pattern; `internal` if the store fails: then some may be left.
    pub async fn delete_cached(&self, caller: &Caller, pattern: Option<&str>) -> Result<usize, ApiError> {
        if pattern.is_some_and(|pattern| pattern.is_empty() || pattern.len() > MAX_PATTERN) {
            let message = format!("pattern must have 1 to {MAX_PATTERN} bytes; leave it out for every model");
            return Err(ApiError::invalid("pattern", message));
        }
        let cache = &self.0.cache;
        if !cache.settings.enabled {
            return Ok(0);
        }
        cache.deletions.fetch_add(1, Ordering::SeqCst);
        let here = cache.memory.remove(|entry| entry.is(caller.user, pattern));
        let mut keys: BTreeSet<String> = here.iter().map(ToString::to_string).collect();
        let listed = self.store().cached_answers().of(caller.user).await.map_err(error::store)?;
        keys.extend(listed.into_iter().filter(|entry| fits(&entry.facts, pattern)).map(|entry| entry.key));
        let (count, owner) = (keys.len(), caller.user);
        let delete = |key: String| async move { self.store().cached_answers().delete(owner, &key).await };
        let mut deleted = stream::iter(keys).map(delete).buffer_unordered(AT_ONCE);
        while let Some(done) = deleted.next().await {
            done.map_err(error::store)?;
        }
        tracing::info!(%owner, count, "kept answers were deleted");
        Ok(count)
    }

    /// How the cache does in this process, since it was started.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        let cache = &self.0.cache;
        let (hits, misses) = (cache.hits.load(Ordering::Relaxed), cache.misses.load(Ordering::Relaxed));
        let (entries, bytes) = cache.memory.usage();
        let asked = hits + misses;
        #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
        let hit_rate = (asked > 0).then(|| hits as f64 / asked as f64);
        CacheStats {
            enabled: cache.settings.enabled,
            hits,
            misses,
            hit_rate,
            entries,
            bytes,
            memory_bytes: cache.settings.memory_bytes(),
            ttl_seconds: cache.settings.ttl_seconds,
            shared: cache.settings.shared,
        }
    }
}
