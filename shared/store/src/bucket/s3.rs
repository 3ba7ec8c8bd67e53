//! The bucket in S3, through the AWS SDK.

use std::{io, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    error::ProvideErrorMetadata as _,
    operation::{get_object::GetObjectError, head_object::HeadObjectError},
    presigning::PresigningConfig,
    primitives::{ByteStream, DateTime},
    types::{CompletedMultipartUpload, CompletedPart, ObjectLockMode},
};
use futures::{StreamExt as _, stream};
use hearth_domain::Timestamp;

use super::{Blob, Bucket, Pieces, PresignedHead, PresignedPut};
use crate::{StoreError, clients::failed};

/// Bytes of a part of a large object, but the last one: at least 5 MiB by S3's rule.
const PART_BYTES: usize = 8 << 20;

/// A bucket of S3.
#[derive(Debug, Clone)]
pub(crate) struct S3 {
    client: Client,
    bucket: String,
}

impl S3 {
    pub(crate) fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }
}

#[async_trait]
impl Bucket for S3 {
    async fn put(&self, key: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let call = self.client.put_object().bucket(&self.bucket).key(key).content_type(media_type);
        let answer = call.body(bytes.into()).send().await;
        answer.map(drop).map_err(|error| failed("put_object", &error))
    }

    /// Large objects in parts. Those of an upload that breaks off are deleted by a rule of the template's bucket.
    async fn put_pieces(
        &self,
        key: &str,
        media_type: &str,
        mut pieces: Pieces<'_>,
    ) -> Result<(), StoreError> {
        let mut upload: Option<MultipartUpload<'_>> = None;
        let mut buffer = Vec::new();
        while let Some(piece) = pieces.next().await {
            buffer.extend_from_slice(&piece.map_err(|error| StoreError::from_source("read_pieces", &error))?);
            if buffer.len() >= PART_BYTES {
                let current = match upload.take() {
                    Some(upload) => upload,
                    None => MultipartUpload::begin(self, key, media_type).await?,
                };
                upload = Some(current.send(std::mem::take(&mut buffer)).await?);
            }
        }
        match upload {
            None => self.put(key, media_type, buffer).await,
            Some(upload) if buffer.is_empty() => upload.complete().await,
            Some(upload) => upload.send(buffer).await?.complete().await,
        }
    }

    async fn put_locked(
        &self,
        key: &str,
        media_type: &str,
        bytes: Vec<u8>,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let call = self.client.put_object().bucket(&self.bucket).key(key).content_type(media_type);
        // In this mode not even the account's owner can delete the object.
        let call = call.object_lock_mode(ObjectLockMode::Compliance);
        let call = call.object_lock_retain_until_date(DateTime::from_secs(until.unix()));
        let answer = call.body(bytes.into()).send().await;
        answer.map(drop).map_err(|error| failed("put_object", &error))
    }

    async fn get(&self, key: &str) -> Result<Option<Blob>, StoreError> {
        match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => Ok(Some(blob(answer.body))),
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(failed("get_object", &error)),
        }
    }

    async fn get_range(&self, key: &str, first: u64, last: u64) -> Result<Option<Blob>, StoreError> {
        let call = self.client.get_object().bucket(&self.bucket).key(key);
        match call.range(format!("bytes={first}-{last}")).send().await {
            Ok(answer) => Ok(Some(blob(answer.body))),
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(failed("get_object", &error)),
        }
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => Ok(Some(answer.content_length().unwrap_or_default().unsigned_abs())),
            Err(error) if error.as_service_error().is_some_and(is_missing) => Ok(None),
            Err(error) => Err(failed("head_object", &error)),
        }
    }

    async fn presign_get(
        &self,
        key: &str,
        head: &PresignedHead,
        ttl: Duration,
    ) -> Result<Option<String>, StoreError> {
        let call = self.client.get_object().bucket(&self.bucket).key(key);
        let call = call.response_content_type(&head.media_type);
        let call = call.response_content_disposition(&head.disposition);
        let request = call.presigned(expiring(ttl)?).await;
        let request = request.map_err(|error| failed("presign_get", &error))?;
        Ok(Some(request.uri().to_owned()))
    }

    async fn presign_put(
        &self,
        key: &str,
        size_bytes: u64,
        ttl: Duration,
    ) -> Result<Option<PresignedPut>, StoreError> {
        let call = self.client.put_object().bucket(&self.bucket).key(key);
        // Signed too: the object has this size, and replaces none. A browser that opens it downloads it.
        let call = call.content_length(i64::try_from(size_bytes).map_err(StoreError::unreadable)?);
        let call = call.if_none_match("*").content_type("application/octet-stream");
        let request = call.presigned(expiring(ttl)?).await;
        let request = request.map_err(|error| failed("presign_put", &error))?;
        let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Some(PresignedPut { url: request.uri().to_owned(), headers: headers.collect() }))
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let answer = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        answer.map(drop).map_err(|error| failed("delete_object", &error))
    }

    async fn check(&self) -> Result<(), StoreError> {
        let answer = self.client.head_bucket().bucket(&self.bucket).send().await;
        answer.map(drop).map_err(|error| failed("head_bucket", &error))
    }
}

/// A multipart upload in progress.
struct MultipartUpload<'a> {
    bucket: &'a S3,
    key: &'a str,
    id: String,
    parts: Vec<CompletedPart>,
}

impl<'a> MultipartUpload<'a> {
    async fn begin(bucket: &'a S3, key: &'a str, media_type: &str) -> Result<Self, StoreError> {
        let call = bucket.client.create_multipart_upload().bucket(&bucket.bucket).key(key);
        let answer = call.content_type(media_type).send().await;
        let answer = answer.map_err(|error| failed("create_multipart_upload", &error))?;
        let id = answer.upload_id.unwrap_or_default();
        Ok(Self { bucket, key, id, parts: Vec::new() })
    }

    async fn send(mut self, bytes: Vec<u8>) -> Result<Self, StoreError> {
        let number = i32::try_from(self.parts.len() + 1).map_err(StoreError::unreadable)?;
        let S3 { client, bucket } = self.bucket;
        let call = client.upload_part().bucket(bucket).key(self.key).upload_id(&self.id).part_number(number);
        let answer = call.body(bytes.into()).send().await.map_err(|error| failed("upload_part", &error))?;
        self.parts.push(CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag).build());
        Ok(self)
    }

    async fn complete(self) -> Result<(), StoreError> {
        let S3 { client, bucket } = self.bucket;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts)).build();
        let call = client.complete_multipart_upload().bucket(bucket).key(self.key).upload_id(&self.id);
        let answer = call.multipart_upload(parts).send().await;
        answer.map(drop).map_err(|error| failed("complete_multipart_upload", &error))
    }
}

/// A response to HEAD has no body: the SDK derives the error from its status. Servers other than S3 may name it.
fn is_missing(error: &HeadObjectError) -> bool {
    error.is_not_found() || error.code() == Some("NoSuchKey")
}

fn blob(body: ByteStream) -> Blob {
    Blob::new(stream::unfold(body, async |mut body| {
        let piece = body.next().await?;
        Some((piece.map_err(io::Error::other), body))
    }))
}

fn expiring(ttl: Duration) -> Result<PresigningConfig, StoreError> {
    PresigningConfig::expires_in(ttl).map_err(|error| StoreError::from_source("presign", &error))
}
