//! The index of what a user owns: an entry for each run, artifact, session and so on, in the user's own partition.
//!
//! An entry is a small item of its own, written before the thing that it names, so that nothing lacks one. An index of the
//! table would have a copy of each record instead, and cost as many write units as the record.

use std::time::Duration;

use hearth_domain::{
    ArtifactId, BatchId, DefinitionId, FileId, JobId, RunId, SessionId, Timestamp, UserId, WebhookId,
};
use serde::Serialize;

use crate::{
    Store, StoreError, Table,
    database::{Condition, Cursor, Item, Key, Query, Sort, Write},
};

const VERSION: u32 = 1;
const RUN: &str = "RUN#";
const ARTIFACT: &str = "ART#";
const DEFINITION: &str = "DEF#";
const BATCH: &str = "BATCH#";
const FILE: &str = "FILE#";
const JOB: &str = "JOB#";
const SESSION: &str = "SESS#";
const DELETED_WEBHOOK: &str = "HOOK#";
/// A day longer than runs, artifacts and deliveries of events live. A session's entry is deleted with it.
const ENTRY_TTL: Duration = Duration::from_secs(31 * 24 * 3600);
/// Time for which an entry outlives its thing.
const ENTRY_GRACE: Duration = Duration::from_secs(24 * 3600);

/// A thing that a user owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnedEntry {
    /// A run, with its events and its conversation.
    Run(RunId),
    /// An artifact.
    Artifact(ArtifactId),
    /// A file that the user has uploaded.
    File(FileId),
    /// A session, with its messages.
    Session(SessionId),
    /// A job.
    Job(JobId),
    /// A batch of requests.
    Batch(BatchId),
    /// A private schema or template, with its versions.
    Definition(DefinitionId),
    /// A webhook that was deleted. The log of its deliveries is stored until it expires.
    DeletedWebhook(WebhookId),
}

/// A kind of things that a user owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnedKind {
    /// Runs.
    Runs,
    /// Artifacts.
    Artifacts,
    /// Uploaded files.
    Files,
    /// Sessions.
    Sessions,
    /// Jobs.
    Jobs,
    /// Batches of requests.
    Batches,
    /// Private schemas and templates.
    Definitions,
    /// Deleted webhooks.
    DeletedWebhooks,
}

impl OwnedKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Runs => RUN,
            Self::Artifacts => ARTIFACT,
            Self::Files => FILE,
            Self::Sessions => SESSION,
            Self::Jobs => JOB,
            Self::Batches => BATCH,
            Self::Definitions => DEFINITION,
            Self::DeletedWebhooks => DELETED_WEBHOOK,
        }
    }
}

/// The entries.
#[derive(Debug, Clone, Copy)]
pub struct Owned<'a>(&'a Table);

impl Store {
    /// The index of what each user owns.
    #[must_use]
    pub fn owned(&self) -> Owned<'_> {
        Owned(&self.table)
    }
}

impl Owned<'_> {
    /// A page of everything of the user's behind `after`, oldest first of each kind, and whether more follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        user: UserId,
        after: Option<OwnedEntry>,
        limit: u32,
    ) -> Result<(Vec<OwnedEntry>, bool), StoreError> {
        self.page_within(user, Sort::All, after, limit).await
    }

    /// A page of the user's things of a kind behind `after`, which is of this kind too, oldest first, and whether more follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page_of(
        &self,
        user: UserId,
        kind: OwnedKind,
        after: Option<OwnedEntry>,
        limit: u32,
    ) -> Result<(Vec<OwnedEntry>, bool), StoreError> {
        self.page_within(user, Sort::Prefix(kind.prefix().to_owned()), after, limit).await
    }

    async fn page_within(
        &self,
        user: UserId,
        sort: Sort,
        after: Option<OwnedEntry>,
        limit: u32,
    ) -> Result<(Vec<OwnedEntry>, bool), StoreError> {
        let mut query = Query { limit: Some(limit), ..Query::partition(pk(user), sort) };
        query.after = after.map(|entry| Cursor { key: entry.key(user), index: None });
        let page = self.0.page(&query).await?;
        let entries = page.items.iter().filter_map(|item| OwnedEntry::parse(&item.key.sk)).collect();
        Ok((entries, page.next.is_some()))
    }
}

impl Owned<'_> {
    /// A page of the ids of the user's runs from `first` to `last`, both included, the newest first. `after`: the last run of the
    /// page before. The second value is true if more may follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn runs_newest_first(
        &self,
        user: UserId,
        (first, last): (RunId, RunId),
        after: Option<RunId>,
        limit: u32,
    ) -> Result<(Vec<RunId>, bool), StoreError> {
        let sk = |id| OwnedEntry::Run(id).key(user).sk;
        let range = Query::partition(pk(user), Sort::Between(sk(first), sk(last))).descending();
        let after = after.map(|run| Cursor { key: OwnedEntry::Run(run).key(user), index: None });
        let page = self.0.page(&Query { limit: Some(limit), after, ..range }).await?;
        let runs = page.items.iter().filter_map(|item| match OwnedEntry::parse(&item.key.sk) {
            Some(OwnedEntry::Run(id)) => Some(id),
            _ => None,
        });
        Ok((runs.collect(), page.next.is_some()))
    }
}

impl OwnedEntry {
    fn parse(sk: &str) -> Option<Self> {
        let run = sk.strip_prefix(RUN).and_then(|id| id.parse().ok()).map(Self::Run);
        let file = || sk.strip_prefix(FILE)?.parse().ok().map(Self::File);
        let session = sk.strip_prefix(SESSION).and_then(|id| id.parse().ok()).map(Self::Session);
        let job = sk.strip_prefix(JOB).and_then(|id| id.parse().ok()).map(Self::Job);
        run.or(session)
            .or(job)
            .or_else(|| sk.strip_prefix(ARTIFACT)?.parse().ok().map(Self::Artifact))
            .or_else(file)
            .or_else(|| sk.strip_prefix(BATCH)?.parse().ok().map(Self::Batch))
            .or_else(|| sk.strip_prefix(DEFINITION)?.parse().ok().map(Self::Definition))
            .or_else(|| sk.strip_prefix(DELETED_WEBHOOK)?.parse().ok().map(Self::DeletedWebhook))
    }

    pub(crate) fn key(self, user: UserId) -> Key {
        let sk = match self {
            Self::Run(id) => format!("{RUN}{id}"),
            Self::Artifact(id) => format!("{ARTIFACT}{id}"),
            Self::File(id) => format!("{FILE}{id}"),
            Self::Session(id) => format!("{SESSION}{id}"),
            Self::Job(id) => format!("{JOB}{id}"),
            Self::Batch(id) => format!("{BATCH}{id}"),
            Self::Definition(id) => format!("{DEFINITION}{id}"),
            Self::DeletedWebhook(id) => format!("{DELETED_WEBHOOK}{id}"),
        };
        Key::new(pk(user), sk)
    }

    /// The write of the entry, which may be repeated.
    pub(crate) fn write(self, user: UserId) -> Result<Write, StoreError> {
        self.write_for(user, Duration::ZERO)
    }

    /// The write of the entry of a thing that lives for `ttl`.
    pub(crate) fn write_for(self, user: UserId, ttl: Duration) -> Result<Write, StoreError> {
        #[derive(Serialize)]
        struct Nothing {}
        let item = Item::new(self.key(user), VERSION, &Nothing {})?;
        let ttl = ENTRY_TTL.max(ttl + ENTRY_GRACE);
        let item = match self {
            // It is deleted with its file, its session or its definition.
            Self::File(_) | Self::Session(_) | Self::Definition(_) => item,
            _ => item.expiring(Timestamp::now().plus(ttl).unix()),
        };
        Ok(Write::Put(item, Condition::Always))
    }
}

fn pk(user: UserId) -> String {
    format!("OWNED#{user}")
}
