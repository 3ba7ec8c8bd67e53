//! A download of a node, its jobs and its state.

use std::{path::Path, sync::Arc};

use hearth_domain::{JobError, JobId, JobState, Timestamp};
use hearth_wire::node_downloads::{NodeDownload, NodeDownloadCommand, NodeModelDownload};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    Meter, Plan, Source,
    journal::{Journal, JournalFile, JournalJob},
    speed::Speed,
};

/// A download.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) journal: Journal,
    /// Stops the task.
    pub(super) stop: CancellationToken,
    /// A task works on it. It may be stopping: then it deletes the file of a cancelled download.
    pub(super) has_task: bool,
    pub(super) meter: Arc<Meter>,
    pub(super) speed: Speed,
    /// The canonical source.
    shown_source: String,
}

impl Entry {
    pub(super) fn new(command: &NodeDownloadCommand, source: &Source, key: String) -> Self {
        let journal = Journal {
            id: command.job,
            key,
            source: command.source.clone(),
            file: command.file.clone(),
            wanted_sha256: command.sha256.clone(),
            token: command.token.clone(),
            priority: command.priority,
            state: JobState::Queued,
            jobs: vec![JournalJob { job: command.job, caller: command.caller.clone(), is_cancelled: false }],
            targets: Vec::new(),
            model: None,
            shown_file: None,
            sha256: None,
            size_bytes: None,
            done_bytes: 0,
            error: None,
            revision: 0,
            created_at: Timestamp::now(),
            ended_at: None,
        };
        let mut entry = Self::of(journal, source.to_string());
        entry.touch();
        entry
    }

    /// The download of a journal that an earlier process has written. One that was running is queued again.
    pub(super) fn restored(mut journal: Journal) -> Self {
        if journal.state == JobState::Running {
            journal.state = JobState::Queued;
        }
        // The hub's host matters for addresses only, whose form is their own.
        let shown = Source::parse(&journal.source, "").map(|source| source.to_string());
        let mut entry = Self::of(journal, shown.unwrap_or_default());
        entry.meter.set(entry.journal.done_bytes);
        entry.touch();
        entry
    }

    fn of(journal: Journal, shown_source: String) -> Self {
        Self {
            journal,
            stop: CancellationToken::new(),
            has_task: false,
            meter: Arc::default(),
            speed: Speed::default(),
            shown_source,
        }
    }

    /// A text that is equal for downloads of the same file.
    pub(super) fn key(command: &NodeDownloadCommand, source: &Source) -> String {
        // An address' query may be a credential, and may choose the file.
        let query = if source.has_query() { command.source.as_str() } else { "" };
        let sha256 = command.sha256.as_deref().map(str::to_ascii_lowercase);
        let parts = (source.to_string(), query, &command.file, sha256);
        hearth_domain::hex(Sha256::digest(format!("{parts:?}")))
    }

    pub(super) fn has(&self, job: JobId) -> bool {
        self.journal.jobs.iter().any(|one| one.job == job)
    }

    /// True if a caller of the same file can share it: it is open, or its files are in their places.
    pub(super) fn is_usable(&self) -> bool {
        match self.journal.state {
            JobState::Completed => self.journal.targets.iter().all(|file| {
                let size = file.size;
                let data = file.target.metadata();
                data.is_ok_and(|data| data.is_file() && size.is_none_or(|size| size == data.len()))
            }),
            state => !state.is_terminal(),
        }
    }

    /// Adds the job of a caller; returns it, or the one that the caller has already.
    pub(super) fn join(&mut self, command: &NodeDownloadCommand) -> JobId {
        let is_same = |one: &&JournalJob| one.caller == command.caller && !one.is_cancelled;
        if let Some(before) = self.journal.jobs.iter().find(is_same) {
            return before.job;
        }
        let (job, caller) = (command.job, command.caller.clone());
        self.journal.jobs.push(JournalJob { job, caller, is_cancelled: false });
        self.journal.priority = self.journal.priority.max(command.priority);
        if self.journal.token.is_none() && !self.journal.state.is_terminal() {
            self.journal.token.clone_from(&command.token);
        }
        job
    }

    /// Begins the work.
    pub(super) fn begin(&mut self) {
        self.journal.state = JobState::Running;
        self.has_task = true;
        self.stop = CancellationToken::new();
        self.speed = Speed::default();
        self.touch();
    }

    pub(super) fn pause(&mut self) {
        if matches!(self.journal.state, JobState::Queued | JobState::Running) {
            self.journal.state = JobState::Paused;
            self.touch();
            self.stop.cancel();
        }
    }

    pub(super) fn resume(&mut self) {
        if self.journal.state == JobState::Paused {
            self.journal.state = JobState::Queued;
            self.touch();
        }
    }

    /// Cancels a job, and with the last one the download.
    pub(super) fn cancel(&mut self, job: JobId) {
        if self.journal.state.is_terminal() {
            return;
        }
        if let Some(one) = self.journal.jobs.iter_mut().find(|one| one.job == job) {
            one.is_cancelled = true;
        }
        if self.journal.jobs.iter().all(|one| one.is_cancelled) {
            self.end(JobState::Cancelled, None);
            self.stop.cancel();
        } else {
            self.touch();
        }
    }

    /// Ends the download.
    pub(super) fn end(&mut self, state: JobState, error: Option<JobError>) {
        self.journal.state = state;
        self.journal.error = error;
        self.journal.ended_at = Some(Timestamp::now());
        self.journal.done_bytes = self.meter.done();
        // Credentials are for the transfer: an address' query may be one.
        self.journal.token = None;
        self.journal.source.clone_from(&self.shown_source);
        self.touch();
    }

    /// Stores the files of the resolved source.
    pub(super) fn set_plan(&mut self, plan: &Plan, model: String, models: &Path) {
        let first = plan.files.first().map(|file| file.target.strip_prefix(models).unwrap_or(&file.target));
        self.journal.shown_file = first.map(|path| path.display().to_string());
        self.journal.model = Some(model);
        self.journal.size_bytes = plan.size();
        let mut model_files = plan.files.iter().filter(|file| !file.is_projector);
        self.journal.sha256 = match (model_files.next(), model_files.next()) {
            (Some(file), None) => file.sha256.clone(),
            _ => None,
        };
        let files =
            plan.files.iter().map(|file| JournalFile { target: file.target.clone(), size: file.size });
        self.journal.targets = files.collect();
        self.touch();
    }

    /// Bytes that are still to be written.
    pub(super) fn remaining_bytes(&self) -> u64 {
        self.journal.size_bytes.unwrap_or_default().saturating_sub(self.meter.done())
    }

    /// Gives the state a higher number, also than that of an earlier process.
    pub(super) fn touch(&mut self) {
        let now = i64::try_from(Timestamp::now().unix_millis()).unwrap_or_default();
        self.journal.revision = now.max(self.journal.revision + 1);
    }

    /// The download, as a job sees it.
    pub(super) fn view(&self, job: JobId) -> NodeDownload {
        let journal = &self.journal;
        let is_cancelled = journal.jobs.iter().any(|one| one.job == job && one.is_cancelled);
        let state = match journal.state {
            _ if is_cancelled => JobState::Cancelled,
            state => state,
        };
        let is_running = state == JobState::Running;
        let done_bytes = if journal.state.is_terminal() { journal.done_bytes } else { self.meter.done() };
        let bytes_per_second = self.speed.bytes_per_second().filter(|_| is_running);
        let left = journal.size_bytes.map(|size| size.saturating_sub(done_bytes));
        let seconds_left = left.zip(bytes_per_second).and_then(|(left, speed)| left.checked_div(speed));
        NodeDownload {
            job,
            revision: journal.revision,
            state,
            source: self.shown_source.clone(),
            model: journal.model.clone(),
            file: journal.shown_file.clone(),
            size_bytes: journal.size_bytes,
            done_bytes,
            bytes_per_second,
            seconds_left,
            retry_reason: self.meter.retry_reason().filter(|_| is_running),
            sha256: journal.sha256.clone(),
            error: journal.error.clone().filter(|_| state == JobState::Failed),
        }
    }

    /// The download in the node's status; none until the model's id is known.
    pub(super) fn summary(&self, steps: f64) -> Option<NodeModelDownload> {
        let journal = &self.journal;
        let size = journal.size_bytes.filter(|size| *size > 0);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "a share needs few digits"
        )]
        let progress = size.map(|size| {
            let share = self.meter.done() as f64 / size as f64;
            ((share * steps).floor() / steps).clamp(0.0, 1.0) as f32
        });
        Some(NodeModelDownload {
            model: journal.model.clone()?,
            state: journal.state,
            progress,
            size_bytes: journal.size_bytes,
            error: journal.error.as_ref().map(|error| error.message.clone()),
        })
    }
}
