//! Uploads whose bytes don't pass the gateway: they go to the bucket, by a request that the gateway has signed.
//!
//! A bucket without a server of its own, as at home, has a route of the gateway in its place.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use hearth_domain::{
    FileId, FileState, Timestamp,
    media_type::{self, HEAD_MAX_BYTES},
};
use hearth_store::files::FileRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    openai::{
        files::{ExpiresAfter, FileBody, parse_file_name, parse_upload_purpose},
        uploads::{UploadBody, UploadPut, UploadRequest},
    },
};

use super::{
    body, no_room, no_such_file, too_large,
    upload::{UNKNOWN_TYPE, WriteTarget, wrong_size},
};
use crate::{Gateway, access::Caller, error};

/// Time for which the signed request is valid.
const UPLOAD_TTL: Duration = Duration::from_secs(3600);
/// Time beyond that in which the upload can be completed.
const COMPLETION_GRACE: Duration = Duration::from_secs(600);

impl Gateway {
    /// Begins an upload. `base`: the client's address of the gateway.
    ///
    /// # Errors
    /// `invalid_request` for a bad field; `payload_too_large`; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn create_upload(
        &self,
        caller: &Caller,
        request: &UploadRequest,
        base: &str,
    ) -> Result<UploadBody, ApiError> {
        let store = self.0.store.files();
        let ends_at = Timestamp::now().plus(UPLOAD_TTL);
        let record = self.begin_upload(caller, request, Some(ends_at)).await?;
        let put =
            match store.presign_put(record.id, record.size_bytes, UPLOAD_TTL).await.map_err(error::store)? {
                Some(put) => UploadPut {
                    method: "PUT".to_owned(),
                    url: put.url,
                    headers: put.headers.into_iter().collect(),
                },
                None => {
                    let (id, expires) = (record.id, ends_at.unix());
                    let signature = self.0.keys.get().await?.sign_artifact(&signed_name(id), expires);
                    let url = format!(
                        "{base}/v1/files/uploads/{id}/content?expires={expires}&signature={signature}"
                    );
                    UploadPut { method: "PUT".to_owned(), url, headers: BTreeMap::new() }
                }
            };
        Ok(upload_body(&record, "pending", Some(put)))
    }

    /// Stores the record of an upload. `put_ends_at`: the end of the signed request for its bytes, if there is one.
    pub(super) async fn begin_upload(
        &self,
        caller: &Caller,
        request: &UploadRequest,
        put_ends_at: Option<Timestamp>,
    ) -> Result<FileRecord, ApiError> {
        let (files, store) = (&self.0.files, self.0.store.files());
        let max_bytes = files.settings.max_bytes.as_u64();
        if request.bytes > max_bytes {
            return Err(too_large(max_bytes).at("bytes"));
        }
        let expires_after = request.expires_after.as_ref().map(ExpiresAfter::checked_seconds).transpose()?;
        let (created_at, owner) = (Timestamp::now(), caller.owner());
        let record = FileRecord {
            id: FileId::new(),
            owner: owner.user,
            organisation: owner.organisation,
            state: FileState::Uploading,
            name: parse_file_name(&request.filename, "filename")?,
            purpose: parse_upload_purpose(&request.purpose)?,
            media_type: UNKNOWN_TYPE.to_owned(),
            size_bytes: request.bytes,
            created_at,
            expires_at: files.expiry(created_at, expires_after),
            upload_ends_at: Some(created_at.plus(UPLOAD_TTL).plus(COMPLETION_GRACE)),
            announced_bytes: request.bytes,
            put_ends_at,
        };
        let (sums, quota) = (store.user_sums(owner).await.map_err(error::store)?, files.user_quota());
        if !sums.has_room(request.bytes, quota) {
            return Err(no_room("user", sums, quota, request.bytes));
        }
        files.begin(&record).await?;
        Ok(record)
    }

    /// Writes the bytes of an upload, by its signed request.
    ///
    /// # Errors
    /// `forbidden` if the signature is wrong, or has expired; `conflict` if the upload is complete; `invalid_request` for another
    /// number of bytes; those of the pieces.
    pub async fn write_upload(
        &self,
        id: FileId,
        (expires, signature): (i64, &str),
        pieces: BoxStream<'_, Result<Bytes, ApiError>>,
    ) -> Result<(), ApiError> {
        let is_ours = self.0.keys.get().await?.verify_artifact(&signed_name(id), expires, signature);
        if !is_ours || expires <= Timestamp::now().unix() {
            let message = "the upload has ended, or its signature is wrong; begin another one with POST /v1/files/uploads";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        let record = self.0.store.files().get(id).await.map_err(error::store)?.ok_or_else(no_such_file)?;
        if record.state == FileState::Stored {
            return Err(ApiError::new(ErrorCode::Conflict, "the upload is complete, and can't be changed"));
        }
        let size_bytes = record.size_bytes;
        let (target, bounds) = (WriteTarget::File(id), (size_bytes, Some(size_bytes)));
        let written = self.0.files.write(target, &record.name, pieces, bounds).await;
        if let Err(error) = written {
            if error.code != ErrorCode::PayloadTooLarge {
                return Err(error);
            }
            let message = format!("the upload was begun for {size_bytes} bytes, and this body has more");
            return Err(ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_bytes", size_bytes));
        }
        // It may have been cancelled meanwhile.
        if self.0.store.files().get(id).await.map_err(error::store)?.is_none() {
            self.0.store.files().delete_bytes(id).await.map_err(error::store)?;
            return Err(no_such_file());
        }
        Ok(())
    }

    /// Completes the caller's upload: from then on it is a file. It can be repeated.
    ///
    /// # Errors
    /// `not_found` if there is no such upload; `conflict` if its bytes aren't there; `quota_exceeded`, and then the upload is
    /// deleted.
    #[crate::boxed_future]
    pub async fn complete_upload(&self, caller: &Caller, id: FileId) -> Result<FileBody, ApiError> {
        let (files, store) = (&self.0.files, self.0.store.files());
        let mut record = files.record(caller, id).await?;
        if record.state == FileState::Stored {
            return Ok(body(&record));
        }
        let written = store.written_bytes(id).await.map_err(error::store)?;
        if written.unwrap_or_default() != record.size_bytes {
            return Err(wrong_size(written.unwrap_or_default(), record.size_bytes));
        }
        let head = match record.size_bytes.checked_sub(1) {
            Some(last) => {
                let last = last.min(HEAD_MAX_BYTES as u64 - 1);
                let head = store.read_range(id, 0, last).await.map_err(error::store)?;
                let head = head.ok_or_else(no_such_file)?;
                head.collect().await.map_err(|error| error::internal(&error))?
            }
            None => {
                // The bytes of an empty file needn't be sent.
                if written.is_none() {
                    let nothing = stream::empty().boxed();
                    store.write(id, UNKNOWN_TYPE, nothing).await.map_err(error::store)?;
                }
                Vec::new()
            }
        };
        record.media_type = media_type::detect(&head, &record.name).to_owned();
        let finished = files.finish(&record).await;
        if finished.as_ref().is_err_and(|error| error.code == ErrorCode::QuotaExceeded) {
            store.remove(&record).await.map_err(error::store)?;
        }
        finished
    }

    /// Cancels the caller's upload, and deletes its bytes.
    ///
    /// # Errors
    /// `not_found` if there is no such upload; `conflict` if it is complete.
    #[crate::boxed_future]
    pub async fn cancel_upload(&self, caller: &Caller, id: FileId) -> Result<UploadBody, ApiError> {
        let record = self.0.files.record(caller, id).await?;
        if record.state == FileState::Stored {
            let message = "the upload is complete; DELETE /v1/files/{id} deletes the file";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        self.0.store.files().remove(&record).await.map_err(error::store)?;
        Ok(upload_body(&record, "cancelled", None))
    }
}

/// An upload as OpenAI's API has it.
pub(super) fn upload_body(record: &FileRecord, status: &str, put: Option<UploadPut>) -> UploadBody {
    let form_ends_at = record.upload_ends_at.filter(|_| record.is_form());
    let ends_at = record.put_ends_at.or(form_ends_at).unwrap_or_else(|| record.created_at.plus(UPLOAD_TTL));
    UploadBody {
        id: record.id.to_string(),
        object: "upload".to_owned(),
        bytes: record.size_bytes,
        created_at: record.created_at.unix(),
        filename: record.name.clone(),
        purpose: record.purpose.to_string(),
        status: status.to_owned(),
        expires_at: ends_at.unix(),
        put,
        file: None,
    }
}

/// The text that is signed in place of an artifact's id, which it can't be.
fn signed_name(id: FileId) -> String {
    format!("upload:{id}")
}
