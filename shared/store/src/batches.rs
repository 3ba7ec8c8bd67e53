//! Batches: a record for each, and the parts of its results.
//!
//! The record has everything that a process needs to go on with a batch: the position in the input, the requests that were read
//! and have no result yet, and the names of the parts. It is replaced under its revision, and a process whose fencing token is
//! lower than the record's writes nothing more. A part is an object that is never changed: its name has a random end, so that a
//! process which has lost its lease can't overwrite one of its successor. Parts that no record names expire after 30 days.

mod record;

use std::time::Duration;

use hearth_domain::{BatchDialect, BatchId, Owner, RevisionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    bucket::{Blob, Bucket},
    database::{Condition, Cursor, Index, Item, Key, META, Query, Sort, Write},
    owned::OwnedEntry,
};

pub use record::{BatchFault, BatchOutput, BatchPosition, BatchRecord, PendingRequest, RevisedBatch};

const VERSION: u32 = 1;
/// Time for which a batch is stored after its end.
pub const BATCH_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// Media type of a part.
const PART_TYPE: &str = "application/jsonl";

/// The batches.
#[derive(Debug, Clone, Copy)]
pub struct Batches<'a> {
    table: &'a Table,
    bucket: &'a dyn Bucket,
}

/// A batch as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The batch, as JSON.
    record: String,
    /// Its revision.
    revision: RevisionId,
}

impl Store {
    /// Batches of requests.
    #[must_use]
    pub fn batches(&self) -> Batches<'_> {
        Batches { table: &self.table, bucket: &*self.bucket }
    }
}

impl Batches<'_> {
    /// Stores a new batch, after its entry in the owner's index.
    ///
    /// # Errors
    /// `Conflict` if the id exists.
    pub async fn create(&self, batch: &BatchRecord) -> Result<(), StoreError> {
        let put = Write::Put(item(batch, RevisionId::new())?, Condition::Absent);
        self.table.write_in_order(vec![OwnedEntry::Batch(batch.id).write(batch.user)?, put]).await
    }

    /// Replaces a batch that has the revision of `batch`, which gets the new one. Returns false if it has another one, or was deleted.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn replace(&self, batch: &mut RevisedBatch) -> Result<bool, StoreError> {
        let revision = RevisionId::new();
        let unchanged = Condition::AttributeEquals("revision", batch.revision.to_string());
        match self.table.put(item(&batch.record, revision)?, unchanged).await {
            Ok(()) => {
                batch.revision = revision;
                Ok(true)
            }
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A batch that hasn't expired.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: BatchId) -> Result<Option<RevisedBatch>, StoreError> {
        let Some(stored) = self.table.get::<Stored>(&key(id)).await? else { return Ok(None) };
        let batch = read(&stored)?;
        Ok(Some(batch).filter(|batch| batch.record.is_current(Timestamp::now())))
    }

    /// A page of an owner's batches of a dialect behind the one `after`, newest first, or before it, oldest first; and whether more
    /// follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        owner: Owner,
        dialect: BatchDialect,
        newest_first: bool,
        after: Option<BatchId>,
        limit: u32,
    ) -> Result<(Vec<BatchRecord>, bool), StoreError> {
        let pk = list(owner, dialect);
        // One more, so that the last page is followed by no empty one.
        let query = Query { limit: Some(limit.saturating_add(1)), ..Query::of(Index::Gsi1, &pk, Sort::All) };
        let mut query = if newest_first { query.descending() } else { query };
        query.after = after.map(|id| Cursor { key: key(id), index: Some(Key::new(&pk, id.to_string())) });
        let page = self.table.page(&query).await?;
        let has_more = page.next.is_some() || page.items.len() > limit as usize;
        let now = Timestamp::now();
        let mut batches = Vec::with_capacity(page.items.len());
        for item in page.items.iter().take(limit as usize) {
            let batch = read(&item.read()?)?.record;
            if batch.is_current(now) {
                batches.push(batch);
            }
        }
        Ok((batches, has_more))
    }

    /// Deletes a batch with its parts, and its entry in the owner's index.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn remove(&self, batch: &BatchRecord) -> Result<(), StoreError> {
        self.erase(batch.id).await?;
        self.table.delete(OwnedEntry::Batch(batch.id).key(batch.user)).await
    }

    /// Deletes a batch with its parts, but for its entry in the owner's index.
    pub(crate) async fn erase(&self, id: BatchId) -> Result<(), StoreError> {
        if let Some(stored) = self.table.get::<Stored>(&key(id)).await? {
            for part in read(&stored)?.record.parts() {
                self.delete_part(id, part).await?;
            }
        }
        self.table.delete(key(id)).await
    }

    /// Writes a part.
    ///
    /// # Errors
    /// If the bucket can't be written.
    pub async fn put_part(&self, id: BatchId, part: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.bucket.put(&object_key(id, part), PART_TYPE, bytes).await
    }

    /// Opens a part.
    ///
    /// # Errors
    /// `Gone` if it was deleted; if the bucket can't be read.
    pub async fn part(&self, id: BatchId, part: &str) -> Result<Blob, StoreError> {
        let key = object_key(id, part);
        self.bucket.get(&key).await?.ok_or(StoreError::Gone(key))
    }

    /// Deletes a part.
    ///
    /// # Errors
    /// If the bucket can't be written.
    pub async fn delete_part(&self, id: BatchId, part: &str) -> Result<(), StoreError> {
        self.bucket.delete(&object_key(id, part)).await
    }
}

fn read(stored: &Stored) -> Result<RevisedBatch, StoreError> {
    let record = serde_json::from_str(&stored.record).map_err(StoreError::unreadable)?;
    Ok(RevisedBatch { record, revision: stored.revision })
}

fn item(batch: &BatchRecord, revision: RevisionId) -> Result<Item, StoreError> {
    let record = serde_json::to_string(batch).map_err(StoreError::unreadable)?;
    let item = Item::new(key(batch.id), VERSION, &Stored { record, revision })?;
    Ok(item
        .in_gsi1(list(batch.owner(), batch.dialect), batch.id.to_string())
        .expiring(batch.stored_until().unix()))
}

fn key(id: BatchId) -> Key {
    Key::new(format!("BATCH#{id}"), META)
}

fn list(owner: Owner, dialect: BatchDialect) -> String {
    format!("BATCHES#{}#{}#{}", owner.user, owner.organisation, dialect.as_str())
}

fn object_key(id: BatchId, part: &str) -> String {
    format!("batches/{id}/{part}")
}
