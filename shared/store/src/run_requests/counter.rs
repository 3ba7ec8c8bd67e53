//! The quota of stored requests.
//!
//! The database deletes requests when their time is over, and says so to nobody. So each owner's requests are counted in two
//! ways: all of them, up to the quota, and those that end on each day. When the sum reaches the quota, the days that are over are
//! subtracted from it first.
//!
//! A request is written by a transaction with its sums, and of two transactions over one item the database refuses one. So the
//! sums of an owner are in shards, of which the run's id chooses one, and the quota bounds the sum of all shards. Requests that are
//! stored at the same moment in different shards may exceed it.

use hearth_domain::{Owner, RunId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, META, Query, Sort, Update, Write},
    quota::{OwnersSums, Quota, QuotaExcess, QuotaKind, QuotaSums, Quotas, move_sums, shard_suffix, signed},
};

/// Shards of the sums of an owner, all of which one read unit reads.
const SHARDS: u8 = 16;
/// Attempts at a transaction that conflicts with others of the same owner.
const MAX_ATTEMPTS: usize = 12;
/// Prefix of the sort key of a day's sums, before the day.
const DAY: &str = "D#";

/// Counts the requests of an owner that end on a day.
pub(super) struct RequestCounter<'a> {
    pub(super) table: &'a Table,
    pub(super) owner: Owner,
    /// Below [`SHARDS`].
    pub(super) shard: u8,
    /// As `2026-11-29`.
    pub(super) day: String,
}

/// The day of a time, in UTC.
pub(super) fn day_of(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("2026-11-29".len());
    text
}

/// The shard in which the request of a run is counted.
pub(super) fn shard_of(run: RunId) -> u8 {
    Sha256::digest(run.to_string())[0] % SHARDS
}

impl RequestCounter<'_> {
    fn sums(&self) -> OwnersSums {
        OwnersSums::of(QuotaKind::Requests, self.owner).in_shard(self.shard)
    }

    fn days(&self) -> [Key; 2] {
        let OwnersSums { user, organisation, .. } = self.sums();
        let suffix = if self.shard == 0 { String::new() } else { shard_suffix(self.shard) };
        [user, organisation].map(|sums| Key::new(sums.pk, format!("{DAY}{}{suffix}", self.day)))
    }

    /// Returns what the shard may have, as the quotas leave it; an error if one of them doesn't allow a request of this size.
    pub(super) async fn check(&self, size_bytes: u64, quotas: Quotas) -> Result<Quotas, StoreError> {
        match self.room(size_bytes, quotas).await {
            Err(StoreError::OverQuota(_)) => {}
            result => return result,
        }
        let sums = self.sums();
        for key in [&sums.user, &sums.organisation] {
            self.subtract_ended(&key.pk).await?;
        }
        self.room(size_bytes, quotas).await
    }

    /// The quotas less the sums of the other shards.
    async fn room(&self, size_bytes: u64, quotas: Quotas) -> Result<Quotas, StoreError> {
        let sums = self.sums();
        let user = self.room_of((&sums.user, false), size_bytes, quotas.user).await?;
        let organisation = self.room_of((&sums.organisation, true), size_bytes, quotas.organisation).await?;
        Ok(Quotas { user, organisation })
    }

    async fn room_of(
        &self,
        (key, is_organisations): (&Key, bool),
        size_bytes: u64,
        quota: Quota,
    ) -> Result<Quota, StoreError> {
        let (mut all, mut others) = (QuotaSums::default(), QuotaSums::default());
        let shards = Query::partition(key.pk.clone(), Sort::Prefix(META.to_owned()));
        for item in self.table.query(shards).await? {
            let sums: QuotaSums = item.read()?;
            all = all.and(sums);
            if item.key != *key {
                others = others.and(sums);
            }
        }
        if !all.has_room(size_bytes, quota) {
            let kind = QuotaKind::Requests;
            let excess = QuotaExcess { kind, is_organisations, sums: all, quota, needed_bytes: size_bytes };
            return Err(StoreError::OverQuota(Box::new(excess)));
        }
        Ok(Quota {
            max_bytes: quota.max_bytes.saturating_add_signed(-others.bytes),
            max_count: quota.max_count.saturating_add_signed(-others.count),
        })
    }

    /// Writes a request that isn't there yet, and counts it. `room`: what its shard may have, by [`RequestCounter::check`].
    pub(super) async fn put(
        &self,
        item: Item,
        size_bytes: u64,
        mut room: Quotas,
        quotas: Quotas,
    ) -> Result<(), StoreError> {
        let put = Write::Put(item, Condition::Absent);
        for _ in 0..MAX_ATTEMPTS {
            if let Some(adds) = self.sums().add(size_bytes, 1, room) {
                let days = self.days().map(|day| move_sums(day, signed(size_bytes), 1));
                match self.table.transact([put.clone()].into_iter().chain(adds).chain(days).collect()).await {
                    Err(StoreError::Conflict) => {}
                    result => return result,
                }
            }
            let Write::Put(item, _) = &put else { break };
            // A transaction whose answer was lost is sent again by the client of the database.
            if self.table.get_item(&item.key).await?.is_some() {
                return Ok(());
            }
            room = self.check(size_bytes, quotas).await?;
        }
        Err(StoreError::Conflict)
    }

    /// Deletes a request that was counted, and subtracts it, unless its day is over: then the day is subtracted as a whole.
    pub(super) async fn delete(&self, key: Key, size_bytes: u64) -> Result<(), StoreError> {
        if self.day < day_of(Timestamp::now()) {
            return Ok(());
        }
        let size = signed(size_bytes);
        for _ in 0..MAX_ATTEMPTS {
            let of_days = self.days().map(|day| {
                let add = vec![("bytes", -size), ("count", -1)];
                Write::Update(day, Update { add, ..Update::default() }, Condition::Exists)
            });
            let delete = Write::Delete(key.clone(), Condition::Exists);
            let writes = [delete].into_iter().chain(self.sums().change(-size, -1)).chain(of_days).collect();
            match self.table.transact(writes).await {
                Ok(()) => {
                    self.delete_empty_days().await?;
                    return self.sums().delete_if_empty(self.table).await;
                }
                Err(StoreError::Conflict) if self.table.get_item(&key).await?.is_none() => return Ok(()),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Deletes the sums of the day if they are of nothing: a user who is erased leaves none.
    async fn delete_empty_days(&self) -> Result<(), StoreError> {
        for day in self.days() {
            match self.table.transact(vec![Write::Delete(day, Condition::NumberAtMost("count", 0))]).await {
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Subtracts the days that are over from the sums of the partition `pk`, each from the sums of its shard.
    async fn subtract_ended(&self, pk: &str) -> Result<(), StoreError> {
        let today = format!("{DAY}{}", day_of(Timestamp::now()));
        // The sums of today sort behind, but for the first shard's.
        let days = Sort::Between(DAY.to_owned(), today.clone());
        for item in self.table.query(Query::partition(pk, days)).await? {
            if item.key.sk == today {
                continue;
            }
            let ended: QuotaSums = item.read()?;
            let shard = item.key.sk.get(today.len()..).unwrap_or_default();
            let sums = Key::new(pk, format!("{META}{shard}"));
            let writes =
                vec![Write::Delete(item.key, Condition::Exists), move_sums(sums, -ended.bytes, -ended.count)];
            match self.table.transact(writes).await {
                // Another process has subtracted it.
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_runs_use_all_shards() {
        let shards: std::collections::BTreeSet<u8> = (0..1_000).map(|_| shard_of(RunId::new())).collect();
        assert_eq!(shards.into_iter().collect::<Vec<_>>(), (0..SHARDS).collect::<Vec<_>>());
    }
}
