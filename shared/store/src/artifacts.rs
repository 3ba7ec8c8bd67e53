//! Artifacts: files that runs have generated. The file is in the bucket, its record in the table.
//!
//! The bucket's lifecycle rule deletes the file, and the ttl deletes the item.

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

/// An artifact, its owner and its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactRecord {
    /// The artifact.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// Its owner.
    pub owner: UserId,
    /// The run that generated it.
    pub run: RunId,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Artifacts<'_> {
    /// Stores a file and its record. The file first, so that each record has its file.
    ///
    /// # Errors
    /// If the bucket or the table can't be written.
    pub async fn put(&self, record: &ArtifactRecord, bytes: Vec<u8>) -> Result<(), StoreError> {
        let Artifact { id, media_type, expires_at, .. } = &record.artifact;
        self.bucket.put(&object_key(*id), media_type, bytes).await?;
        let item = Item::new(key(*id), VERSION, record)?.expiring(expires_at.unix());
        self.table.put(item, Condition::Always).await
    }

    /// Returns the record of an artifact that hasn't expired.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: ArtifactId) -> Result<Option<ArtifactRecord>, StoreError> {
        let record = self.table.get::<ArtifactRecord>(&key(id)).await?;
        // The database deletes expired items late.
        Ok(record.filter(|record| record.artifact.expires_at > Timestamp::now()))
    }

    /// Opens an artifact's file; `None` if the bucket has deleted it.
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
