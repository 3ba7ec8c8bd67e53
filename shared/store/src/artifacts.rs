//! Artifacts: files that runs have made, in the bucket, and what is known of each.
//!
//! The bucket deletes a file by itself, by its lifecycle; the item goes by its ttl.

use aws_sdk_s3::{operation::get_object::GetObjectError, primitives::ByteStream};
use hearth_domain::{Artifact, ArtifactId, RunId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    item::{Item, Key, META, number},
};

const VERSION: u32 = 1;

/// The artifacts.
#[derive(Debug, Clone, Copy)]
pub struct Artifacts<'a> {
    pub(crate) table: &'a Table,
    pub(crate) s3: &'a aws_sdk_s3::Client,
    pub(crate) bucket: &'a str,
}

/// An artifact, whose it is, and what it came of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactRecord {
    /// The artifact.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// Whose it is.
    pub owner: UserId,
    /// The run that made it.
    pub run: RunId,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Artifacts<'_> {
    /// Keeps a file. The file first: what the table names is there.
    ///
    /// # Errors
    /// If the bucket or the table can't be written.
    pub async fn put(&self, record: &ArtifactRecord, bytes: Vec<u8>) -> Result<(), StoreError> {
        let Artifact { id, media_type, expires_at, .. } = &record.artifact;
        let call = self.s3.put_object().bucket(self.bucket).key(object_key(*id)).content_type(media_type);
        let sent = call.body(ByteStream::from(bytes)).send().await;
        sent.map_err(|error| StoreError::unavailable("put_object", &error))?;
        let item = Item::new(&key(*id), VERSION, record)?.with("ttl", number(expires_at.unix()));
        let item = item.indexed("gsi1", &format!("USER#{}", record.owner), &format!("ART#{id}"));
        self.table.put(item, None).await
    }

    /// What is known of an artifact that hasn't expired.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: ArtifactId) -> Result<Option<ArtifactRecord>, StoreError> {
        let record = self.table.get::<ArtifactRecord>(&key(id)).await?;
        // TTL deletes late.
        Ok(record.filter(|record| record.artifact.expires_at > Timestamp::now()))
    }

    /// An artifact's bytes, as they are read; none if the bucket has deleted them.
    ///
    /// # Errors
    /// If the bucket can't be read.
    pub async fn read(&self, id: ArtifactId) -> Result<Option<ByteStream>, StoreError> {
        let answer = self.s3.get_object().bucket(self.bucket).key(object_key(id)).send().await;
        match answer {
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(StoreError::unavailable("get_object", &error)),
        }
    }
}

fn key(id: ArtifactId) -> Key {
    Key::new(format!("ART#{id}"), META)
}

fn object_key(id: ArtifactId) -> String {
    format!("artifacts/{id}")
}
