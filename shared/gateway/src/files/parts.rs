//! Uploads in parts, as OpenAI's SDKs send large files: each part is a request of its own, in any order, and the completion names
//! the parts in the order of their bytes.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use hearth_domain::{FileId, FilePartId, FileState, Timestamp, hex};
use hearth_store::files::{FilePart, FileRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    openai::uploads::{CompleteUpload, PartedUploadRequest, UploadBody, UploadPartBody, UploadRequest},
};
use md5::{Digest as _, Md5};

use super::{
    body,
    direct::upload_body,
    no_such_file, too_large,
    upload::{WriteTarget, wrong_size},
};
use crate::{Gateway, access::Caller, error};

/// Bytes of a part, as at OpenAI.
const PART_MAX_BYTES: u64 = 64 << 20;
/// Parts that a completion names.
const PARTS_MAX_COUNT: usize = 10_000;
/// Time for a completion, which reads and writes the whole file, before another one may begin.
const COMPLETION_TTL: Duration = Duration::from_secs(900);

impl Gateway {
    /// Begins an upload in parts.
    ///
    /// # Errors
    /// As for [`Gateway::create_upload`].
    #[crate::boxed_future]
    pub async fn create_parted_upload(
        &self,
        caller: &Caller,
        request: PartedUploadRequest,
    ) -> Result<UploadBody, ApiError> {
        let PartedUploadRequest { filename, purpose, bytes, mime_type, expires_after } = request;
        let request = UploadRequest { filename, purpose, bytes, mime_type, expires_after };
        let record = self.begin_upload(caller, &request, None).await?;
        Ok(upload_body(&record, "pending", None))
    }

    /// Adds a part to the caller's upload.
    ///
    /// # Errors
    /// `not_found` if there is no such upload; `conflict` if it is complete; `payload_too_large` for a part over 64 MiB, or more
    /// bytes than the upload has; those of the pieces.
    pub async fn add_upload_part(
        &self,
        caller: &Caller,
        id: FileId,
        pieces: BoxStream<'_, Result<Bytes, ApiError>>,
    ) -> Result<UploadPartBody, ApiError> {
        let (files, store) = (&self.0.files, self.0.store.files());
        let record = files.record(caller, id).await?;
        if record.state == FileState::Stored {
            let message = "the upload is complete, and takes no further part";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let mut part = FilePart { id: FilePartId::new(), size_bytes: None, created_at: Timestamp::now() };
        store.begin_part(id, &part).await.map_err(error::store)?;
        let added = async {
            let target = WriteTarget::Part(id, part.id);
            let written = files.write(target, &record.name, pieces, (PART_MAX_BYTES, None)).await;
            let written = written.map_err(|error| match error.code {
                ErrorCode::PayloadTooLarge => too_large_part(),
                _ => error,
            })?;
            part.size_bytes = Some(written.size_bytes);
            if !store.finish_part(&record, &part).await.map_err(error::store)? {
                let message = format!(
                    "the upload was begun for {} bytes, and its parts have more; begin another one",
                    record.size_bytes
                );
                return Err(
                    ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_bytes", record.size_bytes)
                );
            }
            // It may have been cancelled meanwhile.
            files.record(caller, id).await.map(drop)
        };
        if let Err(failure) = added.await {
            if let Err(error) = store.delete_part(id, part.id).await {
                tracing::warn!(upload = %id, %error, "a refused part can't be deleted; it goes with its upload");
            }
            return Err(failure);
        }
        Ok(UploadPartBody {
            id: part.id.to_string(),
            object: "upload.part".to_owned(),
            created_at: part.created_at.unix(),
            upload_id: id.to_string(),
        })
    }

    /// Makes the parts of the caller's upload a file. It can be repeated.
    ///
    /// # Errors
    /// `not_found` if there is no such upload; `invalid_request` for an unknown part, or another MD5; `conflict` if the parts have
    /// another number of bytes than the upload, or another completion is in progress; `quota_exceeded`, and then the upload is
    /// deleted.
    #[crate::boxed_future]
    pub async fn complete_parted_upload(
        &self,
        caller: &Caller,
        id: FileId,
        request: &CompleteUpload,
    ) -> Result<UploadBody, ApiError> {
        let (files, store) = (&self.0.files, self.0.store.files());
        let record = files.record(caller, id).await?;
        if record.state == FileState::Stored {
            return Ok(completed(&record));
        }
        let parts = self.named_parts(&record, &request.part_ids).await?;
        let md5 = request.md5.as_deref().map(parse_md5).transpose()?;
        if !store.begin_completion(id, COMPLETION_TTL).await.map_err(error::store)? {
            let message = "another request completes this upload; try again in a while";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        // It may be complete by now.
        let record = files.record(caller, id).await?;
        if record.state == FileState::Stored {
            return Ok(completed(&record));
        }
        let record = match self.join_parts(record, parts, md5).await {
            Ok(record) => record,
            Err(failure) => {
                store.end_completion(id).await.map_err(error::store)?;
                return Err(failure);
            }
        };
        if let Err(failure) = files.finish(&record).await {
            match failure.code {
                ErrorCode::QuotaExceeded => store.remove(&record).await.map_err(error::store)?,
                _ => store.end_completion(id).await.map_err(error::store)?,
            }
            return Err(failure);
        }
        if let Err(error) = store.delete_parts(id).await {
            tracing::warn!(upload = %id, %error, "the parts of a file can't be deleted; they go with the file");
        }
        Ok(completed(&record))
    }

    /// The parts that a completion names, in its order; they have the bytes of the upload together.
    async fn named_parts(&self, record: &FileRecord, ids: &[String]) -> Result<Vec<FilePartId>, ApiError> {
        if ids.len() > PARTS_MAX_COUNT {
            let message = format!("part_ids has at most {PARTS_MAX_COUNT} ids");
            return Err(ApiError::invalid("part_ids", message));
        }
        let stored = self.0.store.files().parts(record.id).await.map_err(error::store)?;
        let sizes: HashMap<FilePartId, u64> =
            stored.into_iter().map(|part| (part.id, part.size_bytes.unwrap_or_default())).collect();
        let (mut parts, mut sum) = (Vec::new(), 0_u64);
        for (index, id) in ids.iter().enumerate() {
            let part = id.parse().ok().filter(|part| sizes.contains_key(part) && !parts.contains(part));
            let part: FilePartId = part.ok_or_else(|| {
                let message = "each of part_ids must be the id of a part of this upload, once";
                ApiError::invalid(format!("part_ids[{index}]"), message)
            })?;
            sum = sum.saturating_add(sizes[&part]);
            parts.push(part);
        }
        if sum == record.size_bytes { Ok(parts) } else { Err(wrong_size(sum, record.size_bytes)) }
    }

    /// Writes the file of its parts, and checks its MD5.
    async fn join_parts(
        &self,
        mut record: FileRecord,
        parts: Vec<FilePartId>,
        md5: Option<String>,
    ) -> Result<FileRecord, ApiError> {
        let (id, store) = (record.id, self.0.store.files());
        // A completion whose process has died may have left them.
        store.delete_bytes(id).await.map_err(error::store)?;
        let source = self.0.store.clone();
        let pieces = async_stream::stream! {
            let mut hash = Md5::new();
            for part in parts {
                let blob = source.files().read_part(id, part).await.map_err(error::store);
                let mut blob = match blob.and_then(|blob| blob.ok_or_else(no_such_file)) {
                    Ok(blob) => blob,
                    Err(error) => {
                        yield Err(error);
                        return;
                    }
                };
                while let Some(piece) = blob.next().await {
                    let piece = piece.map_err(|error| error::internal(&error));
                    if let Ok(bytes) = &piece {
                        hash.update(bytes);
                    }
                    yield piece;
                }
            }
            if md5.is_some_and(|md5| md5 != hex(hash.finalize())) {
                yield Err(ApiError::invalid("md5", "the parts have another MD5 together; check their order"));
            }
        };
        let bounds = (record.size_bytes, Some(record.size_bytes));
        let written = self.0.files.write(WriteTarget::File(id), &record.name, pieces.boxed(), bounds).await?;
        record.media_type = written.media_type.to_owned();
        Ok(record)
    }
}

fn completed(record: &FileRecord) -> UploadBody {
    UploadBody { file: Some(body(record)), ..upload_body(record, "completed", None) }
}

fn parse_md5(text: &str) -> Result<String, ApiError> {
    let is_md5 = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_md5
        .then(|| text.to_ascii_lowercase())
        .ok_or_else(|| ApiError::invalid("md5", "md5 must be 32 hexadecimal digits"))
}

fn too_large_part() -> ApiError {
    let mut error = too_large(PART_MAX_BYTES);
    error.message = format!("a part has at most {PART_MAX_BYTES} bytes; send the file in smaller parts");
    error
}
