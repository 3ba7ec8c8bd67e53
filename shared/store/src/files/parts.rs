//! Parts of an upload, which its client sends one after another: each is an object, with an item that names it.
//!
//! The item comes first, so that no object lacks one; the upload's removal deletes both.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hearth_domain::{FileId, FilePartId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{FileRecord, Files, key};
use crate::{
    StoreError,
    bucket::{Blob, Pieces},
    database::{Condition, Item, Key, META, Query, Sort, Write},
    quota::{self, Quota, QuotaSums},
};

const VERSION: u32 = 1;
/// Prefix of the sort key of a part, before its id.
const PART: &str = "PART#";
/// The sort key of the sums of an upload's parts.
const SUMS: &str = "PARTS";
/// The sort key of the lease of an upload's completion.
const COMPLETION: &str = "COMPLETION";
/// Most parts of an upload.
const PART_MAX_COUNT: u64 = 10_000;
/// Attempts at counting a part, which conflicts with others of the upload.
const COUNT_MAX_ATTEMPTS: usize = 12;
/// Objects that are deleted at the same time.
const CONCURRENT_DELETIONS: usize = 8;

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// Its id.
    pub id: FilePartId,
    /// Its size; none until its bytes are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// When it was begun.
    pub created_at: Timestamp,
}

/// The lease of a completion.
#[derive(Serialize, Deserialize)]
struct Completion {
    until: Timestamp,
}

impl Files<'_> {
    /// Begins a part of an upload.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn begin_part(&self, upload: FileId, part: &FilePart) -> Result<(), StoreError> {
        self.0.table.put(item(upload, part)?, Condition::Absent).await
    }

    /// Writes the bytes of a part.
    ///
    /// # Errors
    /// If the bucket can't be written, or the pieces end with an error.
    pub async fn write_part(
        &self,
        upload: FileId,
        part: FilePartId,
        pieces: Pieces<'_>,
    ) -> Result<(), StoreError> {
        self.0.bucket.put_pieces(&object_key(upload, part), "application/octet-stream", pieces).await
    }

    /// Counts a part whose bytes are written. Returns false if the parts have more bytes together than the upload, or are too many.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn finish_part(&self, upload: &FileRecord, part: &FilePart) -> Result<bool, StoreError> {
        let size = part.size_bytes.unwrap_or_default();
        let limits = Quota { max_bytes: upload.size_bytes, max_count: PART_MAX_COUNT };
        let sums = Key::new(key(upload.id).pk, SUMS);
        let Some(add) = quota::add(sums.clone(), size, limits) else { return Ok(false) };
        for _ in 0..COUNT_MAX_ATTEMPTS {
            let put = Write::Put(item(upload.id, part)?, Condition::Exists);
            match self.0.table.transact(vec![put, add.clone()]).await {
                Ok(()) => return Ok(true),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
            let sums: QuotaSums = self.0.table.get(&sums).await?.unwrap_or_default();
            if !sums.has_room(size, limits) {
                return Ok(false);
            }
        }
        Err(StoreError::Conflict)
    }

    /// The parts of an upload whose bytes are there, in no order.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn parts(&self, upload: FileId) -> Result<Vec<FilePart>, StoreError> {
        let query = Query::partition(key(upload).pk, Sort::Prefix(PART.to_owned()));
        let items = self.0.table.query(query).await?;
        let parts = items.iter().map(Item::read).collect::<Result<Vec<FilePart>, _>>()?;
        Ok(parts.into_iter().filter(|part| part.size_bytes.is_some()).collect())
    }

    /// Opens the bytes of a part; `None` if they are deleted.
    ///
    /// # Errors
    /// If the bucket can't be read.
    pub async fn read_part(&self, upload: FileId, part: FilePartId) -> Result<Option<Blob>, StoreError> {
        self.0.bucket.get(&object_key(upload, part)).await
    }

    /// Deletes a part that was not counted.
    ///
    /// # Errors
    /// If the bucket or the table can't be written.
    pub async fn delete_part(&self, upload: FileId, part: FilePartId) -> Result<(), StoreError> {
        self.0.bucket.delete(&object_key(upload, part)).await?;
        self.0.table.delete(part_key(upload, part)).await
    }

    /// Begins the completion of an upload. Returns false if another one is in progress; one whose process has died ends by itself.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn begin_completion(&self, upload: FileId, ttl: Duration) -> Result<bool, StoreError> {
        let completion = Key::new(key(upload).pk, COMPLETION);
        let now = Timestamp::now();
        let condition = match self.0.table.get::<Completion>(&completion).await? {
            Some(Completion { until }) if until > now => return Ok(false),
            Some(Completion { until }) => Condition::AttributeEquals("until", until.to_string()),
            None => Condition::Absent,
        };
        let item = Item::new(completion, VERSION, &Completion { until: now.plus(ttl) })?;
        match self.0.table.put(item, condition).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends the completion of an upload that has failed.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn end_completion(&self, upload: FileId) -> Result<(), StoreError> {
        self.0.table.delete(Key::new(key(upload).pk, COMPLETION)).await
    }

    /// Deletes all parts of an upload, with all that is stored beside its record.
    ///
    /// # Errors
    /// If the bucket or the table can't be written.
    pub async fn delete_parts(&self, upload: FileId) -> Result<(), StoreError> {
        let items = self.0.table.query(Query::partition(key(upload).pk, Sort::All)).await?;
        let keys: Vec<Key> = items.into_iter().map(|item| item.key).filter(|key| key.sk != META).collect();
        let delete = |key: Key| async move {
            if let Some(part) = key.sk.strip_prefix(PART).and_then(|id| id.parse().ok()) {
                self.0.bucket.delete(&object_key(upload, part)).await?;
            }
            self.0.table.delete(key).await
        };
        stream::iter(keys).map(delete).buffer_unordered(CONCURRENT_DELETIONS).try_collect::<()>().await
    }
}

fn item(upload: FileId, part: &FilePart) -> Result<Item, StoreError> {
    Item::new(part_key(upload, part.id), VERSION, part)
}

fn part_key(upload: FileId, part: FilePartId) -> Key {
    Key::new(key(upload).pk, format!("{PART}{part}"))
}

fn object_key(upload: FileId, part: FilePartId) -> String {
    format!("{}/{part}", super::object_key(upload))
}
