//! The registries of organisations in this process: explicit entries, and edited schemas of parameters.
//!
//! A process that owns its store reads a registry once, and again after each change. Others, as on Lambda, read it again after
//! the refresh interval of the configuration. A registry that can't be read is used as it was last.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, OnceLock},
    time::Duration,
};

use hearth_domain::{Modality, OrganisationId, Timestamp, hex, route::provider_and_model};
use hearth_providers::{Defaults, FurtherSampling, config::LOCAL};
use hearth_schema::{AnswerChecker, AnswerSchema};
use hearth_store::{
    Store,
    registry::{RegistryContent, RegistryEntry, SchemaVersion},
};
use hearth_wire::{native::registry::DefaultParameters, node::NodeModelSettings};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::{
    background::{self, Background},
    timed_cache::TimedCache,
};

/// Timeout of a read. A request may wait for it.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// Interval until the next read after one that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Organisations whose registries are in memory.
const ORGANISATION_MAX_COUNT: usize = 4096;

/// Mutexes of reads.
const READING_MUTEX_COUNT: usize = 32;

/// The registries of organisations.
#[derive(Debug)]
pub(crate) struct Registries {
    store: Store,
    snapshots: TimedCache<OrganisationId, Arc<RegistrySnapshot>>,
    failures: TimedCache<OrganisationId, ()>,
    /// One of them is held while a registry is read: a slow read delays few other organisations.
    reading: [tokio::sync::Mutex<()>; READING_MUTEX_COUNT],
}

/// The registry of an organisation at one moment.
#[derive(Debug, Default)]
pub(crate) struct RegistrySnapshot {
    /// Explicit entries, by id.
    pub(crate) entries: BTreeMap<String, Arc<RegistryEntry>>,
    /// Edited schemas, by the ids of models.
    pub(crate) schemas: HashMap<String, Arc<EditedSchema>>,
    /// Digest of the entries, for cache keys; empty without entries.
    pub(crate) digest: String,
    /// The time at which its read began; none if it was never read.
    pub(crate) read_at: Option<Timestamp>,
}

/// The current version of a schema, and its checker, which is built when it is first used.
pub(crate) struct EditedSchema {
    pub(crate) version: SchemaVersion,
    checker: OnceLock<Option<AnswerChecker>>,
}

impl fmt::Debug for EditedSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EditedSchema({} of {})", self.version.number, self.version.model)
    }
}

impl EditedSchema {
    /// The checker; none for a version without a schema, or with one that this program can't check.
    pub(crate) fn checker(&self) -> Option<&AnswerChecker> {
        let build = || {
            let schema =
                AnswerSchema::parse(self.version.schema.as_ref()?).and_then(|schema| schema.checker());
            let log = |problem: &String| {
                tracing::warn!(
                    model = self.version.model,
                    problem,
                    "a stored schema can't be used for checks"
                );
            };
            schema.inspect_err(log).ok()
        };
        self.checker.get_or_init(build).as_ref()
    }
}

impl Registries {
    pub(crate) fn new(store: Store, background: Background, refresh_interval: Duration) -> Self {
        let ttl = if background.outlives_response() { Duration::MAX } else { refresh_interval };
        Self {
            store,
            snapshots: TimedCache::new(ttl, ORGANISATION_MAX_COUNT),
            failures: TimedCache::new(RETRY_INTERVAL, ORGANISATION_MAX_COUNT),
            reading: Default::default(),
        }
    }

    /// The registry of an organisation. After a failed read, requests use the last one, and don't wait for the next reads.
    pub(crate) async fn current(self: &Arc<Self>, organisation: OrganisationId) -> Arc<RegistrySnapshot> {
        if let Some(snapshot) = self.snapshots.get(&organisation) {
            return snapshot;
        }
        if self.failures.get_within(&organisation, Duration::MAX).is_none() {
            // Boxed: the future is large, and few requests wait.
            return Box::pin(self.read(organisation, false)).await;
        }
        if self.failures.get(&organisation).is_none() {
            self.failures.put(organisation, ());
            let registries = Arc::clone(self);
            drop(background::spawn(async move { registries.fetch(organisation, false).await }));
        }
        self.last(organisation)
    }

    /// Reads a registry again after a change of it.
    pub(crate) async fn refresh(&self, organisation: OrganisationId) -> Arc<RegistrySnapshot> {
        self.failures.remove(&organisation);
        self.read(organisation, true).await
    }

    /// Reads a registry, unless another task has read it meanwhile and it need not be read again.
    async fn read(&self, organisation: OrganisationId, is_forced: bool) -> Arc<RegistrySnapshot> {
        let _reading = self.reading[mutex_of(organisation)].lock().await;
        let present = self.snapshots.get(&organisation).filter(|_| !is_forced);
        if let Some(snapshot) = present {
            return snapshot;
        }
        if self.failures.get(&organisation).is_some() {
            return self.last(organisation);
        }
        self.fetch(organisation, is_forced).await
    }

    /// The registry as it was read last; an empty one before the first read.
    fn last(&self, organisation: OrganisationId) -> Arc<RegistrySnapshot> {
        self.snapshots.get_within(&organisation, Duration::MAX).unwrap_or_default()
    }

    async fn fetch(&self, organisation: OrganisationId, is_forced: bool) -> Arc<RegistrySnapshot> {
        let (registry, read_at) = (self.store.registry(organisation), Some(Timestamp::now()));
        let problem = match timeout(READ_TIMEOUT, registry.content()).await {
            Ok(Ok(content)) => {
                let snapshot = Arc::new(RegistrySnapshot { read_at, ..RegistrySnapshot::new(content) });
                self.snapshots.put(organisation, Arc::clone(&snapshot));
                self.failures.remove(&organisation);
                return snapshot;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", READ_TIMEOUT.as_secs()),
        };
        tracing::warn!(%organisation, problem, "the registry of models can't be read; the last one is used");
        self.failures.put(organisation, ());
        let snapshot = self.last(organisation);
        if is_forced {
            // It lacks a change: the next request reads it again.
            self.snapshots.remove(&organisation);
        }
        snapshot
    }
}

impl RegistrySnapshot {
    fn new(content: RegistryContent) -> Self {
        let RegistryContent { entries, schemas } = content;
        let revisions: Vec<String> =
            entries.iter().map(|entry| format!("{}={}", entry.registration.id, entry.revision)).collect();
        let digest = match revisions.is_empty() {
            true => String::new(),
            false => hex(Sha256::digest(revisions.join("\n"))),
        };
        let named = |entry: RegistryEntry| (entry.registration.id.clone(), Arc::new(entry));
        let edited = |version: SchemaVersion| {
            (version.model.clone(), Arc::new(EditedSchema { version, checker: OnceLock::new() }))
        };
        let schemas = schemas.into_iter().filter(|version| version.schema.is_some()).map(edited);
        Self {
            entries: entries.into_iter().map(named).collect(),
            schemas: schemas.collect(),
            digest,
            read_at: None,
        }
    }

    /// The organisation's default model of a modality.
    pub(crate) fn default_of(&self, modality: Modality) -> Option<&str> {
        let is_default = |entry: &&Arc<RegistryEntry>| {
            entry.registration.default && entry.registration.modality.unwrap_or(Modality::Text) == modality
        };
        let place = |entry: &&Arc<RegistryEntry>| (entry.updated_at, entry.registration.id.clone());
        self.entries.values().filter(is_default).max_by_key(place).map(|entry| entry.registration.id.as_str())
    }

    /// The settings of models for the organisation's nodes; with `files`, those outside of the model folder.
    pub(crate) fn node_settings(&self, files: bool) -> NodeModelSettings {
        let mut settings = NodeModelSettings { read_at: self.read_at, ..NodeModelSettings::default() };
        for entry in self.entries.values() {
            let lifecycle = &entry.registration.lifecycle;
            if let Some(model) = local_model_of(entry).filter(|_| !lifecycle.is_default()) {
                settings.models.entry(model.to_owned()).or_insert_with(|| lifecycle.clone());
            }
            settings.files.extend(entry.registration.path.clone().filter(|_| files));
        }
        settings
    }
}

/// The mutex of the reads of an organisation's registry.
fn mutex_of(organisation: OrganisationId) -> usize {
    let mut hasher = DefaultHasher::new();
    organisation.hash(&mut hasher);
    usize::try_from(hasher.finish() % READING_MUTEX_COUNT as u64).unwrap_or_default()
}

/// The name of the model that serves requests for an entry.
pub(crate) fn target_of(entry: &RegistryEntry) -> &str {
    let registration = &entry.registration;
    entry.file_model.as_deref().or(registration.target.as_deref()).unwrap_or(&registration.id)
}

/// The id of the entry's model on nodes, if it isn't a provider's.
fn local_model_of(entry: &RegistryEntry) -> Option<&str> {
    match provider_and_model(target_of(entry)) {
        Some((LOCAL, model)) => Some(model),
        Some(_) => None,
        None => Some(target_of(entry)),
    }
}

/// The defaults of an entry for requests.
pub(crate) fn defaults_of(parameters: &DefaultParameters) -> Defaults {
    Defaults {
        temperature: parameters.temperature,
        max_tokens: parameters.max_tokens,
        system_prompt: parameters.system_prompt.clone(),
        sampling: FurtherSampling {
            top_p: parameters.top_p,
            top_k: parameters.top_k,
            min_p: parameters.min_p,
            repeat_penalty: parameters.repeat_penalty,
        },
    }
}
