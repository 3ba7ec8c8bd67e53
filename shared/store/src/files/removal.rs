//! The removal of a file, in steps that can be repeated.

use hearth_domain::{FileId, FileState, Timestamp};

use super::{FileRecord, Files, item, key, object_key, sums};
use crate::{
    StoreError,
    database::{Condition, Write},
    owned::OwnedEntry,
};

/// Attempts at marking a file as deleted, which is completed or deleted by another process meanwhile.
const MARK_MAX_ATTEMPTS: usize = 5;

impl Files<'_> {
    /// Deletes a file or an upload, with its bytes and its entry. It can be repeated.
    ///
    /// # Errors
    /// If the bucket or the table can't be written.
    pub async fn remove(&self, record: &FileRecord) -> Result<(), StoreError> {
        self.erase(record.id).await?;
        self.0.table.delete(OwnedEntry::File(record.id).key(record.owner)).await
    }

    /// Deletes a file, but for its entry.
    ///
    /// The record is marked first, so that a completion at the same time fails. While a signed request may still send the bytes,
    /// the mark stays, without the name: [`Files::ended`] lists it after that, and the bytes are deleted again.
    pub(crate) async fn erase(&self, id: FileId) -> Result<(), StoreError> {
        let mark = self.mark(id).await?;
        self.0.bucket.delete(&object_key(id)).await?;
        self.delete_parts(id).await?;
        let Some(mark) = mark else { return Ok(()) };
        if mark.ends_at().is_none_or(|end| end <= Timestamp::now()) {
            self.0.table.delete(key(id)).await?;
        }
        // The sums of a user without files are no use; a user who is erased leaves none.
        for sums in [sums::of_user(mark.owner()), sums::of_uploads(mark.owner())] {
            match self.0.table.transact(vec![sums::delete_empty(sums)]).await {
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Marks the file as deleted, and subtracts it from its sums, once; `None` if there is no record.
    async fn mark(&self, id: FileId) -> Result<Option<FileRecord>, StoreError> {
        for _ in 0..MARK_MAX_ATTEMPTS {
            let Some(record) = self.0.table.get::<FileRecord>(&key(id)).await? else { return Ok(None) };
            let (owner, state) = (record.owner(), record.state);
            let mut writes = match state {
                FileState::Deleted => return Ok(Some(record)),
                FileState::Uploading => {
                    vec![sums::subtract(sums::of_uploads(owner), record.announced_bytes)]
                }
                FileState::Stored => vec![
                    sums::subtract(sums::of_user(owner), record.size_bytes),
                    sums::subtract(sums::of_organisation(owner.organisation), record.size_bytes),
                ],
            };
            let mark = FileRecord { state: FileState::Deleted, name: String::new(), ..record };
            let unchanged = Condition::AttributeEquals("state", state.as_str().to_owned());
            writes.push(Write::Put(item(&mark)?, unchanged));
            match self.0.table.transact(writes).await {
                Ok(()) => return Ok(Some(mark)),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}
