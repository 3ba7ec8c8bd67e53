//! Files that users upload: the bytes are in the bucket, the record in the table, and the sums of each user and organisation in
//! counters.
//!
//! ```text
//! begin     the entry in the owner's index, and a record in the list of the owner's uploads, which counts among these alone, and ends
//!           by itself
//! finish    one transaction: the record in the owner's list, its size added to both sums, each up to its limit
//! remove    one transaction: the record marked as deleted, its size subtracted; then the bytes, then the record
//! ```
//!
//! So a process that dies in between leaves a record that [`Files::ended`] lists, and nothing that counts as a file. No record has
//! a ttl: the database would delete it without its bytes, and would leave its size in the sums.

mod lists;
mod owners;
mod parts;
mod removal;
mod sums;

use hearth_domain::{FileId, FilePurpose, FileState, OrganisationId, Owner, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    bucket::{Blob, Pieces, PresignedHead, PresignedPut},
    database::{Condition, Item, Key, META, Write},
    owned::OwnedEntry,
};

pub use crate::quota::{Quota as FileQuota, QuotaSums as FileSums};
pub use owners::EndedOwner;
pub use parts::FilePart;

const VERSION: u32 = 1;
/// Attempts at completing an upload, which conflicts with others of the same owner.
const FINISH_MAX_ATTEMPTS: usize = 5;

/// A file and its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its id.
    pub id: FileId,
    /// Its owner.
    pub owner: UserId,
    /// The organisation in which its owner has uploaded it.
    pub organisation: OrganisationId,
    /// Its state.
    pub state: FileState,
    /// Its name, as the client named it.
    pub name: String,
    /// Its purpose.
    pub purpose: FilePurpose,
    /// Its media type, detected from its bytes; while it is uploaded, unknown.
    pub media_type: String,
    /// Its size in bytes; while it is uploaded, the announced one.
    pub size_bytes: u64,
    /// When the upload began.
    pub created_at: Timestamp,
    /// The time of its deletion, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The end of an upload that isn't completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_ends_at: Option<Timestamp>,
    /// Bytes by which it counts among the uploads of its owner.
    #[serde(default)]
    pub announced_bytes: u64,
    /// The end of the signed request for its bytes, if there is one. Until then they may come, even if the file is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_ends_at: Option<Timestamp>,
}

impl FileRecord {
    /// The user and the organisation that it belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { user: self.owner, organisation: self.organisation }
    }

    /// The time from which the file isn't shown any more, if there is one.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.state {
            FileState::Uploading => self.upload_ends_at,
            FileState::Stored => self.expires_at,
            FileState::Deleted => Some(self.put_ends_at.unwrap_or(self.created_at)),
        }
    }

    /// True for an upload by a form: only the process that receives the form completes it. Other uploads have a name from their
    /// beginning on.
    #[must_use]
    pub fn is_form(&self) -> bool {
        self.state == FileState::Uploading && self.name.is_empty()
    }

    /// True if the file, or the upload, has ended at `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|end| end <= now)
    }
}

/// The result of storing a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAdmission {
    /// It is stored.
    Stored,
    /// The upload has ended, or was completed before.
    Ended,
    /// The user's quota doesn't allow it. These are the user's sums.
    UserIsFull(FileSums),
    /// The organisation's quota doesn't allow it. These are the organisation's sums.
    OrganisationIsFull(FileSums),
}

/// The files.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a>(&'a Store);

impl Store {
    /// Files that users upload.
    #[must_use]
    pub fn files(&self) -> Files<'_> {
        Files(self)
    }
}

impl Files<'_> {
    /// Begins an upload, within the quota of the owner's uploads in progress. Returns false if it doesn't allow it.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn begin(&self, record: &FileRecord, uploads: FileQuota) -> Result<bool, StoreError> {
        let pending = sums::of_uploads(record.owner());
        let Some(count) = sums::add(pending, record.announced_bytes, uploads) else { return Ok(false) };
        let entry = OwnedEntry::File(record.id);
        self.0.table.write_in_order(vec![entry.write(record.owner)?]).await?;
        match self.0.table.transact(vec![Write::Put(item(record)?, Condition::Absent), count]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => {
                self.0.table.delete(entry.key(record.owner)).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the bytes of an upload.
    ///
    /// # Errors
    /// If the bucket can't be written, or the pieces end with an error.
    pub async fn write(&self, id: FileId, media_type: &str, pieces: Pieces<'_>) -> Result<(), StoreError> {
        self.0.bucket.put_pieces(&object_key(id), media_type, pieces).await
    }

    /// Completes an upload whose bytes are written, within both quotas.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn finish(
        &self,
        record: &FileRecord,
        user: FileQuota,
        organisation: FileQuota,
    ) -> Result<FileAdmission, StoreError> {
        let owner = record.owner();
        let record = FileRecord { state: FileState::Stored, upload_ends_at: None, ..record.clone() };
        let size = record.size_bytes;
        for _ in 0..FINISH_MAX_ATTEMPTS {
            let uploading = Condition::AttributeEquals("state", FileState::Uploading.as_str().to_owned());
            let writes = [
                Some(Write::Put(item(&record)?, uploading)),
                sums::add(sums::of_user(owner), size, user),
                sums::add(sums::of_organisation(owner.organisation), size, organisation),
                Some(sums::subtract(sums::of_uploads(owner), record.announced_bytes)),
            ];
            // Without room for even one file of this size there is nothing to write.
            if writes.iter().all(Option::is_some) {
                match self.0.table.transact(writes.into_iter().flatten().collect()).await {
                    Ok(()) => return Ok(FileAdmission::Stored),
                    Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
            match self.0.table.get::<FileRecord>(&key(record.id)).await? {
                Some(stored) if stored.state == FileState::Uploading => {}
                // A transaction whose answer was lost is sent again by the client of the database.
                Some(stored) if stored == record => return Ok(FileAdmission::Stored),
                _ => return Ok(FileAdmission::Ended),
            }
            let sums = self.user_sums(owner).await?;
            if !sums.has_room(size, user) {
                return Ok(FileAdmission::UserIsFull(sums));
            }
            let sums = self.organisation_sums(owner.organisation).await?;
            if !sums.has_room(size, organisation) {
                return Ok(FileAdmission::OrganisationIsFull(sums));
            }
            // A file was deleted meanwhile.
        }
        Err(StoreError::Conflict)
    }

    /// A file that hasn't ended, in whatever state.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: FileId) -> Result<Option<FileRecord>, StoreError> {
        let record = self.0.table.get::<FileRecord>(&key(id)).await?;
        let is_shown =
            |record: &FileRecord| record.state != FileState::Deleted && !record.is_over(Timestamp::now());
        Ok(record.filter(is_shown))
    }

    /// The sums of a user's files in an organisation.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn user_sums(&self, owner: Owner) -> Result<FileSums, StoreError> {
        Ok(self.0.table.get(&sums::of_user(owner)).await?.unwrap_or_default())
    }

    /// The sums of a user's uploads in an organisation that aren't completed.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn uploads_sums(&self, owner: Owner) -> Result<FileSums, StoreError> {
        Ok(self.0.table.get(&sums::of_uploads(owner)).await?.unwrap_or_default())
    }

    /// The sums of an organisation's files.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn organisation_sums(&self, organisation: OrganisationId) -> Result<FileSums, StoreError> {
        Ok(self.0.table.get(&sums::of_organisation(organisation)).await?.unwrap_or_default())
    }

    /// Opens a file's bytes; `None` if they are deleted.
    ///
    /// # Errors
    /// If the bucket can't be read.
    pub async fn read(&self, id: FileId) -> Result<Option<Blob>, StoreError> {
        self.0.bucket.get(&object_key(id)).await
    }

    /// Opens a part of a file's bytes, which must begin within them.
    ///
    /// # Errors
    /// If the bucket can't be read.
    pub async fn read_range(&self, id: FileId, first: u64, last: u64) -> Result<Option<Blob>, StoreError> {
        self.0.bucket.get_range(&object_key(id), first, last).await
    }

    /// Deletes the bytes of an upload that has ended while they were written.
    ///
    /// # Errors
    /// If the bucket can't be written.
    pub async fn delete_bytes(&self, id: FileId) -> Result<(), StoreError> {
        self.0.bucket.delete(&object_key(id)).await
    }

    /// The number of bytes that are written; `None` if there are none.
    ///
    /// # Errors
    /// If the bucket can't be read.
    pub async fn written_bytes(&self, id: FileId) -> Result<Option<u64>, StoreError> {
        self.0.bucket.size(&object_key(id)).await
    }

    /// A URL of the bucket that returns the file; `None` if the bucket has none.
    ///
    /// # Errors
    /// If it can't be signed.
    pub async fn presign_get(
        &self,
        id: FileId,
        head: &PresignedHead,
        ttl: std::time::Duration,
    ) -> Result<Option<String>, StoreError> {
        self.0.bucket.presign_get(&object_key(id), head, ttl).await
    }

    /// A request to the bucket that writes the file's bytes; `None` if the bucket takes none.
    ///
    /// # Errors
    /// If it can't be signed.
    pub async fn presign_put(
        &self,
        id: FileId,
        size_bytes: u64,
        ttl: std::time::Duration,
    ) -> Result<Option<PresignedPut>, StoreError> {
        self.0.bucket.presign_put(&object_key(id), size_bytes, ttl).await
    }
}

fn item(record: &FileRecord) -> Result<Item, StoreError> {
    let mut item = Item::new(key(record.id), VERSION, record)?;
    if let Some(list) = lists::of(record) {
        item = item.in_gsi1(list, record.id.to_string());
    }
    Ok(match record.ends_at() {
        Some(end) => item.in_gsi2(lists::ENDS, format!("{end}#{}", record.id)),
        None => item,
    })
}

fn key(id: FileId) -> Key {
    Key::new(format!("FILE#{id}"), META)
}

pub(crate) fn object_key(id: FileId) -> String {
    format!("files/{id}")
}
