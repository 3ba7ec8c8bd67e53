//! Jobs: downloads of models by nodes. The node has the present state; the record has the latest that the gateway has read.
//!
//! A state is written if its revision is higher than the stored one and the stored one isn't terminal: a late answer of the node
//! changes nothing.

use std::time::Duration;

use hearth_domain::{JobError, JobId, JobState, NodeId, OrganisationId, Owner, Priority, Timestamp, UserId};
use hearth_wire::native::hub::ModelCard;
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Cursor, Index, Item, Key, META, Query, Sort},
    owned::OwnedEntry,
};

const VERSION: u32 = 1;
/// Time for which a job is stored after its latest state.
pub const JOB_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// The user who has begun it.
    pub user: UserId,
    /// The organisation in which it was begun.
    pub organisation: OrganisationId,
    /// The node that downloads.
    pub node: NodeId,
    /// The source.
    pub source: String,
    /// The place among the node's downloads.
    #[serde(default)]
    pub priority: Priority,
    /// The state.
    pub state: JobState,
    /// The node's number of the state; 0 before the node has it.
    pub revision: i64,
    /// The model's id.
    #[serde(default)]
    pub model: Option<String>,
    /// The path of the file in the model folder.
    #[serde(default)]
    pub file: Option<String>,
    /// The file's SHA-256.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The size in bytes.
    #[serde(default)]
    pub size_bytes: Option<u64>,
    /// Bytes so far.
    #[serde(default)]
    pub done_bytes: u64,
    /// The error of a failed job.
    #[serde(default)]
    pub error: Option<JobError>,
    /// The model's card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<ModelCard>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When its latest state was stored.
    pub updated_at: Timestamp,
    /// When its end was read.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}

impl JobRecord {
    /// A job that `owner` begins now.
    #[must_use]
    pub fn new(id: JobId, owner: Owner, node: NodeId, source: &str) -> Self {
        let now = Timestamp::now();
        Self {
            id,
            user: owner.user,
            organisation: owner.organisation,
            node,
            source: source.to_owned(),
            priority: Priority::Normal,
            state: JobState::Queued,
            revision: 0,
            model: None,
            file: None,
            sha256: None,
            size_bytes: None,
            done_bytes: 0,
            error: None,
            card: None,
            created_at: now,
            updated_at: now,
            ended_at: None,
        }
    }

    /// The user and the organisation that it belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { user: self.user, organisation: self.organisation }
    }
}

/// The jobs.
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'a>(&'a Table);

impl Store {
    /// Jobs.
    #[must_use]
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(&self.table)
    }
}

impl Jobs<'_> {
    /// Stores a new job, after its entry in the owner's index.
    ///
    /// # Errors
    /// `Conflict` if the id exists.
    pub async fn create(&self, job: &JobRecord) -> Result<(), StoreError> {
        self.0.write_in_order(vec![OwnedEntry::Job(job.id).write(job.user)?]).await?;
        self.0.put(item(job)?, Condition::Absent).await
    }

    /// Stores a later state of a job. Returns false if the stored one is terminal or not older, or the job was deleted.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn advance(&self, job: &JobRecord) -> Result<bool, StoreError> {
        let later = Condition::All(vec![
            Condition::AttributeIn("state", JobState::OPEN.to_vec()),
            Condition::NumberAtMost("revision", job.revision.saturating_sub(1)),
        ]);
        // It has to outlive the record.
        self.0.write_in_order(vec![OwnedEntry::Job(job.id).write(job.user)?]).await?;
        match self.0.put(item(job)?, later).await {
            Err(StoreError::Conflict) => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// A job that hasn't expired.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        Ok(self.0.get::<JobRecord>(&key(id)).await?.filter(is_current))
    }

    /// A page of an owner's jobs older than `before`, newest first, and the last id that was read if more follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        owner: Owner,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<(Vec<JobRecord>, Option<JobId>), StoreError> {
        let prefix = Sort::Prefix(format!("{}#", owner.organisation));
        let mut query = Query::of(Index::Gsi1, partition(owner.user), prefix).descending();
        query.limit = Some(limit);
        query.after = before.map(|id| {
            let index = Key::new(partition(owner.user), sort(owner.organisation, id));
            Cursor { key: key(id), index: Some(index) }
        });
        let page = self.0.page(&query).await?;
        let jobs: Result<Vec<JobRecord>, _> = page.items.iter().map(Item::read).collect();
        let mut jobs = jobs?;
        let next = jobs.last().map(|job| job.id).filter(|_| page.next.is_some());
        jobs.retain(is_current);
        Ok((jobs, next))
    }

    /// Deletes a job, but for its entry in the owner's index.
    pub(crate) async fn erase(&self, id: JobId) -> Result<(), StoreError> {
        self.0.delete(key(id)).await
    }
}

/// True if a job hasn't expired: the database deletes expired items late.
fn is_current(job: &JobRecord) -> bool {
    job.updated_at.plus(JOB_TTL) > Timestamp::now()
}

fn item(job: &JobRecord) -> Result<Item, StoreError> {
    let item = Item::new(key(job.id), VERSION, job)?.expiring(job.updated_at.plus(JOB_TTL).unix());
    Ok(item.in_gsi1(partition(job.user), sort(job.organisation, job.id)))
}

fn key(id: JobId) -> Key {
    Key::new(format!("JOB#{id}"), META)
}

/// The partition of a user's jobs in the first index.
fn partition(user: UserId) -> String {
    format!("JOBS#{user}")
}

fn sort(organisation: OrganisationId, id: JobId) -> String {
    format!("{organisation}#{id}")
}
