//! Sums of what a user and an organisation store, each added up to a quota by a conditional write.

use hearth_domain::Owner;
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Created, Key, META, Update, Write},
};

const VERSION: u32 = 1;

/// The bytes and the number of what is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaSums {
    /// Bytes.
    pub bytes: i64,
    /// Number.
    pub count: i64,
}

/// The most that a user or an organisation may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes.
    pub max_bytes: u64,
    /// Number.
    pub max_count: u64,
}

/// The quotas of each user in an organisation, and of each organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Of a user.
    pub user: Quota,
    /// Of an organisation.
    pub organisation: Quota,
}

/// The quotas of a store, but for those of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreQuotas {
    /// Of sessions with their messages.
    pub sessions: Quotas,
    /// Of requests that are stored for a replay.
    pub requests: Quotas,
}

impl Default for Quotas {
    /// No limit.
    fn default() -> Self {
        let unlimited = Quota { max_bytes: u64::MAX, max_count: u64::MAX };
        Self { user: unlimited, organisation: unlimited }
    }
}

/// A kind of things with a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaKind {
    /// Sessions with their messages.
    Sessions,
    /// Requests that are stored for a replay.
    Requests,
}

/// A write that a quota doesn't allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaExcess {
    /// The kind of things.
    pub kind: QuotaKind,
    /// True for the quota of the organisation, false for that of the user.
    pub is_organisations: bool,
    /// The sums of that user or organisation.
    pub sums: QuotaSums,
    /// The quota.
    pub quota: Quota,
    /// Bytes that the write needed.
    pub needed_bytes: u64,
}

impl QuotaSums {
    /// True if one more thing of this size fits.
    #[must_use]
    pub fn has_room(&self, size_bytes: u64, quota: Quota) -> bool {
        self.has_room_for(size_bytes, 1, quota)
    }

    /// The sums of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), count: self.count.saturating_add(other.count) }
    }

    fn has_room_for(&self, size_bytes: u64, count: u64, quota: Quota) -> bool {
        match room(size_bytes, count, quota) {
            Some((bytes, count)) => self.bytes <= bytes && self.count <= count,
            None => false,
        }
    }
}

/// The most that the sums may have before this is added; `None` if it never fits.
fn room(size_bytes: u64, count: u64, quota: Quota) -> Option<(i64, i64)> {
    let bytes = quota.max_bytes.checked_sub(size_bytes)?;
    let count = quota.max_count.checked_sub(count)?;
    Some((signed(bytes), signed(count)))
}

/// Adds one thing to the sums, if it fits; `None` if it never does.
pub(crate) fn add(key: Key, size_bytes: u64, quota: Quota) -> Option<Write> {
    add_within(key, size_bytes, 1, quota)
}

fn add_within(key: Key, size_bytes: u64, count: u64, quota: Quota) -> Option<Write> {
    let (bytes_before, count_before) = room(size_bytes, count, quota)?;
    let fits =
        vec![Condition::NumberAtMost("bytes", bytes_before), Condition::NumberAtMost("count", count_before)];
    Some(Write::Update(key, change(signed(size_bytes), signed(count)), Condition::All(fits)))
}

/// Subtracts one thing from the sums.
pub(crate) fn subtract(key: Key, size_bytes: u64) -> Write {
    move_sums(key, -signed(size_bytes), -1)
}

/// Adds to the sums whatever the quota, or subtracts.
pub(crate) fn move_sums(key: Key, bytes: i64, count: i64) -> Write {
    Write::Update(key, change(bytes, count), Condition::Always)
}

fn change(bytes: i64, count: i64) -> Update {
    Update {
        create: Some(Created { version: VERSION, ttl: None }),
        add: vec![("bytes", bytes), ("count", count)],
        ..Update::default()
    }
}

/// Deletes sums of nothing.
pub(crate) fn delete_empty(key: Key) -> Write {
    Write::Delete(key, Condition::NumberAtMost("count", 0))
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The sums of one owner for a kind of things: the user's and the organisation's.
#[derive(Debug, Clone)]
pub(crate) struct OwnersSums {
    pub(crate) kind: QuotaKind,
    pub(crate) user: Key,
    pub(crate) organisation: Key,
}

impl OwnersSums {
    pub(crate) fn of(kind: QuotaKind, owner: Owner) -> Self {
        let prefix = match kind {
            QuotaKind::Sessions => "SESSIONSUM",
            QuotaKind::Requests => "REQUESTSUM",
        };
        let organisation = format!("{prefix}#{}", owner.organisation);
        Self {
            kind,
            user: Key::new(format!("{organisation}#{}", owner.user), META),
            organisation: Key::new(organisation, META),
        }
    }

    /// The sums of one shard of several; the first one has the keys of sums without shards.
    pub(crate) fn in_shard(self, shard: u8) -> Self {
        if shard == 0 {
            return self;
        }
        let in_shard = |key: Key| Key::new(key.pk, format!("{META}{}", shard_suffix(shard)));
        Self { user: in_shard(self.user), organisation: in_shard(self.organisation), ..self }
    }

    /// The writes that add to both sums, each within its quota; `None` if it never fits.
    pub(crate) fn add(&self, size_bytes: u64, count: u64, quotas: Quotas) -> Option<[Write; 2]> {
        let Quotas { user, organisation } = quotas;
        Some([
            add_within(self.user.clone(), size_bytes, count, user)?,
            add_within(self.organisation.clone(), size_bytes, count, organisation)?,
        ])
    }

    /// The writes that add to both sums whatever the quotas, or subtract.
    pub(crate) fn change(&self, bytes: i64, count: i64) -> [Write; 2] {
        [move_sums(self.user.clone(), bytes, count), move_sums(self.organisation.clone(), bytes, count)]
    }

    /// Returns an error if one of the quotas doesn't allow this now.
    pub(crate) async fn check(
        &self,
        table: &Table,
        size_bytes: u64,
        count: u64,
        quotas: Quotas,
    ) -> Result<(), StoreError> {
        let both = [(&self.user, quotas.user, false), (&self.organisation, quotas.organisation, true)];
        for (key, quota, is_organisations) in both {
            let sums: QuotaSums = table.get(key).await?.unwrap_or_default();
            if !sums.has_room_for(size_bytes, count, quota) {
                let kind = self.kind;
                let needed_bytes = size_bytes;
                return Err(StoreError::OverQuota(Box::new(QuotaExcess {
                    kind,
                    is_organisations,
                    sums,
                    quota,
                    needed_bytes,
                })));
            }
        }
        Ok(())
    }

    /// Deletes the user's sums if they are of nothing: a user who is erased leaves none.
    pub(crate) async fn delete_if_empty(&self, table: &Table) -> Result<(), StoreError> {
        match table.transact(vec![delete_empty(self.user.clone())]).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The end of the sort keys of a shard but the first: no shorter for one number than for another, so that they sort by it.
pub(crate) fn shard_suffix(shard: u8) -> String {
    format!("#{shard:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thing_fits_up_to_the_last_byte_and_the_last_one() {
        let quota = Quota { max_bytes: 10, max_count: 2 };
        let has_room = |bytes, count, size| QuotaSums { bytes, count }.has_room(size, quota);
        assert!(has_room(0, 0, 10) && has_room(7, 1, 3));
        assert!(!has_room(0, 0, 11) && !has_room(8, 1, 3) && !has_room(2, 2, 1));
    }
}
