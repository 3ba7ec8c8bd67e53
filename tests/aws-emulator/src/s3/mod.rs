//! S3 on disk: one bucket, whole objects.
//!
//! An object's bytes are a file, which is synced before it is renamed; its metadata is an item of the database with the
//! file's name. The item is written after the file, and the old file removed after that, so a crash leaves the old object
//! or the new one. s3s checks signatures, expiry and ranges. The parts of a multipart upload are lost with the process.

mod blobs;
mod index;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dynoxide::Database;
use futures::StreamExt as _;
use s3s::{S3, S3Request, S3Response, S3Result, auth::Credentials, dto::*, s3_error};

use blobs::{Blobs, Written};
use index::{Entry, Index};

use crate::iam::Access;

/// The lifecycle rules of the bucket, as in `infra/template.yaml`: objects with these prefixes expire after these times.
const LIFECYCLE: [(&str, Duration); 3] = [
    ("runs/", Duration::from_secs(30 * 24 * 3600)),
    ("artifacts/", Duration::from_secs(30 * 24 * 3600)),
    ("batches/", Duration::from_secs(30 * 24 * 3600)),
];
/// Bytes of a part of a multipart upload, but the last one.
const PART_MIN_BYTES: u64 = 5 << 20;
/// Objects in a page of a sweep.
const SWEEP_PAGE_MAX_COUNT: i32 = 1000;

/// The objects of the bucket. Clones share them.
#[derive(Clone)]
pub(crate) struct Objects(Arc<Inner>);

struct Inner {
    bucket: String,
    blobs: Blobs,
    index: Index,
    access: Access,
    /// The parts of multipart uploads by their ids.
    uploads: Mutex<HashMap<String, BTreeMap<i32, Written>>>,
}

impl Objects {
    pub(crate) fn open(db: Database, folder: &Path, bucket: &str, access: Access) -> io::Result<Self> {
        let (blobs, index) = (Blobs::open(folder)?, Index::open(db)?);
        let (bucket, uploads) = (bucket.to_owned(), Mutex::default());
        Ok(Self(Arc::new(Inner { bucket, blobs, index, access, uploads })))
    }

    /// Deletes the objects that have expired at `now`, in seconds since 1970. Returns their number.
    pub(crate) async fn sweep(&self, now: i64) -> io::Result<usize> {
        let mut swept = 0;
        for (prefix, ttl) in LIFECYCLE {
            let mut after = None;
            loop {
                let page = self.0.index.list(prefix, after, SWEEP_PAGE_MAX_COUNT).await?;
                for (key, entry) in page.entries {
                    if now - entry.modified >= length(ttl.as_secs()) {
                        self.remove(&key).await?;
                        swept += 1;
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(swept)
    }

    /// Removes an object, if it exists: its entry, then its file.
    async fn remove(&self, key: &str) -> io::Result<()> {
        if let Some(entry) = self.0.index.remove(key).await? {
            self.0.blobs.remove(&entry.blob).await;
        }
        Ok(())
    }

    fn uploads(&self) -> std::sync::MutexGuard<'_, HashMap<String, BTreeMap<i32, Written>>> {
        self.0.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        if bucket == self.0.bucket { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    async fn entry(&self, caller: Option<&Credentials>, bucket: &str, key: &str) -> S3Result<Entry> {
        self.check_bucket(bucket)?;
        let entry = self.0.index.get(key).await.map_err(internal)?;
        entry.ok_or_else(|| self.0.access.missing_object(caller, bucket))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn internal(error: io::Error) -> s3s::S3Error {
    tracing::error!(%error, "the emulated S3 can't read or write its disk");
    match error.kind() {
        io::ErrorKind::StorageFull => s3_error!(InternalError, "the disk is full"),
        _ => s3_error!(InternalError, "the disk can't be read or written"),
    }
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        if input.key.is_empty() || input.key.len() > 1024 {
            return Err(s3_error!(KeyTooLongError));
        }
        // The prefix of locked objects: S3 takes both headers or none (API reference, PutObject).
        let mode = input.object_lock_mode.as_ref().map(ObjectLockMode::as_str);
        let is_locked = mode == Some("COMPLIANCE") && input.object_lock_retain_until_date.is_some();
        if input.key.starts_with("audit/") != is_locked {
            return Err(s3_error!(InvalidRequest, "an object below audit/ is locked, and no other"));
        }
        let body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let blob = self.0.blobs.write(body).await.map_err(internal)?;
        let entry = Entry::new(&blob, input.content_type);
        let old = self.0.index.put(&input.key, &entry).await.map_err(internal)?;
        if let Some(old) = old {
            self.0.blobs.remove(&old.blob).await;
        }
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(entry.etag()), ..Default::default() }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.check_bucket(&request.input.bucket)?;
        let id = format!("{:032x}", rand::random::<u128>());
        self.uploads().insert(id.clone(), BTreeMap::new());
        Ok(S3Response::new(CreateMultipartUploadOutput { upload_id: Some(id), ..Default::default() }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let written = self.0.blobs.write(body).await.map_err(internal)?;
        let etag = ETag::Strong(written.sha256.clone());
        let mut uploads = self.uploads();
        let parts = uploads.get_mut(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        parts.insert(input.part_number, written);
        Ok(S3Response::new(UploadPartOutput { e_tag: Some(etag), ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let mut parts = self.uploads().remove(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let numbers: Vec<i32> = named.iter().filter_map(|part| part.part_number).collect();
        if !numbers.is_sorted_by(|a, b| a < b) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let mut bodies = Vec::new();
        for (index, number) in numbers.iter().enumerate() {
            let part = parts.remove(number).ok_or_else(|| s3_error!(InvalidPart))?;
            if part.size < PART_MIN_BYTES && index + 1 < numbers.len() {
                return Err(s3_error!(EntityTooSmall));
            }
            bodies.push(self.0.blobs.read(&part.name, 0..part.size).await.map_err(internal)?);
            self.0.blobs.remove(&part.name).await;
        }
        let pieces = futures::stream::iter(bodies).flatten();
        let body = StreamingBlob::wrap(pieces.map(|piece| piece.map_err(io::Error::other)));
        let blob = self.0.blobs.write(body).await.map_err(internal)?;
        let entry = Entry::new(&blob, None);
        if let Some(old) = self.0.index.put(&input.key, &entry).await.map_err(internal)? {
            self.0.blobs.remove(&old.blob).await;
        }
        let output = CompleteMultipartUploadOutput { e_tag: Some(entry.etag()), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let entry = self.entry(request.credentials.as_ref(), &input.bucket, &input.key).await?;
        let range = match input.range {
            Some(range) => Some(range.check(entry.size).map_err(|_| s3_error!(InvalidRange))?),
            None => None,
        };
        let span = range.clone().unwrap_or(0..entry.size);
        let body = self.0.blobs.read(&entry.blob, span.clone()).await.map_err(internal)?;
        let content_range =
            range.map(|r| format!("bytes {}-{}/{}", r.start, r.end.saturating_sub(1), entry.size));
        let mut output = GetObjectOutput {
            content_length: Some(length(span.end - span.start)),
            content_range,
            content_type: entry.content_type.clone(),
            e_tag: Some(entry.etag()),
            last_modified: Some(entry.modified()),
            ..Default::default()
        };
        output.body = Some(body);
        Ok(S3Response::new(output))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let entry = self.entry(request.credentials.as_ref(), &input.bucket, &input.key).await?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(length(entry.size)),
            content_type: entry.content_type.clone(),
            e_tag: Some(entry.etag()),
            last_modified: Some(entry.modified()),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.check_bucket(&request.input.bucket)?;
        self.remove(&request.input.key).await.map_err(internal)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let limit = input.max_keys.unwrap_or(1000).clamp(1, 1000);
        let after = input.continuation_token.clone().or(input.start_after);
        let page = self.0.index.list(&prefix, after, limit).await.map_err(internal)?;
        let contents: Vec<Object> = page
            .entries
            .iter()
            .map(|(key, entry)| Object {
                key: Some(key.clone()),
                size: Some(length(entry.size)),
                e_tag: Some(entry.etag()),
                last_modified: Some(entry.modified()),
                ..Default::default()
            })
            .collect();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            key_count: i32::try_from(contents.len()).ok(),
            max_keys: Some(limit),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            continuation_token: input.continuation_token,
            contents: Some(contents),
            ..Default::default()
        }))
    }
}

fn length(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
