//! Files that the gateway writes for their owners, such as the results of a batch.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::stream::BoxStream;
use hearth_domain::{FileId, FilePurpose, FileState, Owner, Timestamp};
use hearth_store::files::{FileQuota, FileRecord};
use hearth_wire::ApiError;

use super::Files;
use crate::error;

/// Time after which an unfinished file of a process that has died is deleted.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3 * 3600);
const NO_QUOTA: FileQuota = FileQuota { max_bytes: i64::MAX as u64, max_count: i64::MAX as u64 };

/// A file that the gateway writes.
#[derive(Debug)]
pub(crate) struct OwnFile {
    pub(crate) id: FileId,
    pub(crate) owner: Owner,
    pub(crate) name: String,
    pub(crate) purpose: FilePurpose,
    pub(crate) media_type: &'static str,
    pub(crate) size_bytes: u64,
    /// Seconds after which it is deleted.
    pub(crate) expires_after: Option<u64>,
    /// True to refuse it if the owner's files are too many or too large.
    pub(crate) has_quota: bool,
}

impl Files {
    /// Stores a file.
    ///
    /// # Errors
    /// `quota_exceeded`; `internal` if the store fails, or a piece can't be read.
    pub(crate) async fn put(
        &self,
        file: OwnFile,
        pieces: BoxStream<'_, io::Result<Bytes>>,
    ) -> Result<(), ApiError> {
        let created_at = Timestamp::now();
        let record = FileRecord {
            id: file.id,
            owner: file.owner.user,
            organisation: file.owner.organisation,
            state: FileState::Uploading,
            name: file.name,
            purpose: file.purpose,
            media_type: file.media_type.to_owned(),
            size_bytes: file.size_bytes,
            created_at,
            expires_at: self.expiry(created_at, file.expires_after),
            upload_ends_at: Some(created_at.plus(WRITE_TIMEOUT)),
            announced_bytes: file.size_bytes,
            put_ends_at: None,
        };
        let files = self.store.files();
        match file.has_quota {
            true => self.begin(&record).await?,
            false => drop(files.begin(&record, NO_QUOTA).await.map_err(error::store)?),
        }
        let written = files.write(record.id, file.media_type, pieces).await;
        let finished = match (written, file.has_quota) {
            (Err(error), _) => Err(error::store(error)),
            (Ok(()), true) => self.finish(&record).await.map(drop),
            (Ok(()), false) => {
                files.finish(&record, NO_QUOTA, NO_QUOTA).await.map(drop).map_err(error::store)
            }
        };
        if finished.is_err()
            && let Err(error) = files.remove(&record).await
        {
            tracing::warn!(file = %record.id, %error, "a file that wasn't finished is deleted by the sweep");
        }
        finished
    }
}
