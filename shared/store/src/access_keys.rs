//! Access keys, which run named local models: read by the hash of their text, and listed by owner.

use hearth_domain::{AccessKeyId, OrganisationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Index, Item, Query, Sort, Update},
    tokens::{key, owner_key},
};

const VERSION: u32 = 1;

/// An access key's record. The key's text is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyRecord {
    /// The record's id.
    pub id: AccessKeyId,
    /// SHA-256 of the key's text, hexadecimal.
    pub hash: String,
    /// Its owner.
    pub owner: UserId,
    /// The organisation whose nodes have the models.
    pub organisation: OrganisationId,
    /// The name that its owner chose.
    pub name: String,
    /// The first characters of its text.
    pub prefix: String,
    /// Ids of the models, which are those of nodes.
    pub models: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl AccessKeyRecord {
    /// Returns whether it is neither revoked nor expired at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// Access keys.
#[derive(Debug, Clone, Copy)]
pub struct AccessKeys<'a>(&'a Table);

impl Store {
    /// Access keys.
    #[must_use]
    pub fn access_keys(&self) -> AccessKeys<'_> {
        AccessKeys(&self.table)
    }
}

impl AccessKeys<'_> {
    /// Stores a new key.
    ///
    /// # Errors
    /// `Conflict` if a key with this hash exists.
    pub async fn create(&self, record: &AccessKeyRecord) -> Result<(), StoreError> {
        let item = Item::new(key(&record.hash), VERSION, record)?;
        let item = item.in_gsi1(owner_key(record.owner), list_key(Some(record.id)));
        self.0.put(item, Condition::Absent).await
    }

    /// The key whose text has this hash, valid or not.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn by_hash(&self, hash: &str) -> Result<Option<AccessKeyRecord>, StoreError> {
        self.0.get(&key(hash)).await
    }

    /// A user's keys, oldest first, revoked ones too.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, owner: UserId) -> Result<Vec<AccessKeyRecord>, StoreError> {
        let query = Query::of(Index::Gsi1, owner_key(owner), Sort::Prefix(list_key(None)));
        self.0.query(query).await?.iter().map(Item::read).collect()
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn revoke(&self, record: &AccessKeyRecord, at: Timestamp) -> Result<(), StoreError> {
        if record.revoked_at.is_some() {
            return Ok(());
        }
        let update = Update { set: vec![("revoked_at", at.to_string().into())], ..Update::default() };
        self.0.update(key(&record.hash), update).await
    }
}

fn list_key(id: Option<AccessKeyId>) -> String {
    id.map_or_else(|| "AKEY#".to_owned(), |id| format!("AKEY#{id}"))
}
