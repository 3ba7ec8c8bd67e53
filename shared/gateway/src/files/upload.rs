//! Receives a file through the gateway, piece by piece.

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use hearth_domain::{
    FileId, FilePartId, FilePurpose, FileState, Timestamp,
    media_type::{self, HEAD_MAX_BYTES},
};
use hearth_store::{StoreError, files::FileRecord};
use hearth_wire::{ApiError, ErrorCode, openai::files::FileBody};

use super::{Files, no_room, too_large};
use crate::{Gateway, access::Caller, error};

/// Time after which an upload by a form that isn't completed is deleted. A slow client needs hours for a large file.
pub(super) const FORM_TTL: Duration = Duration::from_secs(3 * 3600);
/// The same where a process has a time limit: it is Lambda's limit, and a minute.
const SHORT_FORM_TTL: Duration = Duration::from_secs(16 * 60);
/// The media type of a file whose bytes aren't there yet.
pub(super) const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A file that is being uploaded.
#[derive(Debug)]
pub struct FileUpload {
    record: FileRecord,
}

/// The facts of a file beside its bytes.
#[derive(Debug, Clone, Copy)]
pub struct FileDetails {
    /// Its purpose.
    pub purpose: FilePurpose,
    /// Seconds after which it is deleted.
    pub expires_after_seconds: Option<u64>,
}

impl Gateway {
    /// Begins an upload of at most `announced_bytes`, if that is known.
    ///
    /// # Errors
    /// `quota_exceeded` if the caller may store no more; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn begin_file(
        &self,
        caller: &Caller,
        announced_bytes: Option<u64>,
    ) -> Result<FileUpload, ApiError> {
        let (files, store) = (&self.0.files, self.0.store.files());
        let (owner, quota) = (caller.owner(), files.user_quota());
        // Without a length it counts as the largest file that the user may store.
        let max_bytes = files.settings.max_bytes.as_u64().min(quota.max_bytes);
        let mut sums = store.user_sums(owner).await.map_err(error::store)?;
        if !sums.has_room(1, quota) {
            files.remove_ended(super::MAKE_ROOM_MAX_COUNT).await?;
            sums = store.user_sums(owner).await.map_err(error::store)?;
            if !sums.has_room(1, quota) {
                return Err(no_room("user", sums, quota, announced_bytes.unwrap_or(1)));
            }
        }
        let created_at = Timestamp::now();
        let ttl = if self.0.background.outlives_response() { FORM_TTL } else { SHORT_FORM_TTL };
        let record = FileRecord {
            id: FileId::new(),
            owner: owner.user,
            organisation: owner.organisation,
            state: FileState::Uploading,
            name: String::new(),
            purpose: FilePurpose::UserData,
            media_type: UNKNOWN_TYPE.to_owned(),
            size_bytes: 0,
            created_at,
            expires_at: None,
            upload_ends_at: Some(created_at.plus(ttl)),
            announced_bytes: announced_bytes.map_or(max_bytes, |announced| announced.min(max_bytes)),
            put_ends_at: None,
        };
        files.begin(&record).await?;
        Ok(FileUpload { record })
    }

    /// Writes the bytes of an upload, and detects their media type.
    ///
    /// # Errors
    /// `payload_too_large`; those of the pieces; `internal` if the bucket can't be written.
    pub async fn write_file(
        &self,
        upload: &mut FileUpload,
        name: String,
        pieces: BoxStream<'_, Result<Bytes, ApiError>>,
    ) -> Result<(), ApiError> {
        let max_bytes = self.0.files.settings.max_bytes.as_u64();
        let target = WriteTarget::File(upload.record.id);
        let written = self.0.files.write(target, &name, pieces, (max_bytes, None)).await?;
        upload.record.name = name;
        upload.record.media_type = written.media_type.to_owned();
        upload.record.size_bytes = written.size_bytes;
        Ok(())
    }

    /// Completes an upload.
    ///
    /// # Errors
    /// `quota_exceeded`; `conflict` if the upload has ended; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn finish_file(&self, upload: &FileUpload, details: FileDetails) -> Result<FileBody, ApiError> {
        let record = &upload.record;
        let record = FileRecord {
            purpose: details.purpose,
            expires_at: self.0.files.expiry(record.created_at, details.expires_after_seconds),
            ..record.clone()
        };
        self.0.files.finish(&record).await
    }

    /// Deletes an upload that has failed. If that fails too, the sweep does it.
    #[crate::boxed_future]
    pub async fn discard_file(&self, upload: &FileUpload) {
        if let Err(error) = self.0.store.files().remove(&upload.record).await {
            tracing::warn!(file = %upload.record.id, %error, "a failed upload can't be deleted; the sweep deletes it");
        }
    }
}

/// The object that bytes are written to.
#[derive(Debug, Clone, Copy)]
pub(super) enum WriteTarget {
    File(FileId),
    /// A part of an upload.
    Part(FileId, FilePartId),
}

/// Bytes that are written.
pub(super) struct Written {
    pub(super) media_type: &'static str,
    pub(super) size_bytes: u64,
}

impl Files {
    /// Writes the bytes of a file or a part, at most `max_bytes`, and with `exact_bytes` so many.
    pub(super) async fn write(
        &self,
        target: WriteTarget,
        name: &str,
        mut pieces: BoxStream<'_, Result<Bytes, ApiError>>,
        (max_bytes, exact_bytes): (u64, Option<u64>),
    ) -> Result<Written, ApiError> {
        let (mut head, mut first) = (Vec::new(), Vec::new());
        while head.len() < HEAD_MAX_BYTES
            && let Some(piece) = pieces.next().await
        {
            let piece = piece?;
            head.extend_from_slice(&piece[..piece.len().min(HEAD_MAX_BYTES - head.len())]);
            first.push(Ok(piece));
        }
        let media_type = media_type::detect(&head, name);
        let (total, problem) = (AtomicU64::new(0), OnceLock::new());
        let (written, failure) = (&total, &problem);
        let counted = async_stream::stream! {
            let mut pieces = stream::iter(first).chain(pieces);
            while let Some(piece) = pieces.next().await {
                let piece = piece.and_then(|piece| {
                    let length = piece.len() as u64;
                    let size_bytes = written.fetch_add(length, Ordering::Relaxed) + length;
                    if size_bytes > max_bytes { Err(too_large(max_bytes)) } else { Ok(piece) }
                });
                match piece {
                    Ok(piece) => yield Ok(piece),
                    Err(error) => {
                        let _ = failure.set(error);
                        yield Err(io::Error::other("the pieces of a file end with an error"));
                        return;
                    }
                }
            }
            let size_bytes = written.load(Ordering::Relaxed);
            if let Some(exact_bytes) = exact_bytes.filter(|exact_bytes| *exact_bytes != size_bytes) {
                let _ = failure.set(wrong_size(size_bytes, exact_bytes));
                yield Err(io::Error::other("the file has another number of bytes"));
            }
        };
        let (files, counted) = (self.store.files(), counted.boxed());
        let result = match target {
            WriteTarget::File(id) => files.write(id, media_type, counted).await,
            WriteTarget::Part(upload, part) => files.write_part(upload, part, counted).await,
        };
        if let Some(error) = problem.into_inner() {
            return Err(error);
        }
        match result {
            Ok(()) => Ok(Written { media_type, size_bytes: total.into_inner() }),
            Err(StoreError::Conflict) => {
                let message = "the bytes of the upload are there already; complete it";
                Err(ApiError::new(ErrorCode::Conflict, message))
            }
            Err(error) => Err(error::store(error)),
        }
    }
}

/// The error of an upload that has another number of bytes than was announced.
pub(super) fn wrong_size(written: u64, announced: u64) -> ApiError {
    let message =
        format!("{written} of {announced} bytes are there; send all of them, and complete the upload then");
    ApiError::new(ErrorCode::Conflict, message)
        .with("written_bytes", written)
        .with("announced_bytes", announced)
}
