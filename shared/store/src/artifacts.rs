//! Artifacts: files that runs have generated. The file is in the bucket, its record in the table.
//!
//! The bucket's lifecycle rule deletes the file, and the ttl deletes the item.

use std::time::Duration;

use hearth_domain::{Artifact, ArtifactId, OrganisationId, Owner, RunId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    bucket::{Blob, Bucket, PresignedHead},
    database::{Condition, Cursor, Index, Item, Key, META, Query, Sort},
    owned::OwnedEntry,
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
    /// The organisation in which its owner had it made; none in records from before there were organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OrganisationId>,
    /// The run that generated it.
    pub run: RunId,
    /// When it was created.
    pub created_at: Timestamp,
}

impl ArtifactRecord {
    /// The user and the organisation that it belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner::of_record(self.owner, self.organisation)
    }
}

impl Artifacts<'_> {
    /// Stores a file and its record. The entry in the owner's index first, and the file before the record, so that each file
    /// has its entry and each record its file.
    ///
    /// # Errors
    /// If the bucket or the table can't be written.
    pub async fn put(&self, record: &ArtifactRecord, bytes: Vec<u8>) -> Result<(), StoreError> {
        let Artifact { id, media_type, expires_at, .. } = &record.artifact;
        self.table.write_in_order(vec![OwnedEntry::Artifact(*id).write(record.owner)?]).await?;
        self.bucket.put(&object_key(*id), media_type, bytes).await?;
        let item = Item::new(key(*id), VERSION, record)?.expiring(expires_at.unix());
        let item = item.in_gsi1(list(record.owner()), id.to_string());
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

    /// A page of the owner's artifacts behind the one `after`, the newest first, and whether more follow. The page may have fewer
    /// than `limit`.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        owner: Owner,
        after: Option<ArtifactId>,
        limit: u32,
    ) -> Result<(Vec<ArtifactRecord>, bool), StoreError> {
        let pk = list(owner);
        let query = Query::of(Index::Gsi1, &pk, Sort::All).descending();
        let after = after.map(|id| Cursor { key: key(id), index: Some(Key::new(pk, id.to_string())) });
        let page = self.table.page(&Query { limit: Some(limit), after, ..query }).await?;
        let records = page.items.iter().map(Item::read).collect::<Result<Vec<ArtifactRecord>, _>>()?;
        Ok((records, page.next.is_some()))
    }

    /// Opens a part of an artifact's file, which must begin within it.
    ///
    /// # Errors
    /// If the bucket can't be read.
    pub async fn read_range(
        &self,
        id: ArtifactId,
        first: u64,
        last: u64,
    ) -> Result<Option<Blob>, StoreError> {
        self.bucket.get_range(&object_key(id), first, last).await
    }

    /// A URL of the bucket that returns the artifact's file; `None` if the bucket has none.
    ///
    /// # Errors
    /// If it can't be signed.
    pub async fn presign_get(
        &self,
        id: ArtifactId,
        head: &PresignedHead,
        ttl: Duration,
    ) -> Result<Option<String>, StoreError> {
        self.bucket.presign_get(&object_key(id), head, ttl).await
    }

    /// Deletes an artifact with its file and its entry. It can be repeated.
    ///
    /// # Errors
    /// If the bucket or the table can't be written.
    pub async fn remove(&self, record: &ArtifactRecord) -> Result<(), StoreError> {
        self.erase(record.artifact.id).await?;
        self.table.delete(OwnedEntry::Artifact(record.artifact.id).key(record.owner)).await
    }

    /// Opens an artifact's file; `None` if the bucket has deleted it.
    ///
    /// # Errors
    /// If the bucket can't be read.
    pub async fn read(&self, id: ArtifactId) -> Result<Option<Blob>, StoreError> {
        self.bucket.get(&object_key(id)).await
    }

    /// Deletes an artifact and its file. The file first, so that a deletion that was interrupted can be repeated.
    pub(crate) async fn erase(&self, id: ArtifactId) -> Result<(), StoreError> {
        self.bucket.delete(&object_key(id)).await?;
        self.table.delete(key(id)).await
    }
}

fn key(id: ArtifactId) -> Key {
    Key::new(format!("ART#{id}"), META)
}

fn list(owner: Owner) -> String {
    format!("ARTS#{}#{}", owner.user, owner.organisation)
}

fn object_key(id: ArtifactId) -> String {
    format!("artifacts/{id}")
}
