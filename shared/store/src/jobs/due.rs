//! The index of due jobs: open ones by the time at which they have to be looked at, and those whose end leaves something to do;
//! and the index of dead letters.

use hearth_domain::{JobId, Owner, Timestamp, UserId};

use super::{Index, Item, JobRecord, JobWork, Jobs, Query, Sort, StoreError, sort};

/// Partitions of the index of due jobs.
const SHARDS: u64 = 8;

impl Jobs<'_> {
    /// The jobs that are to be looked at up to `until`, `limit` of each partition at most, in order of their times. An index may be
    /// late: read a job again before you act on it.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn due(&self, until: Timestamp, limit: u32) -> Result<Vec<JobRecord>, StoreError> {
        let mut due = Vec::new();
        for shard in 0..SHARDS {
            // "~" sorts behind the id of a job.
            let range = Sort::Between("0".to_owned(), format!("{until}~"));
            let mut query = Query::of(Index::Gsi2, partition(shard), range);
            query.limit = Some(limit);
            let mut left = limit as usize;
            loop {
                let page = self.table.page(&query).await?;
                for item in page.items.iter().take(left) {
                    match item.read::<JobRecord>() {
                        Ok(job) => due.push(job),
                        // One record hides no other.
                        Err(error) => tracing::error!(%error, "the record of a due job can't be read"),
                    }
                }
                left = left.saturating_sub(page.items.len());
                query.after = page.next;
                if left == 0 || query.after.is_none() {
                    break;
                }
            }
        }
        due.sort_by_key(|job| job.work.as_ref().and_then(|work| work.look_at));
        Ok(due)
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

/// The item in the index of due jobs, or of dead letters.
pub(super) fn indexed(item: Item, job: &JobRecord, work: &JobWork) -> Item {
    match work.look_at {
        Some(at) => {
            let shard = job.created_at.unix().unsigned_abs() % SHARDS;
            item.in_gsi2(partition(shard), format!("{at}#{}", job.id))
        }
        None if work.is_dead && !work.is_hidden => {
            item.in_gsi2(dead_partition(job.user), sort(job.organisation, job.id))
        }
        None => item,
    }
}

fn partition(shard: u64) -> String {
    format!("JOBDUE#{shard}")
}

fn dead_partition(user: UserId) -> String {
    format!("JOBDEAD#{user}")
}
