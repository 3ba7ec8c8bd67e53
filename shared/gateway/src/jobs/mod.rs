//! Jobs: downloads of models by nodes, and the work that the gateway carries out ([`engine`]).
//!
//! Of a download the node has the present state. The gateway asks it when a job is read, and stores the answer, at most once in
//! [`PROGRESS_INTERVAL`] while only bytes are added. So no process has to stay for a job, and the record has its end as long as
//! the node remembers it.

mod body;
mod download_end;
pub(crate) mod engine;
mod export;
mod list;
mod work;

use std::{sync::Arc, time::Duration};

use hearth_domain::{JobError, JobErrorCode, JobId, JobState, NodeTransport, Owner, Secret, Timestamp};
use hearth_store::{
    Store, StoreError,
    jobs::{DownloadJob, JobRecord},
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::{
        hub::ModelCard,
        jobs::{DownloadRequest, JobBody, JobList, JobQuery, SOURCE_MAX_CHARS},
    },
    node_downloads::{NodeDownload, NodeDownloadCommand},
};

use url::Url;

use crate::{
    Gateway,
    access::Caller,
    error,
    events::Events,
    hub::Hub,
    keys::GatewayKeys,
    nodes::{LiveNode, Nodes},
};

/// Time between two writes of a job's progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// Time for which a node need not know a new job: its request may be on the way.
const NEW_JOB_GRACE: Duration = Duration::from_secs(60);
/// Time that the hub has to answer with a model's card before the download begins without one.
const CARD_TIMEOUT: Duration = Duration::from_secs(3);

/// The jobs of callers.
#[derive(Debug)]
pub(crate) struct Jobs {
    store: Store,
    keys: Arc<GatewayKeys>,
    nodes: Arc<Nodes>,
    hub: Arc<Hub>,
    events: Events,
}

/// A change of a job by its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobChange {
    /// Ends it.
    Cancel,
    /// Stops it for a while.
    Pause,
    /// Continues it.
    Resume,
}

impl JobChange {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

impl Gateway {
    /// Begins a download, or returns the caller's job for the same source.
    ///
    /// # Errors
    /// `invalid_request` for a source that can't be downloaded; `not_found` or `forbidden` for the node; `node_offline`.
    #[crate::boxed_future]
    pub async fn begin_download(
        &self,
        caller: &Caller,
        request: DownloadRequest,
    ) -> Result<JobBody, ApiError> {
        self.0.jobs.begin(caller, request).await
    }

    /// A page of the caller's jobs, newest first.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list_jobs(&self, caller: &Caller, query: JobQuery) -> Result<JobList, ApiError> {
        self.0.jobs.list(caller, query).await
    }

    /// A job of the caller's, with its present state.
    ///
    /// # Errors
    /// `not_found`; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn job(&self, caller: &Caller, id: JobId) -> Result<JobBody, ApiError> {
        let record = self.0.jobs.read(caller, id).await?;
        match record.work {
            Some(_) => self.work_body(record).await,
            None => self.0.jobs.download(caller, record).await,
        }
    }

    /// Changes a job of the caller's. One that has ended stays as it is.
    ///
    /// # Errors
    /// `not_found`; `conflict` to pause or resume one that has ended; `node_offline`.
    #[crate::boxed_future]
    pub async fn change_job(
        &self,
        caller: &Caller,
        id: JobId,
        change: JobChange,
    ) -> Result<JobBody, ApiError> {
        let record = self.0.jobs.read(caller, id).await?;
        let body = match (record.state.is_terminal(), &record.work) {
            (true, _) => body::of(record, None),
            (false, Some(_)) => body::of(self.change_work(&record, change).await?, None),
            (false, None) => self.0.jobs.change_at_node(caller, record, change).await?,
        };
        if body.state.is_terminal() && change != JobChange::Cancel {
            let message = format!("the job has ended: it is {}; begin a new one", body.state.as_str());
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        Ok(body)
    }
}

impl Jobs {
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        nodes: Arc<Nodes>,
        hub: Arc<Hub>,
        events: Events,
    ) -> Self {
        Self { store, keys, nodes, hub, events }
    }

    async fn begin(&self, caller: &Caller, request: DownloadRequest) -> Result<JobBody, ApiError> {
        let source = request.source.trim();
        if source.is_empty() || source.chars().count() > SOURCE_MAX_CHARS {
            let message = format!("source must have 1 to {SOURCE_MAX_CHARS} characters");
            return Err(ApiError::invalid("source", message));
        }
        let node = self.nodes.managed(caller, request.node).await?;
        if node.link.transport() == NodeTransport::Relay {
            refuse_credentials(source, request.token.is_some())?;
        }
        let command = NodeDownloadCommand {
            job: JobId::new(),
            caller: self.fingerprint(caller.owner()).await?,
            source: source.to_owned(),
            file: request.file,
            sha256: request.sha256,
            priority: request.priority,
            token: request.token.clone(),
        };
        let download = node.link.download(&command).await?;
        let is_new = download.job == command.job;
        let card = match is_new {
            true => self.card(source, request.token.as_ref().or(self.hub.token_for(caller))).await,
            false => None,
        };
        // The node's job may be an earlier one of the caller's. A concurrent request may store it first.
        let mut record =
            JobRecord::new_download(download.job, caller.owner(), node.link.id(), &download.source);
        record = JobRecord { priority: request.priority, ..advanced(&record, &download) };
        record.download.iter_mut().for_each(|download| download.card.clone_from(&card));
        match self.store.jobs().create(&record).await {
            Ok(()) => Ok(body::of(record, Some(&download))),
            Err(StoreError::Conflict) => {
                let stored = self.read(caller, download.job).await?;
                if stored.download.as_ref().is_none_or(|stored| stored.node != node.link.id()) {
                    let message = "the node has answered with the job of another node";
                    return Err(ApiError::new(ErrorCode::ProviderError, message));
                }
                self.store_state(stored, &download).await
            }
            Err(error) => Err(error::store(error)),
        }
    }

    /// The card of the repository that a source names, if the hub answers soon.
    async fn card(&self, source: &str, token: Option<&Secret>) -> Option<ModelCard> {
        let repository = self.hub.repository_of(source)?;
        tokio::time::timeout(CARD_TIMEOUT, self.hub.card(&repository, token)).await.ok()?.ok()
    }

    /// The body of a download, with its present state on its node.
    async fn download(&self, caller: &Caller, record: JobRecord) -> Result<JobBody, ApiError> {
        let mut bodies = self.refresh(caller, vec![record], true).await?;
        bodies.pop().ok_or_else(no_such_job)
    }

    async fn change_at_node(
        &self,
        caller: &Caller,
        record: JobRecord,
        change: JobChange,
    ) -> Result<JobBody, ApiError> {
        let Some(id) = record.download.as_ref().map(|download| download.node) else {
            return Ok(body::of(record, None));
        };
        let Some(node) = self.nodes.of_organisation(caller, id).await? else {
            return self.lose(record).await;
        };
        match node.link.change_download(record.id, change.as_str()).await {
            Ok(download) => self.store_state(record, &download).await,
            Err(error) if error.code == ErrorCode::NotFound => self.lose(record).await,
            Err(error) => Err(error),
        }
    }

    /// A job of the caller's.
    async fn read(&self, caller: &Caller, id: JobId) -> Result<JobRecord, ApiError> {
        let record = self.store.jobs().get(id).await.map_err(error::store)?;
        record.filter(|record| record.owner() == caller.owner()).ok_or_else(no_such_job)
    }

    /// Stores a state of the node's, unless only a little progress was made since the last one.
    async fn store_state(&self, before: JobRecord, download: &NodeDownload) -> Result<JobBody, ApiError> {
        let after = advanced(&before, download);
        let is_due = before.updated_at.until(after.updated_at) >= PROGRESS_INTERVAL;
        let is_changed = before.state != after.state || model(&before) != model(&after);
        if !(is_due || is_changed) || self.advance(&after).await? {
            return Ok(body::of(after, Some(download)));
        }
        // Another process has stored a later state, or the end.
        let stored = self.store.jobs().get(after.id).await.map_err(error::store)?;
        stored.map(|stored| body::of(stored, None)).ok_or_else(no_such_job)
    }

    /// Ends a job that its node doesn't have.
    async fn lose(&self, before: JobRecord) -> Result<JobBody, ApiError> {
        let now = Timestamp::now();
        let message = "the node is gone, or has no record of the download; download again";
        let error = JobError::new(JobErrorCode::NodeLost, message);
        let after = JobRecord {
            state: JobState::Failed,
            error: Some(error),
            revision: before.revision + 1,
            updated_at: now,
            ended_at: Some(now),
            ..before
        };
        self.advance(&after).await?;
        Ok(body::of(after, None))
    }

    /// A text for an owner that only this gateway can read.
    async fn fingerprint(&self, owner: Owner) -> Result<String, ApiError> {
        let text = format!("downloads|{}|{}", owner.user, owner.organisation);
        Ok(self.keys.get().await?.fingerprint(&text))
    }
}

/// The record with a state of its node.
fn advanced(before: &JobRecord, download: &NodeDownload) -> JobRecord {
    let now = Timestamp::now();
    let part = before.download.clone().map(|before| DownloadJob {
        source: download.source.clone(),
        model: download.model.clone(),
        file: download.file.clone(),
        sha256: download.sha256.clone(),
        size_bytes: download.size_bytes,
        done_bytes: download.done_bytes,
        ..before
    });
    JobRecord {
        state: download.state,
        revision: download.revision,
        error: download.error.clone(),
        download: part,
        updated_at: now,
        ended_at: download.state.is_terminal().then_some(now),
        ..before.clone()
    }
}

fn model(record: &JobRecord) -> Option<&str> {
    record.download.as_ref()?.model.as_deref()
}

/// Refuses a credential for a node of the relay, which stores its calls.
fn refuse_credentials(source: &str, has_token: bool) -> Result<(), ApiError> {
    if has_token {
        let message = "a token isn't sent by the relay, which would store it; set `hub.token` at the node, and leave it out here";
        return Err(ApiError::invalid("token", message));
    }
    let has_credential = Url::parse(source).is_ok_and(|url| {
        url.has_host() && (url.query().is_some() || !url.username().is_empty() || url.password().is_some())
    });
    if has_credential {
        let message = "an address with a query, a user or a password isn't sent by the relay, which would store it; run \
                       `hearth models pull` on the node";
        return Err(ApiError::invalid("source", message));
    }
    Ok(())
}

/// True if a node that doesn't know a job has lost it.
fn is_lost(record: &JobRecord) -> bool {
    record.created_at.until(Timestamp::now()) >= NEW_JOB_GRACE || record.revision > 0
}

/// The link to a job's node, if lists may ask it: a request by the relay takes too long.
fn may_ask(node: &LiveNode, is_patient: bool) -> bool {
    is_patient || node.link.transport() != NodeTransport::Relay
}

pub(crate) fn no_such_job() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "you have no such job")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_gets_no_credential() {
        for source in
            ["owner/repo:Q8_0", "hf:owner/repo", "https://h.example/m.gguf", "ollama:tiny:q8", "/m.gguf"]
        {
            assert!(refuse_credentials(source, false).is_ok(), "{source}");
            assert!(refuse_credentials(source, true).is_err(), "{source}");
        }
        for source in [
            "https://h.example/m.gguf?X-Amz-Signature=1",
            "https://user@h.example/m.gguf",
            "https://user:secret@h.example/m.gguf",
        ] {
            assert!(refuse_credentials(source, false).is_err(), "{source}");
        }
    }
}
