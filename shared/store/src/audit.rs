//! The audit log: entries by owner and day, and the seals over them. Nothing changes or deletes an item of it; entries and
//! seals expire.

use std::collections::BTreeSet;

use hearth_domain::{AuditChainId, AuditDay, AuditId, AuditOwner, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Cursor, Index, Item, Key, META, Query, Sort, Write},
};

const VERSION: u32 = 1;

/// An entry as a link of its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The entry, as JSON text: the hash is over these bytes.
    pub entry: String,
    /// The chain.
    pub chain: AuditChainId,
    /// The record's number in its chain, from 1 without gaps.
    pub number: u64,
    /// Hash of the record before it in the chain.
    pub previous: String,
    /// Hash of this record.
    pub hash: String,
}

/// A record as it is stored, whether it can be read or not.
#[derive(Debug)]
pub struct StoredAuditRecord {
    /// The id under which it is stored.
    pub id: String,
    /// The record.
    pub record: Result<AuditRecord, StoreError>,
    /// When the database deletes it, in seconds since 1970.
    pub expires: Option<i64>,
}

/// A page of records.
#[derive(Debug)]
pub struct AuditPage {
    /// The records, in the order of their ids.
    pub records: Vec<StoredAuditRecord>,
    /// The id after which the next page begins; `None` after the last page.
    pub next: Option<String>,
}

/// A seal: the heads of all chains at one moment, in a chain of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRecord {
    /// Its number, from 1 without gaps.
    pub number: u64,
    /// The seal, as JSON text: hash and signature are over these bytes.
    pub seal: String,
    /// Hash of the seal.
    pub hash: String,
    /// Signature of the hash, by a key that the table doesn't have.
    pub signature: String,
}

/// The audit log.
#[derive(Debug, Clone, Copy)]
pub struct AuditLog<'a>(pub(crate) &'a Table);

impl Store {
    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> AuditLog<'_> {
        AuditLog(&self.table)
    }

    /// Has sealed parts of the audit log copied into the bucket `name`, whose objects can be locked.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn with_audit_bucket(self, s3: aws_sdk_s3::Client, name: String) -> Self {
        Self { audit_archive: Some(std::sync::Arc::new(crate::bucket::s3::S3::new(s3, name))), ..self }
    }

    /// True if sealed parts of the audit log are copied.
    #[must_use]
    pub fn has_audit_archive(&self) -> bool {
        self.audit_archive.is_some()
    }

    /// Writes the copy of a sealed part of the log, which nobody can delete before `until`.
    ///
    /// # Errors
    /// If there is no bucket for it, or it can't be written.
    pub async fn archive_audit(
        &self,
        owner: AuditOwner,
        seal: u64,
        lines: String,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(archive) = &self.audit_archive else {
            let reason = "there is no bucket for copies of the audit log".to_owned();
            return Err(StoreError::Unavailable { operation: "archive", reason });
        };
        let key = format!("audit/{owner}/{seal:012}.jsonl");
        archive.put_locked(&key, "application/jsonl", lines.into_bytes(), until).await
    }
}

impl AuditLog<'_> {
    /// Appends a record.
    ///
    /// # Errors
    /// `Conflict` if there is a record with this id.
    pub async fn append(
        &self,
        owner: AuditOwner,
        id: AuditId,
        record: &AuditRecord,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let day = AuditDay::of(id.created_at());
        let item = Item::new(Key::new(partition(owner, day), id.to_string()), VERSION, record)?;
        let item = item.expiring(expires_at.unix());
        let item = match record.number {
            1 => item.in_gsi2(chains_partition(day), format!("{owner}#{}", record.chain)),
            _ => item,
        };
        self.0.put(item, Condition::Absent).await
    }

    /// A page of an owner's records of one day, from the id `from` to `to`, behind the id `after`.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        owner: AuditOwner,
        day: AuditDay,
        (from, to): (AuditId, AuditId),
        after: Option<String>,
        limit: Option<u32>,
    ) -> Result<AuditPage, StoreError> {
        let pk = partition(owner, day);
        let mut query = Query::partition(pk.clone(), Sort::Between(from.to_string(), to.to_string()));
        query.after = after.map(|after| Cursor { key: Key::new(pk, after), index: None });
        query.limit = limit;
        let page = self.0.page(&query).await?;
        let read = |item: Item| {
            let record = if item.version == VERSION { item.read() } else { Err(unknown_version(&item)) };
            StoredAuditRecord { record, expires: item.ttl, id: item.key.sk }
        };
        let records = page.items.into_iter().map(read).collect();
        Ok(AuditPage { records, next: page.next.map(|next| next.key.sk) })
    }

    /// The owners of the chains that began on a day, as far as the index knows them already.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn owners(&self, day: AuditDay) -> Result<BTreeSet<AuditOwner>, StoreError> {
        let items = self.0.query(Query::of(Index::Gsi2, chains_partition(day), Sort::All)).await?;
        let owner = |item: &Item| item.gsi2.as_ref()?.sk.split('#').next()?.parse().ok();
        Ok(items.iter().filter_map(owner).collect())
    }

    /// The last seal.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn last_seal(&self, owner: AuditOwner) -> Result<Option<SealRecord>, StoreError> {
        self.0.get(&Key::new(seals_partition(owner), META)).await
    }

    /// The seals that are still stored, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn seals(&self, owner: AuditOwner) -> Result<Vec<Result<SealRecord, StoreError>>, StoreError> {
        let query = Query::partition(seals_partition(owner), Sort::Prefix(SEAL_PREFIX.to_owned()));
        Ok(self.0.query(query).await?.iter().map(Item::read).collect())
    }

    /// Stores the seal that follows the one with the hash `previous`; the first seal follows none.
    ///
    /// # Errors
    /// `Conflict` if another process has stored it.
    pub async fn put_seal(
        &self,
        owner: AuditOwner,
        seal: &SealRecord,
        previous: Option<&str>,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let pk = seals_partition(owner);
        let last = Item::new(Key::new(pk.clone(), META), VERSION, seal)?;
        let numbered = Item::new(Key::new(pk, format!("{SEAL_PREFIX}{:012}", seal.number)), VERSION, seal)?;
        let follows = match previous {
            Some(hash) => Condition::AttributeEquals("hash", hash.to_owned()),
            None => Condition::Absent,
        };
        // The last seal stays when the others have expired: the next one follows it.
        let writes = vec![
            Write::Put(last, follows),
            Write::Put(numbered.expiring(expires_at.unix()), Condition::Absent),
        ];
        self.0.transact(writes).await
    }
}

const SEAL_PREFIX: &str = "S#";

fn partition(owner: AuditOwner, day: AuditDay) -> String {
    format!("AUD#{owner}#{day}")
}

fn chains_partition(day: AuditDay) -> String {
    format!("AUDCHAINS#{day}")
}

fn seals_partition(owner: AuditOwner) -> String {
    format!("AUDSEAL#{owner}")
}

fn unknown_version(item: &Item) -> StoreError {
    StoreError::Unreadable(format!("its shape is version {}, and this program reads {VERSION}", item.version))
}
