//! Artifacts: files that runs have made, in the bucket, and what is known of each.
//!
//! The bucket deletes a file by itself, by its lifecycle; the item goes by its ttl.

use hearth_domain::{Artifact, ArtifactId, RunId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    bucket::{Blob, Bucket},
    database::{Condition, Item, Key, META},
};

const VERSION: u32 = 1;

/// The artifacts.
#[derive(Debug, Clone, Copy)]
pub struct Artifacts<'a> {
    pub(crate) table: &'a Table,
    pub(crate) bucket: &'a dyn Bucket,
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
        self.bucket.put(&object_key(*id), media_type, bytes).await?;
        let item = Item::new(key(*id), VERSION, record)?.expiring(expires_at.unix());
        let item = item.in_gsi1(format!("USER#{}", record.owner), format!("ART#{id}"));
        self.table.put(item, Condition::Always).await
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
    pub async fn read(&self, id: ArtifactId) -> Result<Option<Blob>, StoreError> {
        self.bucket.get(&object_key(id)).await
    }
}

fn key(id: ArtifactId) -> Key {
    Key::new(format!("ART#{id}"), META)
}

fn object_key(id: ArtifactId) -> String {
    format!("artifacts/{id}")
}
