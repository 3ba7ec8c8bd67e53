//! Jobs. Of a download the node has the present state, and the record has the latest that the gateway has read; every other
//! kind is carried out by the gateway, under leases.
//!
//! A record is replaced if its stored revision is the one that was read, so of two writers one is refused: it reads the record
//! again, and decides anew. A terminal state is final. A lease has a fencing token, which each new lease raises: a process
//! whose lease was taken over finds another token in the record, and writes nothing more (`record`). Inputs and results are
//! items of their own (`payloads`), so that a renewed lease writes little. Jobs that are due are found by an index (`due`), and
//! apart from them those that a pause holds (`pauses`).

mod due;
mod pauses;
mod payloads;
mod record;

use std::time::Duration;

use hearth_domain::{JobId, JobState, OrganisationId, Owner, Timestamp, UserId};

use crate::{
    Store, StoreError, Table,
    bucket::Bucket,
    database::{Condition, Cursor, Index, Item, Key, META, Query, Sort},
    owned::OwnedEntry,
};

pub use due::DueJobs;
pub use pauses::JobPause;
pub use payloads::{NewWork, SubmittedWork};
pub use record::{DownloadJob, JobAttempt, JobRecord, JobResult, JobWork};

const VERSION: u32 = 1;
/// Time for which a download is stored after its latest state.
pub const JOB_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// Time for which a job that has failed is stored, with its input, so that it can be retried.
pub const DEAD_LETTER_TTL: Duration = Duration::from_secs(14 * 24 * 3600);
/// Time after the end of a job's life at which the database may delete it, if nothing else has.
const TTL_GRACE: Duration = Duration::from_secs(24 * 3600);

/// The jobs.
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'a> {
    table: &'a Table,
    bucket: &'a dyn Bucket,
}

impl Store {
    /// Jobs.
    #[must_use]
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs { table: &self.table, bucket: &*self.bucket }
    }
}

impl Jobs<'_> {
    /// Stores a new download, after its entry in the owner's index.
    ///
    /// # Errors
    /// `Conflict` if the id exists.
    pub async fn create(&self, job: &JobRecord) -> Result<(), StoreError> {
        self.table.write_in_order(vec![OwnedEntry::Job(job.id).write(job.user)?]).await?;
        self.table.put(item(job)?, Condition::Absent).await
    }

    /// Stores a later state of a download. Returns false if the stored one is terminal or not older, or the job was deleted.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn advance(&self, job: &JobRecord) -> Result<bool, StoreError> {
        // It has to outlive the record.
        self.table.write_in_order(vec![OwnedEntry::Job(job.id).write(job.user)?]).await?;
        self.replace(job).await
    }

    /// Replaces the record of an open job, whose revision is one more than the one that was read. Returns false if the stored one
    /// has another revision or is terminal, or the job was deleted.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn replace(&self, job: &JobRecord) -> Result<bool, StoreError> {
        let open = Condition::AttributeIn("state", JobState::OPEN.to_vec());
        self.replace_if(job, open).await
    }

    /// Does [`Jobs::replace`] for a job that has ended: its state stays, other fields change.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn amend(&self, job: &JobRecord) -> Result<bool, StoreError> {
        self.replace_if(job, Condition::AttributeEquals("state", job.state.as_str().to_owned())).await
    }

    async fn replace_if(&self, job: &JobRecord, state: Condition) -> Result<bool, StoreError> {
        let before = Condition::NumberAtMost("revision", job.revision.saturating_sub(1));
        match self.table.put(item(job)?, Condition::All(vec![state, before])).await {
            Err(StoreError::Conflict) => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// A job that hasn't expired.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        Ok(self.table.get::<JobRecord>(&key(id, META)).await?.filter(is_current))
    }

    /// A page of an owner's jobs older than `before`, newest first, and the last id that was read if more follow. Hidden jobs
    /// aren't among them.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        owner: Owner,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<(Vec<JobRecord>, Option<JobId>), StoreError> {
        self.page_of((Index::Gsi1, partition(owner.user)), owner, before, limit).await
    }

    async fn page_of(
        &self,
        (index, partition): (Index, String),
        owner: Owner,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<(Vec<JobRecord>, Option<JobId>), StoreError> {
        let prefix = Sort::Prefix(format!("{}#", owner.organisation));
        let mut query = Query::of(index, partition.clone(), prefix).descending();
        query.limit = Some(limit);
        query.after = before.map(|id| {
            let index = Key::new(partition, sort(owner.organisation, id));
            Cursor { key: key(id, META), index: Some(index) }
        });
        let page = self.table.page(&query).await?;
        let jobs: Result<Vec<JobRecord>, _> = page.items.iter().map(Item::read).collect();
        let mut jobs = jobs?;
        let next = jobs.last().map(|job| job.id).filter(|_| page.next.is_some());
        jobs.retain(is_current);
        Ok((jobs, next))
    }

    /// Deletes a job with its input, its result, their objects and its submission, but for its entry in the owner's index. It
    /// can be repeated: a process that carries the job out may still store a result.
    pub(crate) async fn erase(&self, id: JobId) -> Result<(), StoreError> {
        let work = self.delete_but_entry(id).await?;
        match work.and_then(|work| work.submission) {
            Some(submission) => self.delete_submission(&submission).await,
            None => Ok(()),
        }
    }

    async fn delete_but_entry(&self, id: JobId) -> Result<Option<Box<JobWork>>, StoreError> {
        let job = self.table.get::<JobRecord>(&key(id, META)).await?;
        let work = job.and_then(|job| job.work);
        self.delete_payloads(id, work.as_deref()).await?;
        self.table.delete(key(id, META)).await?;
        Ok(work)
    }

    /// Deletes a job whose time is over, with all that belongs to it.
    ///
    /// # Errors
    /// If the table or the bucket can't be written: then a part may be left.
    pub async fn delete(&self, job: &JobRecord) -> Result<(), StoreError> {
        self.delete_but_entry(job.id).await?;
        self.table.delete(OwnedEntry::Job(job.id).key(job.user)).await
    }
}

/// The end of a job's time in the store.
fn ends_at(job: &JobRecord) -> Timestamp {
    match &job.work {
        None => job.updated_at.plus(JOB_TTL),
        Some(work) => {
            let end = job.ended_at.unwrap_or(work.expires_at);
            end.plus(Duration::from_secs(work.retention_seconds))
        }
    }
}

/// True if a job hasn't expired: the database deletes expired items late.
fn is_current(job: &JobRecord) -> bool {
    ends_at(job) > Timestamp::now()
}

fn item(job: &JobRecord) -> Result<Item, StoreError> {
    let mut ttl = ends_at(job);
    let item = Item::new(key(job.id, META), VERSION, job)?;
    let mut is_listed = true;
    let mut item = item;
    if let Some(work) = &job.work {
        // An open job that nothing looks at must not vanish.
        ttl = ttl.plus(TTL_GRACE);
        is_listed = !work.is_hidden;
        item = due::indexed(item, job, work);
    }
    let item = item.expiring(ttl.unix());
    Ok(match is_listed {
        true => item.in_gsi1(partition(job.user), sort(job.organisation, job.id)),
        false => item,
    })
}

fn pk(id: JobId) -> String {
    format!("JOB#{id}")
}

fn key(id: JobId, sk: &str) -> Key {
    Key::new(pk(id), sk)
}

/// The partition of a user's jobs in the first index.
fn partition(user: UserId) -> String {
    format!("JOBS#{user}")
}

fn sort(organisation: OrganisationId, id: JobId) -> String {
    format!("{organisation}#{id}")
}
