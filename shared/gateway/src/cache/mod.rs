//! A cache of answers, which are replayed for identical requests.
//!
//! - `key`: the cache key, which identical requests share; `entry`: a cached answer.
//! - `answers`: the answers, in this process' memory and in the table of all processes.
//! - [`single_flight`](crate::single_flight) coalesces concurrent identical requests; `capture` stores the answer of a run.
//!
//! A cache that fails only delays an answer.

mod answers;
mod capture;
mod entry;
mod key;
mod memory;

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hearth_domain::{CacheControl, CredentialId, Generation, ModelId, OnDisconnect, Payer, UserId};
use hearth_store::{Store, StoreError};
use hearth_wire::{ApiError, ErrorCode, native::cache::CacheStats};
use metrics::Counter;
use tokio::time::timeout;

pub(crate) use capture::Capture;
pub(crate) use entry::CachedAnswer;
pub use hearth_settings::CacheSettings;

use crate::{
    access::Caller,
    background::Background,
    providers::own_keys::StoredKeys,
    settings::AUTO,
    single_flight::{Entrance, Flights, Leader},
    stage::Stage,
};
use answers::Answers;
use key::{CacheKey, KeyCallers, cache_key_of};

/// Timeout of a follower that waits for the answer to an identical request.
const FOLLOWER_WAIT_TIMEOUT: Duration = Duration::from_secs(120);
/// Limit of the flights that a request follows: they may fail one after the other.
const FLIGHT_MAX_COUNT: u32 = 2;
/// Limit of the bytes of a pattern.
const PATTERN_MAX_BYTES: usize = 256;

/// The metric of hits and of misses. Made at the first request, when the recorder of metrics is installed.
static REQUESTS: LazyLock<[Counter; 2]> = LazyLock::new(|| {
    ["hit", "miss"].map(|result| metrics::counter!("hearth_cache_requests_total", "result" => result))
});

/// The outcome of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOutcome {
    /// The answer is cached.
    Hit,
    /// A model answers.
    Miss,
}

impl CacheOutcome {
    /// The name in headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

/// The result of a lookup.
#[expect(clippy::large_enum_variant, reason = "it is matched at once")]
pub(crate) enum CacheLookup {
    /// The cached answer.
    Hit(Arc<CachedAnswer>),
    /// A model must answer. The capture stores the answer, and hands it to the followers, if the request leads a flight.
    Miss(Capture),
    /// The request takes no part in the cache.
    Bypass,
}

impl CacheLookup {
    /// The name of the result in traces.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Hit(_) => "hit",
            Self::Miss(_) => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// A search for an answer, in the cache and in the flights.
enum Search {
    Hit(Arc<CachedAnswer>),
    /// There is none. The leader's guard, if the request leads a flight: not if it replaces the cached answer, takes a
    /// cached answer only, may not follow the flight that there is, or has followed flights in vain.
    Miss(Option<Leader<CacheKey, Arc<CachedAnswer>>>),
}

/// The callers who share their answers.
struct Space {
    /// `None` for the members of an organisation.
    user: Option<UserId>,
    /// The secrets by which their providers are called.
    own_keys: Vec<CredentialId>,
}

impl Space {
    fn is_shared(&self) -> bool {
        self.user.is_none()
    }

    fn key(&self, caller: &Caller, generation: &Generation, routing: &str) -> Option<CacheKey> {
        let (organisation, models) = (caller.organisation, caller.models.as_deref());
        let callers = KeyCallers { organisation, user: self.user, own_keys: &self.own_keys, models };
        cache_key_of(generation, callers, routing)
    }
}

/// True if the owner of a key isn't trusted by the whole organisation.
fn is_members(payer: Payer) -> bool {
    matches!(payer, Payer::User | Payer::Team)
}

/// The cached answers.
#[derive(Debug)]
pub(crate) struct Cache {
    settings: CacheSettings,
    answers: Arc<Answers>,
    flights: Flights<CacheKey, Arc<CachedAnswer>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Cache {
    pub(crate) fn new(store: Store, settings: CacheSettings, background: Background) -> Self {
        Self {
            settings,
            answers: Arc::new(Answers::new(store, settings, background)),
            flights: Flights::default(),
            hits: AtomicU64::default(),
            misses: AtomicU64::default(),
        }
    }

    /// True if answers are cached here.
    pub(crate) fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// Looks up the answer to a request. `routing`: the digest of the routing that it follows.
    ///
    /// # Errors
    /// `not_cached` if the request takes a cached answer only and there is none; `internal` if answers are shared and
    /// the caller's keys can't be read.
    pub(crate) async fn lookup(
        &self,
        caller: &Caller,
        stored_keys: &StoredKeys,
        generation: &Generation,
        routing: &str,
    ) -> Result<CacheLookup, ApiError> {
        let (control, is_enabled) = (generation.cache, self.settings.enabled);
        let reads = is_enabled && control.reads(generation);
        let stores = is_enabled && control.keeps(generation);
        let key = match reads || stores {
            true => {
                let space = self.space(caller, stored_keys).await?;
                space.key(caller, generation, routing).map(|key| (key, space.is_shared()))
            }
            false => None,
        };
        let Some((key, is_shared)) = key else {
            return match control {
                CacheControl::OnlyIfCached => {
                    Err(not_cached("no answers are cached here: the operator hasn't enabled the cache"))
                }
                _ => Ok(CacheLookup::Bypass),
            };
        };
        let search = Stage::Cache
            .measure(async {
                match (reads, stores) {
                    (true, true) => {
                        // A run that outlives its client can't wait within its client's request, and one that waits for a
                        // node has a deadline of its own.
                        let may_follow = generation.on_disconnect == OnDisconnect::Cancel
                            && generation.route.home.is_none();
                        self.find_or_lead(key, may_follow).await
                    }
                    (true, false) => self.answers.find(key).await.map_or(Search::Miss(None), Search::Hit),
                    (false, _) => Search::Miss(None),
                }
            })
            .await;
        match search {
            Search::Hit(answer) => {
                self.count(CacheOutcome::Hit);
                Ok(CacheLookup::Hit(answer))
            }
            Search::Miss(_) if !stores => {
                self.count(CacheOutcome::Miss);
                Err(not_cached("no answer is cached for this request, and it takes no other"))
            }
            Search::Miss(leader) => {
                self.count(CacheOutcome::Miss);
                let model = generation.model.as_ref().map_or(AUTO, ModelId::as_str).to_owned();
                let answers = Arc::clone(&self.answers);
                let capture = Capture::new(answers, key, is_shared, caller.user, model, leader);
                Ok(CacheLookup::Miss(capture))
            }
        }
    }

    /// Reads the answers to several requests into the memory of this process, with one lookup. A failure only delays them.
    pub(crate) async fn prefetch(
        &self,
        caller: &Caller,
        stored_keys: &StoredKeys,
        generations: &[Generation],
        routing: &str,
    ) {
        let read = generations.iter().filter(|generation| generation.cache.reads(generation));
        let read: Vec<&Generation> = read.collect();
        if !self.settings.enabled || read.is_empty() {
            return;
        }
        let Ok(space) = self.space(caller, stored_keys).await else { return };
        let keys = read.into_iter().filter_map(|generation| space.key(caller, generation, routing));
        self.answers.prefetch(keys.collect()).await;
    }

    /// Deletes the caller's answers, or those of models whose names match `pattern`, in which `*` matches any text; returns
    /// their number.
    ///
    /// # Errors
    /// `invalid_request` for a bad pattern; `internal` if the store fails: then some may be left.
    pub(crate) async fn delete(&self, caller: &Caller, pattern: Option<&str>) -> Result<usize, ApiError> {
        if pattern.is_some_and(|pattern| pattern.is_empty() || pattern.len() > PATTERN_MAX_BYTES) {
            let message =
                format!("pattern must have 1 to {PATTERN_MAX_BYTES} bytes; leave it out for every model");
            return Err(ApiError::invalid("pattern", message));
        }
        if !self.settings.enabled {
            return Ok(0);
        }
        self.answers.delete(caller.user, pattern).await
    }

    /// Deletes all answers of a user, for an erasure; returns their number.
    pub(crate) async fn erase(&self, user: UserId) -> Result<usize, StoreError> {
        self.answers.erase(user).await
    }

    /// Counts of this process since its start.
    pub(crate) fn stats(&self) -> CacheStats {
        let (hits, misses) = (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed));
        let (entries, bytes) = self.answers.memory_usage();
        let requests = hits + misses;
        #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
        let hit_rate = (requests > 0).then(|| hits as f64 / requests as f64);
        CacheStats {
            enabled: self.settings.enabled,
            hits,
            misses,
            hit_rate,
            entries,
            bytes,
            memory_bytes: self.settings.memory_bytes(),
            ttl_seconds: self.settings.ttl_seconds,
            shared: self.settings.shared,
        }
    }

    /// The callers with whom a caller shares answers: nobody who has a key of their own or of a team, by which a server
    /// of their choice may answer.
    async fn space(&self, caller: &Caller, stored_keys: &StoredKeys) -> Result<Space, ApiError> {
        if !self.settings.shared {
            return Ok(Space { user: Some(caller.user), own_keys: Vec::new() });
        }
        let records = stored_keys.of_caller(caller).await?;
        let is_members = records.iter().any(|record| is_members(record.owner.payer()));
        let mut own_keys: Vec<CredentialId> = records.iter().map(|record| record.secret_id).collect();
        own_keys.sort_unstable();
        Ok(Space { user: is_members.then_some(caller.user), own_keys })
    }

    fn count(&self, outcome: CacheOutcome) {
        let counter = match outcome {
            CacheOutcome::Hit => &self.hits,
            CacheOutcome::Miss => &self.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        REQUESTS[usize::from(outcome == CacheOutcome::Miss)].increment(1);
    }

    /// Searches the cached answers. Without one, waits for the answer of an identical request in progress, if this one may
    /// follow it, or leads a flight of its own.
    async fn find_or_lead(&self, key: CacheKey, may_follow: bool) -> Search {
        for _ in 0..FLIGHT_MAX_COUNT {
            if let Some(answer) = self.answers.in_memory(&key) {
                return Search::Hit(answer);
            }
            let follower = match self.flights.enter(&key) {
                Entrance::Follow(_) if !may_follow => break,
                Entrance::Follow(follower) => follower,
                Entrance::Lead(leader) => {
                    // Another leader may just have stored the answer.
                    return match self.answers.find(key).await {
                        Some(answer) => {
                            leader.finish(Arc::clone(&answer));
                            Search::Hit(answer)
                        }
                        None => Search::Miss(Some(leader)),
                    };
                }
            };
            match timeout(FOLLOWER_WAIT_TIMEOUT, follower.wait()).await {
                Ok(Some(answer)) => return Search::Hit(answer),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        Search::Miss(None)
    }
}

fn not_cached(message: &str) -> ApiError {
    ApiError::new(ErrorCode::NotCached, message)
}

#[cfg(test)]
mod tests;
