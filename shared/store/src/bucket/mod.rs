//! The bucket's seam: whole objects under keys.
//!
//! Objects below `files/` and `sessions/` stay until they are deleted; those below `jobs/` expire after 90 days, all others after 30.

#[cfg(feature = "home")]
pub(crate) mod files;
#[cfg(feature = "aws")]
pub(crate) mod s3;

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream::BoxStream};
use hearth_domain::Timestamp;

use crate::StoreError;

/// The object that a check writes, and its size: larger than the files that some file systems store in the inode, so that a
/// full disk is found.
const PROBE_KEY: &str = "probe";
const PROBE_BYTES: usize = 64 << 10;

/// Bytes of an object that is written piece by piece.
pub type Pieces<'a> = BoxStream<'a, io::Result<Bytes>>;

/// Headers of the response to a presigned request for an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedHead {
    /// Media type.
    pub media_type: String,
    /// Value of the header `content-disposition`.
    pub disposition: String,
}

/// A request that its holder may send to the bucket until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedPut {
    /// URL with the signature.
    pub url: String,
    /// Headers that the request must have.
    pub headers: Vec<(String, String)>,
}

/// A store of whole objects.
#[async_trait]
pub trait Bucket: fmt::Debug + Send + Sync {
    /// Writes an object, in place of an earlier one. It is durable when this returns.
    async fn put(&self, key: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), StoreError>;

    /// Writes a new object from its pieces; `Conflict` if there is one, where the store can tell. An object whose pieces end with
    /// an error isn't written.
    ///
    /// This one collects them: a function of the cloud has the whole body of a request in memory anyway.
    async fn put_pieces(
        &self,
        key: &str,
        media_type: &str,
        mut pieces: Pieces<'_>,
    ) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| StoreError::from_source("read_pieces", &error))?);
        }
        self.put(key, media_type, bytes).await
    }

    /// Writes an object that nobody can delete before `until`, where the store can enforce that.
    async fn put_locked(
        &self,
        key: &str,
        media_type: &str,
        bytes: Vec<u8>,
        _until: Timestamp,
    ) -> Result<(), StoreError> {
        self.put(key, media_type, bytes).await
    }

    /// Opens an object; `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<Blob>, StoreError>;

    /// Opens the bytes of an object from `first` to `last`, both included; `None` if there is no such object. The range must
    /// begin within the object.
    async fn get_range(&self, key: &str, first: u64, last: u64) -> Result<Option<Blob>, StoreError>;

    /// The size of an object in bytes; `None` if there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>, StoreError>;

    /// A URL that returns the object without credentials for `ttl`; `None` if the store has no server of its own.
    async fn presign_get(
        &self,
        _key: &str,
        _head: &PresignedHead,
        _ttl: Duration,
    ) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// A request that writes the object, of exactly this size and once, without credentials for `ttl`; `None` if the store has
    /// no server of its own.
    async fn presign_put(
        &self,
        _key: &str,
        _size_bytes: u64,
        _ttl: Duration,
    ) -> Result<Option<PresignedPut>, StoreError> {
        Ok(None)
    }

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
