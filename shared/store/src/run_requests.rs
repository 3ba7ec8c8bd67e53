//! Requests of runs, for a replay. A run's record has no prompt: its request is stored where its client or the operator wants it.

mod counter;

use std::time::Duration;

use hearth_domain::{Generation, OrganisationId, Owner, RunId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    bucket::{self, Bucket},
    database::{Item, Key},
    owned::OwnedEntry,
    quota::Quotas,
};
use counter::{RequestCounter, day_of, shard_of};

const VERSION: u32 = 1;
/// The sort key of a run's request.
pub(crate) const REQUEST: &str = "REQUEST";
/// A longer request is stored in the bucket. DynamoDB's limit for an item is 400 KB.
const INLINE_MAX_BYTES: usize = 100 << 10;

/// Requests, under the ids of their runs.
#[derive(Debug, Clone, Copy)]
pub struct RunRequests<'a> {
    pub(crate) table: &'a Table,
    pub(crate) bucket: &'a dyn Bucket,
    pub(crate) ttl: Duration,
    pub(crate) quotas: Quotas,
}

impl Store {
    /// Requests of runs.
    #[must_use]
    pub fn run_requests(&self) -> RunRequests<'_> {
        RunRequests {
            table: &self.table,
            bucket: &*self.bucket,
            ttl: self.record_ttl,
            quotas: self.quotas.requests,
        }
    }
}

/// A request as it is stored: JSON in the item, or in an object of the bucket.
#[derive(Serialize, Deserialize)]
struct Stored {
    owner: UserId,
    organisation: OrganisationId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    /// The object's key. An export of the store reads it by this name.
    #[serde(default, rename = "request_key", skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    expires: i64,
    /// The shard of the sums in which it counts.
    #[serde(default)]
    shard: u8,
    /// Bytes by which it counts in its owner's quota; none for a request of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted: Option<u64>,
}

impl RunRequests<'_> {
    /// Stores the request of the run `id`, within the quotas of its owner.
    ///
    /// # Errors
    /// `OverQuota`; else if the table or the bucket can't be written.
    pub async fn put(&self, id: RunId, owner: Owner, request: &Generation) -> Result<(), StoreError> {
        let json = serde_json::to_string(request).map_err(StoreError::unreadable)?;
        let ends_at = Timestamp::now().plus(self.ttl);
        let (expires, size) = (ends_at.unix(), json.len() as u64);
        let shard = shard_of(id);
        let counter = RequestCounter { table: self.table, owner, shard, day: day_of(ends_at) };
        let room = counter.check(size, self.quotas).await?;
        // The run's record comes later, or never if its process dies.
        let entry = OwnedEntry::Run(id).write_for(owner.user, self.ttl)?;
        self.table.write_in_order(vec![entry]).await?;
        let (request, object) = if json.len() <= INLINE_MAX_BYTES {
            (Some(json), None)
        } else {
            let object = format!("runs/{id}/request");
            self.bucket.put(&object, "application/json", json.into_bytes()).await?;
            (None, Some(object))
        };
        let (owner, organisation) = (owner.user, owner.organisation);
        let stored = Stored { owner, organisation, request, object, expires, shard, counted: Some(size) };
        let item = Item::new(key(id), VERSION, &stored)?;
        let written = counter.put(item.expiring(expires), size, room, self.quotas).await;
        if let (Err(StoreError::OverQuota(_)), Some(object)) = (&written, &stored.object) {
            self.bucket.delete(object).await?;
        }
        written
    }

    /// Returns the request of `owner`'s run `id`, if it is stored.
    ///
    /// # Errors
    /// `Gone` if its object was deleted; else if the table or the bucket can't be read.
    pub async fn get(&self, id: RunId, owner: Owner) -> Result<Option<Generation>, StoreError> {
        self.of_user(id, owner.user, Some(owner.organisation)).await
    }

    /// Returns the request of the run `id`, if it is the user's: in any organisation, or in `only`.
    ///
    /// # Errors
    /// As for [`RunRequests::get`].
    pub async fn of_user(
        &self,
        id: RunId,
        user: UserId,
        only: Option<OrganisationId>,
    ) -> Result<Option<Generation>, StoreError> {
        let is_included =
            |stored: &Stored| stored.owner == user && only.is_none_or(|only| stored.organisation == only);
        let stored = self.table.get::<Stored>(&key(id)).await?;
        // The database deletes expired items late.
        let now = Timestamp::now().unix();
        // A shorter time of records holds for earlier ones too.
        let ends_by = id.created_at().plus(self.ttl).unix();
        let is_there = |stored: &Stored| is_included(stored) && stored.expires.min(ends_by) > now;
        let json = match stored.filter(is_there) {
            Some(Stored { request: Some(json), .. }) => json,
            Some(Stored { object: Some(object), .. }) => bucket::read_text(self.bucket, &object).await?,
            _ => return Ok(None),
        };
        serde_json::from_str(&json).map(Some).map_err(StoreError::unreadable)
    }
}

fn key(id: RunId) -> Key {
    Key::new(format!("RUN#{id}"), REQUEST)
}

/// Deletes the item of a request, and subtracts it from its owner's sums.
pub(crate) async fn erase(table: &Table, item: &Item) -> Result<(), StoreError> {
    let stored: Result<Stored, StoreError> = item.read();
    if let Ok(Stored { owner, organisation, expires, shard, counted: Some(size), .. }) = stored {
        let owner = Owner { user: owner, organisation };
        let day = day_of(Timestamp::from_unix(expires));
        RequestCounter { table, owner, shard, day }.delete(item.key.clone(), size).await?;
    }
    table.delete(item.key.clone()).await
}

/// The object that a request's item names.
pub(crate) fn object_of(item: &Item) -> Option<String> {
    item.read::<Stored>().ok()?.object
}
