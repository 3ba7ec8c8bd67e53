//! Owners whose files end: members who were removed from an organisation, and those of a deleted one.
//!
//! A removal only marks the owner, as there may be many files. The sweep deletes them, and the mark after them.

use hearth_domain::{OrganisationId, Owner, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::Files;
use crate::{
    StoreError,
    database::{Condition, Item, Key, Query, Sort},
};

const VERSION: u32 = 1;
/// The partition of these owners.
const ENDED_OWNERS: &str = "FILEOWNERS";

/// An owner whose files end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedOwner {
    /// The user.
    pub user: UserId,
    /// The organisation.
    pub organisation: OrganisationId,
    /// The time up to which files of the owner end. The user may join again, and upload others.
    pub at: Timestamp,
}

impl EndedOwner {
    /// The user and the organisation.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { user: self.user, organisation: self.organisation }
    }
}

impl Files<'_> {
    /// Marks an owner, whose present files the sweep deletes.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn end_owner(&self, owner: Owner) -> Result<(), StoreError> {
        let ended = EndedOwner { user: owner.user, organisation: owner.organisation, at: Timestamp::now() };
        self.0.table.put(Item::new(key(owner), VERSION, &ended)?, Condition::Always).await
    }

    /// Marked owners, at most `limit`.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn ended_owners(&self, limit: u32) -> Result<Vec<EndedOwner>, StoreError> {
        let query = Query { limit: Some(limit), ..Query::partition(ENDED_OWNERS, Sort::All) };
        self.0.table.page(&query).await?.items.iter().map(Item::read).collect()
    }

    /// Deletes the mark of an owner, whose files are deleted.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn forget_ended_owner(&self, ended: &EndedOwner) -> Result<(), StoreError> {
        self.0.table.delete(key(ended.owner())).await
    }
}

fn key(owner: Owner) -> Key {
    Key::new(ENDED_OWNERS, format!("{}#{}", owner.user, owner.organisation))
}
