//! The bucket in S3, through the AWS SDK.

use std::io;

use async_trait::async_trait;
use aws_sdk_s3::{Client, operation::get_object::GetObjectError};
use futures::stream;

use super::{Blob, Bucket};
use crate::{StoreError, clients::failed};

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

    async fn get(&self, key: &str) -> Result<Option<Blob>, StoreError> {
        match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => {
                let pieces = stream::unfold(answer.body, async |mut body| {
                    let piece = body.next().await?;
                    Some((piece.map_err(io::Error::other), body))
                });
                Ok(Some(Blob::new(pieces)))
            }
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(failed("get_object", &error)),
        }
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
