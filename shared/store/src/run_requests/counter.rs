//! The quota of stored requests.
//!
//! The database deletes requests when their time is over, and says so to nobody. So each owner's requests are counted in two
//! ways: all of them, up to the quota, and those that end on each day. When the sum reaches the quota, the days that are over are
//! subtracted from it first.

use hearth_domain::{Owner, Timestamp};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, META, Query, Sort, Update, Write},
    quota::{OwnersSums, QuotaKind, QuotaSums, Quotas, move_sums, signed},
};

/// Attempts at a transaction that conflicts with others of the same owner.
const MAX_ATTEMPTS: usize = 12;
/// Prefix of the sort key of a day's sums, before the day.
const DAY: &str = "D#";

/// Counts the requests of an owner that end on a day.
pub(super) struct RequestCounter<'a> {
    pub(super) table: &'a Table,
    pub(super) owner: Owner,
    /// As `2026-11-29`.
    pub(super) day: String,
}

/// The day of a time, in UTC.
pub(super) fn day_of(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("2026-11-29".len());
    text
}

impl RequestCounter<'_> {
    fn sums(&self) -> OwnersSums {
        OwnersSums::of(QuotaKind::Requests, self.owner)
    }

    fn days(&self) -> [Key; 2] {
        let OwnersSums { user, organisation, .. } = self.sums();
        [user, organisation].map(|sums| Key::new(sums.pk, format!("{DAY}{}", self.day)))
    }

    /// Returns an error if one of the quotas doesn't allow a request of this size.
    pub(super) async fn check(&self, size_bytes: u64, quotas: Quotas) -> Result<(), StoreError> {
        let sums = self.sums();
        match sums.check(self.table, size_bytes, 1, quotas).await {
            Err(StoreError::OverQuota(_)) => {}
            result => return result,
        }
        for key in [&sums.user, &sums.organisation] {
            self.subtract_ended(key).await?;
        }
        sums.check(self.table, size_bytes, 1, quotas).await
    }

    /// Writes a request that isn't there yet, and counts it.
    pub(super) async fn put(&self, item: Item, size_bytes: u64, quotas: Quotas) -> Result<(), StoreError> {
        let put = Write::Put(item, Condition::Absent);
        for _ in 0..MAX_ATTEMPTS {
            if let Some(adds) = self.sums().add(size_bytes, 1, quotas) {
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
            self.check(size_bytes, quotas).await?;
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

    /// Subtracts the days that are over from the sums.
    async fn subtract_ended(&self, sums: &Key) -> Result<(), StoreError> {
        let today = day_of(Timestamp::now());
        let days = Sort::Between(DAY.to_owned(), format!("{DAY}{today}"));
        for item in self.table.query(Query::partition(sums.pk.clone(), days)).await? {
            if item.key.sk == format!("{DAY}{today}") {
                continue;
            }
            let ended: QuotaSums = item.read()?;
            let writes = vec![
                Write::Delete(item.key, Condition::Exists),
                move_sums(Key::new(sums.pk.clone(), META), -ended.bytes, -ended.count),
            ];
            match self.table.transact(writes).await {
                // Another process has subtracted it.
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
