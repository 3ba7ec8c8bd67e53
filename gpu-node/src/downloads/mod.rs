//! Downloads of models into the model folder.
//!
//! ```text
//! source.rs -> plan.rs (hub.rs, registry.rs, address.rs) -> fetch.rs (connections) -> part.rs (unfinished file) -> model folder
//! ```
//!
//! - [`Downloads`] has the downloads of a node: queued, run, paused, cancelled, and continued after a restart by their journals.
//!   However many callers ask for a file, it is transferred once.
//! - [`download_once`] downloads in this process without a node.

mod address;
mod clients;
mod entry;
mod error;
mod fetch;
mod hub;
mod hub_source;
mod journal;
mod meter;
mod name;
mod once;
mod options;
mod part;
mod pick;
mod plan;
mod range_writer;
mod registry;
mod registry_auth;
mod s3;
mod source;
mod speed;
mod work;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use hearth_domain::{JobId, JobState, Timestamp};
use hearth_wire::{
    ApiError, ErrorCode,
    node_downloads::{
        NODE_JOBS_MAX_COUNT, NodeDownload, NodeDownloadCommand, NodeDownloads, NodeModelDownload,
    },
};

use clients::Clients;
use entry::Entry;
pub use error::DownloadError;
use hub::parse_base;
use journal::Journals;
pub use meter::Meter;
pub use once::{Downloaded, OnceRequest, download_once};
pub use options::DownloadOptions;
pub use plan::{Plan, PlannedFile, Wishes};
pub use source::Source;

/// Time for which an ended download is remembered.
const ENDED_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Time for which a failed download is part of the node's status.
const FAILED_TTL: Duration = Duration::from_secs(24 * 3600);
/// Downloads that are remembered, ended ones among them.
const DOWNLOADS_MAX_COUNT: usize = 1_000;
/// Steps of the progress in the node's status: each change of it is reported to the gateway.
const STATUS_STEPS: f64 = 20.0;

/// The downloads of a node. Clones share them.
#[derive(Debug, Clone)]
pub struct Downloads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: DownloadOptions,
    clients: Result<Clients, DownloadError>,
    journals: Journals,
    state: Mutex<State>,
    /// Locked while a file of this path is downloaded: two sources may have the same one.
    targets: Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<JobId, Entry>,
    /// The node shuts down: nothing is begun, and what is stopped continues at the next start.
    is_stopping: bool,
}

impl State {
    /// Deletes the unfinished files of a cancelled download, but for those that another one continues.
    fn discard(&self, id: JobId) {
        let Some(entry) = self.entries.get(&id) else { return };
        for file in &entry.journal.targets {
            let mut others = self.entries.values().filter(|other| other.journal.id != id);
            let is_shared = others
                .any(|other| !other.journal.state.is_terminal() && other.journal.targets.contains(file));
            if !is_shared {
                part::discard(&file.target);
            }
        }
    }
}

impl Downloads {
    /// The downloads of a model folder: those that an earlier process has left open continue.
    #[must_use]
    pub fn start(options: DownloadOptions) -> Self {
        let journals = Journals::of(&options.models);
        let clients =
            parse_base(&options.hub_url).map(|hub| Clients::new(&hub, options.settings.private_addresses));
        let mut state = State::default();
        for journal in journals.read_all() {
            state.entries.insert(journal.id, Entry::restored(journal));
        }
        let inner = Inner { options, clients, journals, state: Mutex::new(state), targets: Mutex::default() };
        let downloads = Self(Arc::new(inner));
        downloads.remove_expired();
        downloads.start_queued();
        downloads
    }

    /// Begins a download, or joins that of the same file.
    ///
    /// # Errors
    /// `invalid_request` for a source that can't be downloaded; `queue_full`; `node_offline` if the node shuts down.
    pub fn begin(&self, command: &NodeDownloadCommand) -> Result<NodeDownload, ApiError> {
        let invalid = |error: DownloadError| ApiError::invalid("source", error.message);
        let hub = parse_base(&self.0.options.hub_url).map_err(invalid)?;
        let source = Source::parse(&command.source, hub.host_str().unwrap_or_default()).map_err(invalid)?;
        let wishes = Wishes { file: command.file.clone(), sha256: command.sha256.clone(), token: None };
        wishes.check().map_err(|error| {
            let field = if error.message.starts_with("sha256") { "sha256" } else { "file" };
            ApiError::invalid(field, error.message)
        })?;
        if let Source::S3(object) = &source {
            // Not the profile, which is a file.
            object.check(&self.0.options.settings).map_err(invalid)?;
        }
        if let (Source::Address(url), Ok(clients)) = (&source, &self.0.clients) {
            clients.check(url).map_err(invalid)?;
        }
        self.remove_expired();
        let key = Entry::key(command, &source);
        let mut state = self.lock();
        if state.is_stopping {
            return Err(ApiError::new(ErrorCode::NodeOffline, "the node is shutting down"));
        }
        let of_key = state.entries.values_mut().rev().filter(|entry| entry.journal.key == key);
        let joined = of_key.into_iter().find(|entry| entry.is_usable());
        if let Some(entry) = joined {
            let job = entry.join(command);
            self.0.journals.write(&entry.journal);
            return Ok(entry.view(job));
        }
        if state.entries.len() >= DOWNLOADS_MAX_COUNT {
            let message =
                format!("the node has {DOWNLOADS_MAX_COUNT} downloads; try again when some have ended");
            return Err(ApiError::new(ErrorCode::QueueFull, message));
        }
        let entry = Entry::new(command, &source, key);
        self.0.journals.write(&entry.journal);
        state.entries.insert(command.job, entry);
        drop(state);
        self.start_queued();
        self.get(command.job)
    }

    /// The download of a job.
    ///
    /// # Errors
    /// `not_found`.
    pub fn get(&self, job: JobId) -> Result<NodeDownload, ApiError> {
        let state = self.lock();
        let entry = state.entries.values().find(|entry| entry.has(job));
        entry.map(|entry| entry.view(job)).ok_or_else(no_such_download)
    }

    /// The downloads of jobs, without those that the node doesn't have.
    #[must_use]
    pub fn states(&self, jobs: &[JobId]) -> NodeDownloads {
        let state = self.lock();
        let downloads = jobs.iter().take(NODE_JOBS_MAX_COUNT).filter_map(|job| {
            state.entries.values().find(|entry| entry.has(*job)).map(|entry| entry.view(*job))
        });
        NodeDownloads { downloads: downloads.collect() }
    }

    /// Cancels a job. Its download ends with the last job that waits for it. A job that has ended stays as it is.
    ///
    /// # Errors
    /// `not_found`.
    pub fn cancel(&self, job: JobId) -> Result<NodeDownload, ApiError> {
        let view = self.change(job, Entry::cancel)?;
        self.start_queued();
        Ok(view)
    }

    /// Pauses a download, for all its jobs. One that has ended stays as it is.
    ///
    /// # Errors
    /// `not_found`.
    pub fn pause(&self, job: JobId) -> Result<NodeDownload, ApiError> {
        let view = self.change(job, |entry, _| entry.pause())?;
        self.start_queued();
        Ok(view)
    }

    /// Continues a paused download. One that isn't paused stays as it is.
    ///
    /// # Errors
    /// `not_found`.
    pub fn resume(&self, job: JobId) -> Result<NodeDownload, ApiError> {
        self.change(job, |entry, _| entry.resume())?;
        self.start_queued();
        self.get(job)
    }

    fn change(&self, job: JobId, change: impl FnOnce(&mut Entry, JobId)) -> Result<NodeDownload, ApiError> {
        let mut state = self.lock();
        let entry = state.entries.values_mut().find(|entry| entry.has(job)).ok_or_else(no_such_download)?;
        change(entry, job);
        self.0.journals.write(&entry.journal);
        let (id, view) = (entry.journal.id, entry.view(job));
        // A task deletes them itself when it has stopped.
        if entry.journal.state == JobState::Cancelled && !entry.has_task {
            state.discard(id);
        }
        Ok(view)
    }

    /// The open downloads and those that have failed lately, for the node's status.
    #[must_use]
    pub fn summary(&self) -> Vec<NodeModelDownload> {
        let now = Timestamp::now();
        let state = self.lock();
        let listed = state.entries.values().filter(|entry| {
            let is_recent = entry.journal.ended_at.is_some_and(|at| at.until(now) < FAILED_TTL);
            !entry.journal.state.is_terminal() || (entry.journal.state == JobState::Failed && is_recent)
        });
        // The latest download of a model counts.
        let mut by_model = BTreeMap::new();
        for entry in listed {
            if let Some(summary) = entry.summary(STATUS_STEPS) {
                by_model.insert(summary.model.clone(), summary);
            }
        }
        by_model.into_values().collect()
    }

    /// Stops all downloads at the node's end. They continue at the next start.
    pub fn shut_down(&self) {
        let mut state = self.lock();
        state.is_stopping = true;
        for entry in state.entries.values() {
            entry.stop.cancel();
        }
    }

    /// Begins queued downloads while there is room for them.
    fn start_queued(&self) {
        let mut state = self.lock();
        if state.is_stopping {
            return;
        }
        loop {
            let running =
                state.entries.values().filter(|entry| entry.journal.state == JobState::Running).count();
            if running >= self.0.options.settings.parallel {
                return;
            }
            let queued = state.entries.values_mut().filter(|entry| entry.journal.state == JobState::Queued);
            let next =
                queued.max_by_key(|entry| (entry.journal.priority, std::cmp::Reverse(entry.journal.id)));
            let Some(entry) = next else { return };
            entry.begin();
            self.0.journals.write(&entry.journal);
            tokio::spawn(work::run(self.clone(), entry.journal.id, entry.stop.clone()));
        }
    }

    /// Forgets downloads that have ended long ago.
    fn remove_expired(&self) {
        let now = Timestamp::now();
        let mut state = self.lock();
        let expired: Vec<JobId> = state
            .entries
            .values()
            .filter(|entry| entry.journal.ended_at.is_some_and(|at| at.until(now) >= ENDED_TTL))
            .map(|entry| entry.journal.id)
            .collect();
        for id in expired {
            state.entries.remove(&id);
            self.0.journals.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_such_download() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "the node has no such download")
}

#[cfg(test)]
mod tests;
