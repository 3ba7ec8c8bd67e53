//! Files that users upload: stored within quotas, listed, read and deleted.
//!
//! - `upload`: receives a file through the gateway.
//! - `direct`: uploads whose bytes go to the bucket.
//! - `parts`: uploads whose bytes come in parts.
//! - `listing`: pages of files, of uploads in progress and of artifacts.
//! - `own`: files that the gateway writes for their owners.
//! - `content`: the bytes of files and artifacts, and links to them.
//! - `inputs`: files and artifacts as the input of a run.
//!
//! The store has the order of the writes (`hearth_store::files`): bytes count from the moment at which the file is complete.

mod content;
mod direct;
mod inputs;
mod listing;
mod own;
mod parts;
mod upload;

use std::time::Duration;

use hearth_domain::{FileId, FileState, Timestamp};
use hearth_settings::FileSettings;
use hearth_store::{
    Store,
    files::{FileAdmission, FileQuota, FileRecord, FileSums},
};
use hearth_wire::{
    ApiError, ErrorCode,
    openai::files::{FileBody, FileDeleted, unix},
};

use crate::{Gateway, access::Caller, error};

pub use content::{ByteRange, StoredFile};
pub(crate) use inputs::names_files;
pub(crate) use own::OwnFile;
pub use upload::{FileDetails, FileUpload};

/// Ended files that one sweep deletes.
const SWEEP_MAX_COUNT: u32 = 200;
/// Ended files that an upload without room deletes.
const MAKE_ROOM_MAX_COUNT: u32 = 50;
/// Interval between two sweeps at home.
const SWEEP_INTERVAL: Duration = Duration::from_secs(300);
/// Uploads of a user at a time that aren't completed.
const UPLOADS_MAX_COUNT: u64 = 64;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The files.
#[derive(Debug)]
pub(crate) struct Files {
    store: Store,
    settings: FileSettings,
}

impl Files {
    pub(crate) fn new(store: Store, settings: FileSettings) -> Self {
        Self { store, settings }
    }

    /// The caller's file or upload.
    async fn record(&self, caller: &Caller, id: FileId) -> Result<FileRecord, ApiError> {
        let record = self.store.files().get(id).await.map_err(error::store)?;
        record.filter(|record| record.owner() == caller.owner()).ok_or_else(no_such_file)
    }

    /// The caller's file.
    pub(crate) async fn stored_record(&self, caller: &Caller, id: FileId) -> Result<FileRecord, ApiError> {
        let record = self.record(caller, id).await?;
        if record.state == FileState::Stored { Ok(record) } else { Err(no_such_file()) }
    }

    /// Completes an upload whose bytes are written.
    async fn finish(&self, record: &FileRecord) -> Result<FileBody, ApiError> {
        let (user, organisation) = (self.user_quota(), self.organisation_quota());
        let files = self.store.files();
        let finish = || files.finish(record, user, organisation);
        let mut admission = finish().await.map_err(error::store)?;
        let is_full = !matches!(admission, FileAdmission::Stored | FileAdmission::Ended);
        // Files whose time is over count until they are deleted.
        if is_full && self.remove_ended(MAKE_ROOM_MAX_COUNT).await? > 0 {
            admission = finish().await.map_err(error::store)?;
        }
        match admission {
            FileAdmission::Stored => Ok(body(record)),
            FileAdmission::Ended => {
                let message = "the upload has ended, or was cancelled; send the file again";
                Err(ApiError::new(ErrorCode::Conflict, message))
            }
            FileAdmission::UserIsFull(sums) => Err(no_room("user", sums, user, record.size_bytes)),
            FileAdmission::OrganisationIsFull(sums) => {
                Err(no_room("organisation", sums, organisation, record.size_bytes))
            }
        }
    }

    /// Deletes files and uploads whose time is over; returns their number.
    async fn remove_ended(&self, limit: u32) -> Result<usize, ApiError> {
        let ended = self.store.files().ended(Timestamp::now(), limit).await.map_err(error::store)?;
        let mut removed = 0;
        for record in &ended {
            match self.store.files().remove(record).await {
                Ok(()) => removed += 1,
                // It must not keep the others.
                Err(error) => {
                    tracing::error!(file = %record.id, %error, "a file whose time is over can't be deleted")
                }
            }
        }
        Ok(removed)
    }

    /// Deletes files of members who were removed from an organisation, and of deleted organisations; returns their number.
    async fn remove_of_ended_owners(&self, limit: u32) -> Result<usize, ApiError> {
        let files = self.store.files();
        let mut removed = 0;
        for ended in files.ended_owners(limit).await.map_err(error::store)? {
            let page = files.page(ended.owner(), false, None, limit).await;
            let (mut records, has_more) = page.map_err(error::store)?;
            let count = records.len();
            records.retain(|record| record.created_at <= ended.at);
            for record in &records {
                files.remove(record).await.map_err(error::store)?;
            }
            removed += records.len();
            // Later files are behind the last of these.
            if !has_more || records.len() < count {
                files.forget_ended_owner(&ended).await.map_err(error::store)?;
            }
        }
        Ok(removed)
    }

    /// Begins an upload, among those of its owner that aren't completed.
    async fn begin(&self, record: &FileRecord) -> Result<(), ApiError> {
        let begin = async || {
            let begun = self.store.files().begin(record, self.uploads_quota()).await;
            begun.map_err(error::store)
        };
        if begin().await? || self.remove_ended(MAKE_ROOM_MAX_COUNT).await? > 0 && begin().await? {
            return Ok(());
        }
        let sums = self.store.files().uploads_sums(record.owner()).await.map_err(error::store)?;
        let quota = self.uploads_quota();
        let message = format!(
            "your uploads in progress are {} of {}, and have {} bytes of {}; GET /v1/uploads lists them; complete those that you have \
             begun, or cancel them (POST /v1/uploads/{{id}}/cancel); one that isn't completed ends by itself an hour after its beginning",
            sums.count, quota.max_count, sums.bytes, quota.max_bytes
        );
        Err(full("uploads", sums, quota, record.announced_bytes, message))
    }

    /// Deletes the uploads by forms that an earlier process was receiving when it died; returns their number.
    async fn remove_broken_forms(&self) -> Result<usize, ApiError> {
        let files = self.store.files();
        let until = Timestamp::now().plus(upload::FORM_TTL);
        let (mut removed, mut after) = (0, None);
        loop {
            let page = files.uploads_that_end(until, after, SWEEP_MAX_COUNT).await;
            let (uploads, next) = page.map_err(error::store)?;
            for form in uploads.iter().filter(|upload| upload.is_form()) {
                files.remove(form).await.map_err(error::store)?;
                removed += 1;
            }
            if next.is_none() {
                return Ok(removed);
            }
            after = next;
        }
    }

    /// The uploads that aren't completed: their bytes are in the bucket too.
    fn uploads_quota(&self) -> FileQuota {
        let max_bytes =
            self.settings.user_max_bytes.as_u64().saturating_add(self.settings.max_bytes.as_u64());
        FileQuota { max_bytes, max_count: UPLOADS_MAX_COUNT }
    }

    fn user_quota(&self) -> FileQuota {
        FileQuota {
            max_bytes: self.settings.user_max_bytes.as_u64(),
            max_count: self.settings.user_max_count,
        }
    }

    fn organisation_quota(&self) -> FileQuota {
        FileQuota {
            max_bytes: self.settings.organisation_max_bytes.as_u64(),
            max_count: self.settings.organisation_max_count,
        }
    }

    /// The time of deletion of a file that is uploaded at `created_at`.
    fn expiry(&self, created_at: Timestamp, seconds: Option<u64>) -> Option<Timestamp> {
        let retention = match self.settings.retention_days {
            0 => None,
            days => Some(DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX))),
        };
        let wanted = seconds.map(Duration::from_secs);
        let ttl = match (wanted, retention) {
            (Some(wanted), Some(retention)) => Some(wanted.min(retention)),
            (wanted, retention) => wanted.or(retention),
        };
        ttl.map(|ttl| created_at.plus(ttl))
    }
}

impl Gateway {
    /// The caller's file.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's.
    #[crate::boxed_future]
    pub async fn file(&self, caller: &Caller, id: FileId) -> Result<FileBody, ApiError> {
        self.0.files.stored_record(caller, id).await.map(|record| body(&record))
    }

    /// Deletes the caller's file.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::file`]; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn delete_file(&self, caller: &Caller, id: FileId) -> Result<FileDeleted, ApiError> {
        let record = self.0.files.stored_record(caller, id).await?;
        self.0.store.files().remove(&record).await.map_err(error::store)?;
        Ok(FileDeleted { id: id.to_string(), object: "file".to_owned(), deleted: true })
    }

    /// Deletes files whose time is over, and uploads that weren't completed; returns their number. A few hundred at most: the
    /// next call goes on.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn sweep_files(&self) -> Result<usize, ApiError> {
        let removed = self.0.files.remove_ended(SWEEP_MAX_COUNT).await?;
        Ok(removed + self.0.files.remove_of_ended_owners(SWEEP_MAX_COUNT).await?)
    }
}

impl Gateway {
    /// Deletes the uploads by forms that ended with an earlier process; returns their number. For a process that has the store for
    /// itself, before its first request: where processes share the store, an upload by a form ends with the longest time of one.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn end_broken_uploads(&self) -> Result<usize, ApiError> {
        self.0.files.remove_broken_forms().await
    }

    /// Deletes files whose time is over, again and again. For a process that has the store for itself.
    #[crate::boxed_future]
    pub async fn maintain_files(&self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            ticks.tick().await;
            // The store has logged an error.
            let _ = self.sweep_files().await;
        }
    }
}

/// A file as OpenAI's API has it.
fn body(record: &FileRecord) -> FileBody {
    FileBody {
        id: record.id.to_string(),
        object: "file".to_owned(),
        bytes: record.size_bytes,
        created_at: record.created_at.unix(),
        expires_at: unix(record.expires_at),
        filename: record.name.clone(),
        purpose: record.purpose.to_string(),
        status: "processed".to_owned(),
        media_type: record.media_type.clone(),
    }
}

fn no_such_file() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no file with this id")
}

/// The error of a file that a quota doesn't allow. `subject`: `user` or `organisation`.
fn no_room(subject: &'static str, sums: FileSums, quota: FileQuota, size_bytes: u64) -> ApiError {
    let whose = if subject == "user" { "your files" } else { "your organisation's files" };
    let message = format!(
        "{whose} have {} bytes of {}, and are {} of {}; delete files (DELETE /v1/files/{{id}}), or let the operator \
         raise the settings files.{subject}_max_bytes and files.{subject}_max_count",
        sums.bytes, quota.max_bytes, sums.count, quota.max_count
    );
    full(subject, sums, quota, size_bytes, message)
}

/// The error of a quota, with its sums.
fn full(
    subject: &'static str,
    sums: FileSums,
    quota: FileQuota,
    needed_bytes: u64,
    message: String,
) -> ApiError {
    ApiError::new(ErrorCode::QuotaExceeded, message)
        .with("subject", subject)
        .with("used_bytes", sums.bytes)
        .with("max_bytes", quota.max_bytes)
        .with("used_count", sums.count)
        .with("max_count", quota.max_count)
        .with("needed_bytes", needed_bytes)
}

/// The error of a file over the size limit.
fn too_large(max_bytes: u64) -> ApiError {
    let message = format!(
        "the file is over the limit of {max_bytes} bytes; send a smaller one, or let the operator raise files.max_bytes"
    );
    ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_bytes", max_bytes)
}
