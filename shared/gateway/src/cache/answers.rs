//! The stored answers: in the memory of this process, and in the table of all processes.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use hearth_domain::{Pattern, UserId};
use hearth_settings::CacheSettings;
use hearth_store::{Store, StoreError};
use hearth_wire::ApiError;
use tokio::time::timeout;

use super::{
    entry::{CachedAnswer, matches_model},
    key::CacheKey,
    memory::Memory,
};
use crate::{background::Background, error};

/// Timeout of a lookup in the table.
const TABLE_LOOKUP_TIMEOUT: Duration = Duration::from_millis(50);
/// Timeout of a lookup of several answers in the table.
const TABLE_PREFETCH_TIMEOUT: Duration = Duration::from_millis(500);
/// Time for which an answer that the table didn't have isn't looked for again, by the request that follows the lookup.
const ABSENT_TTL: Duration = Duration::from_secs(10);
/// Time for which the table is left out after a lookup that failed or was too slow.
const TABLE_BACKOFF: Duration = Duration::from_secs(5);
/// Time after which an answer that another process has deleted is no longer in this one's memory.
const DELETED_ELSEWHERE_TTL: Duration = Duration::from_secs(60);
/// Limit of the deletions at the same time.
const CONCURRENT_DELETIONS: usize = 8;

/// The stored answers.
#[derive(Debug)]
pub(crate) struct Answers {
    store: Store,
    settings: CacheSettings,
    background: Background,
    memory: Memory,
    /// The number of deletions so far.
    deletions: AtomicU64,
    /// The time until which the table is left out.
    table_backoff: Mutex<Option<Instant>>,
    /// Answers that the table didn't have when several were looked up.
    absent: Mutex<HashMap<CacheKey, Instant>>,
}

impl Answers {
    pub(super) fn new(store: Store, settings: CacheSettings, background: Background) -> Self {
        // A process that runs on after a response is the only one at its store.
        let ttl = match background.outlives_response() {
            true => settings.ttl(),
            false => settings.ttl().min(DELETED_ELSEWHERE_TTL),
        };
        let memory = Memory::new(settings.memory_bytes(), ttl);
        let (deletions, table_backoff, absent) = (AtomicU64::default(), Mutex::default(), Mutex::default());
        Self { store, settings, background, memory, deletions, table_backoff, absent }
    }

    pub(super) fn settings(&self) -> &CacheSettings {
        &self.settings
    }

    pub(super) fn background(&self) -> Background {
        self.background
    }

    /// The answer in memory.
    pub(super) fn in_memory(&self, key: &CacheKey) -> Option<Arc<CachedAnswer>> {
        self.memory.get(key)
    }

    /// The answer in memory, or in the table.
    pub(super) async fn find(&self, key: CacheKey) -> Option<Arc<CachedAnswer>> {
        if let Some(answer) = self.memory.get(&key) {
            return Some(answer);
        }
        if self.leaves_out_table() || self.was_absent(&key) {
            return None;
        }
        let deletions = self.deletions();
        let answers = self.store.cached_answers();
        let (facts, body) = match timeout(TABLE_LOOKUP_TIMEOUT, answers.get(&key.to_string())).await {
            Ok(Ok(stored)) => stored?,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cached answers can't be read");
                self.leave_out_table();
                return None;
            }
            Err(_) => {
                tracing::warn!("the table is too slow for cached answers; it is left out for a while");
                self.leave_out_table();
                return None;
            }
        };
        let answer = Arc::new(CachedAnswer::read(facts, &body)?);
        self.put_in_memory(key, Arc::clone(&answer), deletions);
        Some(answer)
    }

    /// Reads answers from the table into memory, together.
    pub(super) async fn prefetch(&self, keys: Vec<CacheKey>) {
        let missing: HashMap<String, CacheKey> = keys
            .into_iter()
            .filter(|key| self.memory.get(key).is_none())
            .map(|key| (key.to_string(), key))
            .collect();
        if missing.is_empty() || self.leaves_out_table() {
            return;
        }
        let deletions = self.deletions();
        let names: Vec<String> = missing.keys().cloned().collect();
        let stored = match timeout(TABLE_PREFETCH_TIMEOUT, self.store.cached_answers().get_many(&names)).await
        {
            Ok(Ok(stored)) => stored,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cached answers can't be read together");
                return self.leave_out_table();
            }
            Err(_) => {
                tracing::warn!("the table is too slow for cached answers; it is left out for a while");
                return self.leave_out_table();
            }
        };
        let mut absent: HashSet<CacheKey> = missing.values().copied().collect();
        for (name, facts, body) in stored {
            let Some(key) = missing.get(&name).copied() else { continue };
            absent.remove(&key);
            if let Some(answer) = CachedAnswer::read(facts, &body) {
                self.put_in_memory(key, Arc::new(answer), deletions);
            }
        }
        let now = Instant::now();
        let mut known = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, at| now.duration_since(*at) < ABSENT_TTL);
        known.extend(absent.into_iter().map(|key| (key, now)));
    }

    /// True, once, if the answer was missing when several were looked up just now.
    fn was_absent(&self, key: &CacheKey) -> bool {
        let at = self.absent.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        at.is_some_and(|at| at.elapsed() < ABSENT_TTL)
    }

    /// The number of deletions so far.
    pub(super) fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::SeqCst)
    }

    /// Puts an answer into memory that is as old as the deletion number `deletions`. Returns false if there was a deletion
    /// meanwhile. A deletion counts first and scans then, so that either this sees the count, or the scan sees the answer.
    pub(super) fn put_in_memory(&self, key: CacheKey, answer: Arc<CachedAnswer>, deletions: u64) -> bool {
        self.memory.put(key, answer);
        let stays = self.deletions() == deletions;
        if !stays {
            self.memory.remove(&key);
        }
        stays
    }

    /// Writes an answer to the table, unless there was a deletion meanwhile.
    pub(super) async fn put_in_table(
        &self,
        key: CacheKey,
        answer: &CachedAnswer,
        json: &str,
        deletions: u64,
    ) {
        let (answers, key) = (self.store.cached_answers(), key.to_string());
        let written = match answers.put(&key, &answer.facts, json).await {
            // The deletion may have scanned before this write.
            Ok(true) if self.deletions() != deletions => answers.delete(answer.facts.owner, &key).await,
            Ok(false) => return tracing::debug!(bytes = json.len(), "an answer is too large for the table"),
            written => written.map(drop),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "an answer can't be written to the table; it is cached in memory alone");
        }
    }

    /// Deletes the owner's answers whose model's name matches, or all of them; returns their number.
    pub(super) async fn delete(&self, owner: UserId, pattern: Option<&str>) -> Result<usize, ApiError> {
        let pattern = pattern.map(Pattern::new);
        self.deletions.fetch_add(1, Ordering::SeqCst);
        let in_memory = self.memory.remove_matching(|answer| answer.is_of(owner, pattern.as_ref()));
        let mut keys: BTreeSet<String> = in_memory.iter().map(ToString::to_string).collect();
        let listed = self.store.cached_answers().of(owner).await.map_err(error::store)?;
        let matching = listed.into_iter().filter(|entry| matches_model(&entry.facts, pattern.as_ref()));
        keys.extend(matching.map(|entry| entry.key));
        let count = keys.len();
        let delete = |key: String| async move { self.store.cached_answers().delete(owner, &key).await };
        let mut deleted = stream::iter(keys).map(delete).buffer_unordered(CONCURRENT_DELETIONS);
        while let Some(result) = deleted.next().await {
            result.map_err(error::store)?;
        }
        tracing::info!(%owner, count, "cached answers were deleted");
        Ok(count)
    }

    /// Deletes all of the owner's answers, also from a table that an earlier setting has filled; returns their number.
    pub(super) async fn erase(&self, owner: UserId) -> Result<usize, StoreError> {
        self.deletions.fetch_add(1, Ordering::SeqCst);
        let in_memory = self.memory.remove_matching(|answer| answer.is_of(owner, None));
        let mut keys: BTreeSet<String> = in_memory.iter().map(ToString::to_string).collect();
        keys.extend(self.store.cached_answers().keys_of(owner).await?);
        for key in &keys {
            self.store.cached_answers().delete(owner, key).await?;
        }
        Ok(keys.len())
    }

    /// The number and the bytes of the answers in memory.
    pub(super) fn memory_usage(&self) -> (u64, u64) {
        self.memory.usage()
    }

    fn leaves_out_table(&self) -> bool {
        let until = self.table_backoff.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn leave_out_table(&self) {
        let until = Instant::now() + TABLE_BACKOFF;
        *self.table_backoff.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}
