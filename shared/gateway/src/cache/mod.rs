//! Answers that are kept for when the same is asked again.
//!
//! - `key` says what is the same; `entry` is a kept answer.
//! - `memory` has those of this process, the table those of all.
//! - `single_flight` lets one of several equal requests ask, `capture` listens to its run, and `replay` serves
//!   the others with what it heard.
//! - `control` deletes and counts.
//!
//! The cache may fail, and nobody notices but by the time that an answer takes.

mod capture;
mod control;
mod entry;
mod key;
mod memory;
mod replay;
mod settings;
mod single_flight;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hearth_domain::{CacheControl, Generation, Intent, ModelId, OnDisconnect, RunId};
use hearth_wire::{ApiError, ErrorCode};
use tokio::time::timeout;

pub(crate) use capture::Capture;
pub use settings::CacheSettings;

use crate::{Caller, Gateway, Routing, RunStream, artifacts::names_artifacts, resolve::AUTO};
use entry::Entry;
use key::{Key, digest_of, key_of};
use memory::Memory;
use single_flight::{Flights, Leader, Place};

/// How long a request may wait for the table to tell whether it has an answer.
const TABLE: Duration = Duration::from_millis(50);
/// How long a table that was too late, or failed, isn't asked.
const AWAY: Duration = Duration::from_secs(5);
/// How long a request waits for the answer to another one.
const PATIENCE: Duration = Duration::from_secs(120);
/// And for how many: they may fail one after the other.
const FLIGHTS: u32 = 2;
/// Where there are several processes, an answer that was deleted elsewhere is forgotten after this.
const ELSEWHERE: Duration = Duration::from_secs(60);

/// What the cache had for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOutcome {
    /// The answer.
    Hit,
    /// Nothing: a model answers.
    Miss,
}

impl CacheOutcome {
    /// The name used in headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

/// The kept answers.
#[derive(Debug)]
pub(crate) struct Cache {
    settings: CacheSettings,
    /// Stands for what the operator has set up: another provider under the same name gives other answers.
    routing: String,
    memory: Memory,
    flights: Flights<Key, Arc<Entry>>,
    hits: AtomicU64,
    misses: AtomicU64,
    /// How many times answers were deleted.
    deletions: AtomicU64,
    /// Until when the table isn't asked.
    away: Mutex<Option<Instant>>,
}

/// What was found for a request.
enum Found {
    Answer(Arc<Entry>),
    /// Nothing; who is to tell those who wait for the same, if it is this request.
    Nothing(Option<Leader<Key, Arc<Entry>>>),
}

impl Cache {
    /// Without answers. `alone`: no other process deletes any.
    pub(crate) fn new(settings: CacheSettings, routing: &Routing, alone: bool) -> Self {
        let most = if alone { settings.ttl() } else { settings.ttl().min(ELSEWHERE) };
        let Routing { providers, aliases, fallbacks, selection, catalog } = routing;
        // What is known of the models doesn't change what they say; what they are asked with does.
        let asked = catalog.all_defaults();
        Self {
            settings,
            routing: digest_of(&(providers, aliases, fallbacks, selection, asked)),
            memory: Memory::new(settings.memory_bytes(), most),
            flights: Flights::default(),
            hits: AtomicU64::default(),
            misses: AtomicU64::default(),
            deletions: AtomicU64::default(),
            away: Mutex::default(),
        }
    }

    fn key(&self, caller: &Caller, generation: &Generation) -> Option<Key> {
        let owner = (!self.settings.shared).then_some(caller.user);
        key_of(generation, owner, &self.routing)
    }

    fn count(&self, outcome: CacheOutcome) {
        let counter = match outcome {
            CacheOutcome::Hit => &self.hits,
            CacheOutcome::Miss => &self.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("hearth_cache_requests_total", "result" => outcome.as_str()).increment(1);
    }

    /// How many times answers were deleted so far.
    fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::SeqCst)
    }

    /// Puts an answer into memory that is as old as the deletion number `deletions`; whether it stays there:
    /// who deletes counts first and looks then, so that one of the two sees the other.
    fn remember(&self, key: Key, entry: Arc<Entry>, deletions: u64) -> bool {
        self.memory.put(key, entry);
        let stays = self.deletions() == deletions;
        if !stays {
            self.memory.forget(&key);
        }
        stays
    }

    /// Whether the table was lately too late, or failed.
    fn is_away(&self) -> bool {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.is_some_and(|until| Instant::now() < until)
    }

    fn leave_alone(&self) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + AWAY);
    }
}

impl Gateway {
    /// Begins a run under the id `id`: with a kept answer, if there is one that may be given, else with a
    /// model's. When this returns, the run has ended, waits in a queue, loads its model, or has a slot: what
    /// fails before that is an error here, and not an event.
    ///
    /// # Errors
    /// `not_cached` if the request takes a kept answer only and there is none; `model_not_found`,
    /// `no_model_available`, `queue_full`, `context_length_exceeded`, and what else keeps a run from beginning.
    pub async fn generate(
        &self,
        caller: &Caller,
        id: RunId,
        generation: Generation,
    ) -> Result<RunStream, ApiError> {
        // Large, and most requests need none of it.
        let generation = if generation.intent == Intent::Open || names_artifacts(&generation.task) {
            Box::pin(self.completed(caller, generation)).await?
        } else {
            generation
        };
        let (cache, control) = (&self.0.cache, generation.cache);
        let enabled = cache.settings.enabled;
        let (reads, keeps) = (enabled && control.reads(&generation), enabled && control.keeps(&generation));
        let key = if reads || keeps { cache.key(caller, &generation) } else { None };
        let Some(key) = key else {
            if control == CacheControl::OnlyIfCached {
                return Err(not_cached("no answers are kept here: the operator hasn't turned the cache on"));
            }
            // Boxed: the future that resolves candidates is of many kilobytes, and callers hold this one.
            return Box::pin(self.begin(caller, id, generation, None)).await;
        };
        let found = match (reads, keeps) {
            (true, true) => {
                // A run that goes on without its client can't wait within its client's request.
                let waits = generation.on_disconnect == OnDisconnect::Cancel;
                self.find_or_lead(key, waits).await
            }
            (true, false) => self.find(key).await.map_or(Found::Nothing(None), Found::Answer),
            (false, _) => Found::Nothing(None),
        };
        match found {
            Found::Answer(entry) => {
                cache.count(CacheOutcome::Hit);
                self.replay(caller, id, &entry, &generation).await
            }
            Found::Nothing(_) if !keeps => {
                cache.count(CacheOutcome::Miss);
                Err(not_cached("no answer is kept for this request, and it takes no other"))
            }
            Found::Nothing(leader) => {
                cache.count(CacheOutcome::Miss);
                let asked = generation.model.as_ref().map_or(AUTO, ModelId::as_str).to_owned();
                let capture = Capture::new(self, key, caller.user, asked, leader);
                let mut run = Box::pin(self.begin(caller, id, generation, Some(capture))).await?;
                run.cache = Some(CacheOutcome::Miss);
                Ok(run)
            }
        }
    }

    /// The request, with the task that its prompt asks for, and with the artifacts themselves that it names.
    async fn completed(&self, caller: &Caller, generation: Generation) -> Result<Generation, ApiError> {
        let mut generation = self.as_intended(caller, generation).await;
        self.put_artifacts(caller, &mut generation.task).await?;
        Ok(generation)
    }

    /// The answer, if there is one, or somebody is getting it at present and this request `waits`; else this
    /// request is to get it.
    async fn find_or_lead(&self, key: Key, waits: bool) -> Found {
        let cache = &self.0.cache;
        for _ in 0..FLIGHTS {
            if let Some(entry) = cache.memory.get(&key) {
                return Found::Answer(entry);
            }
            let follower = match cache.flights.enter(&key) {
                Place::After(_) if !waits => break,
                Place::After(follower) => follower,
                Place::First(leader) => {
                    // Another one may just have got it.
                    return match self.find(key).await {
                        Some(entry) => {
                            leader.land(Arc::clone(&entry));
                            Found::Answer(entry)
                        }
                        None => Found::Nothing(Some(leader)),
                    };
                }
            };
            match timeout(PATIENCE, follower.landed()).await {
                Ok(Some(entry)) => return Found::Answer(entry),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        Found::Nothing(None)
    }

    /// The answer in memory, or in the table.
    async fn find(&self, key: Key) -> Option<Arc<Entry>> {
        let cache = &self.0.cache;
        if let Some(entry) = cache.memory.get(&key) {
            return Some(entry);
        }
        if cache.is_away() {
            return None;
        }
        let deletions = cache.deletions();
        let (facts, body) = match timeout(TABLE, self.store().cached_answers().get(&key.to_string())).await {
            Ok(Ok(stored)) => stored?,
            Ok(Err(error)) => {
                tracing::warn!(%error, "kept answers can't be read");
                cache.leave_alone();
                return None;
            }
            Err(_) => {
                tracing::warn!("the table is too slow to give kept answers; it isn't asked for a while");
                cache.leave_alone();
                return None;
            }
        };
        let entry = Arc::new(Entry::read(facts, &body)?);
        cache.remember(key, Arc::clone(&entry), deletions);
        Some(entry)
    }
}

fn not_cached(message: &str) -> ApiError {
    ApiError::new(ErrorCode::NotCached, message)
}
