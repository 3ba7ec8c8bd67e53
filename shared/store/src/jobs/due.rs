//! The index of due jobs: open ones by the time at which they have to be looked at, and those whose end leaves something to do;
//! of jobs that a pause holds, which have partitions of their own; and of dead letters.

use std::collections::VecDeque;

use hearth_domain::{JobId, JobKind, OrganisationId, Owner, Timestamp, UserId};
use hearth_wire::native::jobs::JobPauseScope;

use super::{Index, Item, JobPause, JobRecord, JobWork, Jobs, Query, Sort, StoreError, Table, sort};

/// Partitions of the index of due jobs.
const SHARDS: u64 = 8;
/// Jobs that are read at a time.
const PAGE_COUNT: u32 = 200;

/// Jobs of an index in the order of their times, read page by page. An index may be late: read a job again before you act on it.
#[derive(Debug)]
pub struct DueJobs<'a> {
    table: &'a Table,
    shards: Vec<Shard>,
}

/// A partition of the index.
#[derive(Debug)]
struct Shard {
    /// The query of the next page; none behind the last one.
    query: Option<Query>,
    read: VecDeque<JobRecord>,
}

impl DueJobs<'_> {
    /// The next job; `None` behind the last one.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn next_job(&mut self) -> Result<Option<JobRecord>, StoreError> {
        for shard in &mut self.shards {
            shard.read_ahead(self.table).await?;
        }
        let waiting = self.shards.iter_mut().filter(|shard| !shard.read.is_empty());
        let first = waiting.min_by_key(|shard| shard.read.front().and_then(look_at));
        Ok(first.and_then(|shard| shard.read.pop_front()))
    }
}

impl Shard {
    /// Reads up to a page with a job, if there is one.
    async fn read_ahead(&mut self, table: &Table) -> Result<(), StoreError> {
        while self.read.is_empty()
            && let Some(mut query) = self.query.take()
        {
            let page = table.page(&query).await?;
            for item in &page.items {
                match item.read::<JobRecord>() {
                    Ok(job) => self.read.push_back(job),
                    // One record hides no other.
                    Err(error) => tracing::error!(%error, "the record of a due job can't be read"),
                }
            }
            self.query = page.next.map(|next| {
                query.after = Some(next);
                query
            });
        }
        Ok(())
    }
}

fn look_at(job: &JobRecord) -> Option<Timestamp> {
    job.work.as_ref().and_then(|work| work.look_at)
}

impl<'a> Jobs<'a> {
    /// The jobs that are to be looked at up to `until`, but for those that a pause holds.
    #[must_use]
    pub fn due(&self, until: Timestamp) -> DueJobs<'a> {
        self.walk((0..SHARDS).map(partition), Some(until))
    }

    /// The jobs that a pause holds, in the order in which they expire: all of them, or those that have expired at `until`.
    #[must_use]
    pub fn held(&self, pause: &JobPause, until: Option<Timestamp>) -> DueJobs<'a> {
        self.walk([held_partition(pause.organisation, pause.kind)], until)
    }

    fn walk(&self, partitions: impl IntoIterator<Item = String>, until: Option<Timestamp>) -> DueJobs<'a> {
        let shards = partitions.into_iter().map(|partition| {
            let range = match until {
                // "~" sorts behind the id of a job.
                Some(until) => Sort::Between("0".to_owned(), format!("{until}~")),
                None => Sort::All,
            };
            let query = Query { limit: Some(PAGE_COUNT), ..Query::of(Index::Gsi2, partition, range) };
            Shard { query: Some(query), read: VecDeque::new() }
        });
        DueJobs { table: self.table, shards: shards.collect() }
    }

    /// A page of an owner's dead letters older than `before`, newest first, and the last id that was read if more follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn dead_page(
        &self,
        owner: Owner,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<(Vec<JobRecord>, Option<JobId>), StoreError> {
        self.page_of((Index::Gsi2, dead_partition(owner.user)), owner, before, limit).await
    }
}

/// The item in the index of due jobs, of held ones, or of dead letters.
pub(super) fn indexed(item: Item, job: &JobRecord, work: &JobWork) -> Item {
    match (work.look_at, work.held_by) {
        (Some(at), None) => {
            let shard = job.created_at.unix().unsigned_abs() % SHARDS;
            item.in_gsi2(partition(shard), format!("{at}#{}", job.id))
        }
        (Some(at), Some(scope)) => {
            let organisation = (scope == JobPauseScope::Organisation).then_some(job.organisation);
            item.in_gsi2(held_partition(organisation, job.kind), format!("{at}#{}", job.id))
        }
        (None, _) if work.is_dead && !work.is_hidden => {
            item.in_gsi2(dead_partition(job.user), sort(job.organisation, job.id))
        }
        (None, _) => item,
    }
}

fn partition(shard: u64) -> String {
    format!("JOBDUE#{shard}")
}

/// The partition of the jobs that the pause of a kind holds; no organisation for a pause of all.
fn held_partition(organisation: Option<OrganisationId>, kind: JobKind) -> String {
    let of = organisation.map_or_else(|| "GATEWAY".to_owned(), |organisation| organisation.to_string());
    format!("JOBHELD#{of}#{}", kind.as_str())
}

fn dead_partition(user: UserId) -> String {
    format!("JOBDEAD#{user}")
}
