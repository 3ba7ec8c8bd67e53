//! The bucket's seam: whole objects under keys.

#[cfg(feature = "home")]
pub(crate) mod files;
#[cfg(feature = "aws")]
pub(crate) mod s3;

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream::BoxStream};

use crate::StoreError;

/// The object that a check writes, and its size: larger than the files that some file systems store in the inode, so that a
/// full disk is found.
const PROBE_KEY: &str = "probe";
const PROBE_BYTES: usize = 64 << 10;

/// A store of whole objects.
#[async_trait]
pub trait Bucket: fmt::Debug + Send + Sync {
    /// Writes an object, in place of an earlier one. It is durable when this returns.
    async fn put(&self, key: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), StoreError>;

    /// Opens an object; `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<Blob>, StoreError>;

    /// Deletes an object, if it exists.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Checks that the bucket can be reached, without a write.
    async fn check(&self) -> Result<(), StoreError>;
}

/// An object's bytes, as a stream of pieces.
pub struct Blob(BoxStream<'static, io::Result<Bytes>>);

impl Blob {
    pub(crate) fn new(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(pieces.boxed())
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// If the object can't be read to its end.
    pub async fn collect(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.0.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    }
}

impl Stream for Blob {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blob")
    }
}

/// Reads an object that is a text; `Gone` if the object doesn't exist.
pub(crate) async fn read_text(bucket: &dyn Bucket, key: &str) -> Result<String, StoreError> {
    let object = bucket.get(key).await?;
    let object = object.ok_or_else(|| StoreError::Gone(key.to_owned()))?;
    String::from_utf8(object.collect().await.map_err(StoreError::unreadable)?).map_err(StoreError::unreadable)
}

/// Checks that the bucket can be reached; with `writes`, by writing an object that nothing reads.
pub(crate) async fn check(bucket: &dyn Bucket, writes: bool) -> Result<(), StoreError> {
    match writes {
        true => bucket.put(PROBE_KEY, "text/plain", vec![b'.'; PROBE_BYTES]).await,
        false => bucket.check().await,
    }
}
