//! The table's seam: items, conditions and queries, and the trait that SQLite and DynamoDB implement.
//!
//! Both have the same semantics, which one conformance suite and one property test check:
//! - a write is conditional on the item at that moment; a condition that doesn't hold is [`StoreError::Conflict`];
//! - reads of items and of partitions see every write that was acknowledged before; an index may be late;
//! - sort keys are compared byte by byte.

#[cfg(feature = "aws")]
pub(crate) mod dynamodb;
#[cfg(feature = "home")]
pub(crate) mod sqlite;

#[cfg(feature = "home")]
pub use sqlite::Durability;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

/// The sort key of the main item of an aggregate.
pub(crate) const META: &str = "META";
/// Number of keys of one read: DynamoDB's limit.
pub(crate) const GET_MANY_MAX_COUNT: usize = 100;
/// Bytes of items in a page of a query, approximately: DynamoDB's limit.
#[cfg(feature = "home")]
pub(crate) const PAGE_MAX_BYTES: usize = 1 << 20;

/// The key of an item in the table, or in an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key within the partition.
    pub sk: String,
}

impl Key {
    /// Creates a key.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    #[cfg(feature = "home")]
    fn size(&self) -> usize {
        self.pk.len() + self.sk.len()
    }
}

/// An item of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its key in the table.
    pub key: Key,
    /// Its key in the first index, if it is in that index.
    pub gsi1: Option<Key>,
    /// Its key in the second index, if it is in that index.
    pub gsi2: Option<Key>,
    /// Seconds since 1970 at which it expires. The database deletes it some time later.
    pub ttl: Option<i64>,
    /// The version of its shape.
    pub version: u32,
    /// Its fields, a JSON object.
    pub body: String,
    /// Bytes beside the fields.
    pub bytes: Option<Vec<u8>>,
}

impl Item {
    /// Creates the item at `key` with the fields of `body`, in the shape `version`.
    pub(crate) fn new(key: Key, version: u32, body: &impl Serialize) -> Result<Self, StoreError> {
        let body = serde_json::to_string(body).map_err(StoreError::unreadable)?;
        Ok(Self { key, gsi1: None, gsi2: None, ttl: None, version, body, bytes: None })
    }

    pub(crate) fn in_gsi1(self, pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { gsi1: Some(Key::new(pk, sk)), ..self }
    }

    pub(crate) fn in_gsi2(self, pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { gsi2: Some(Key::new(pk, sk)), ..self }
    }

    pub(crate) fn expiring(self, ttl: i64) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    pub(crate) fn with_bytes(self, bytes: Vec<u8>) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    /// Reads the fields.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.body).map_err(StoreError::unreadable)
    }

    /// Bytes that the item occupies, approximately.
    #[cfg(feature = "home")]
    pub(crate) fn size(&self) -> usize {
        self.body.len() + self.bytes.as_ref().map_or(0, Vec::len)
    }
}

/// A condition on the stored item, which decides whether a write takes place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// No condition: the write always takes place.
    Always,
    /// The item doesn't exist.
    Absent,
    /// The item exists.
    Exists,
    /// The item has a field with this text.
    AttributeEquals(&'static str, String),
    /// The item has a field with one of these texts.
    AttributeIn(&'static str, Vec<&'static str>),
    /// The item doesn't exist, or has no such field.
    AttributeAbsent(&'static str),
    /// The item's shape has this version.
    VersionEquals(u32),
    /// The item doesn't exist, has no such field, or the field is a number of this size at most.
    NumberAtMost(&'static str, i64),
    /// All of these hold.
    All(Vec<Condition>),
}

/// A change of an item's fields. The item must exist, unless the change creates it. A field is in one of the lists at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// Creates the item if it is missing, and sets its version and its expiry in any case.
    pub create: Option<Created>,
    /// Fields to set, with their new values.
    pub set: Vec<(&'static str, serde_json::Value)>,
    /// Numbers to add to fields, which must be numbers or missing. A missing one counts as zero.
    pub add: Vec<(&'static str, i64)>,
    /// Fields to remove.
    pub remove: Vec<&'static str>,
    /// Indexes to remove the item from.
    pub leave: Vec<Index>,
}

/// Version and expiry of an item that an update creates if it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// The version of its shape.
    pub version: u32,
    /// Seconds since 1970 at which it expires; `None` leaves the expiry as it is.
    pub ttl: Option<i64>,
}

/// A write under a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Writes an item in place of the stored one.
    Put(Item, Condition),
    /// Changes an item.
    Update(Key, Update, Condition),
    /// Deletes an item, if it exists.
    Delete(Key, Condition),
}

#[cfg(feature = "home")]
impl Write {
    /// Bytes that the write occupies, approximately.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Put(item, _) => item.key.size() + item.size(),
            Self::Update(key, update, _) => {
                let fields = update.set.iter().map(|(name, value)| name.len() + json_size(value));
                key.size() + fields.sum::<usize>()
            }
            Self::Delete(key, _) => key.size(),
        }
    }
}

/// Bytes that a value occupies, approximately.
#[cfg(feature = "home")]
fn json_size(value: &serde_json::Value) -> usize {
    use serde_json::Value;

    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(json_size).sum(),
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + json_size(value)).sum(),
        }
}

/// An index of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// The first.
    Gsi1,
    /// The second.
    Gsi2,
}

impl Index {
    /// The index's name, which is also the prefix of the names of its keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gsi1 => "gsi1",
            Self::Gsi2 => "gsi2",
        }
    }
}

/// Items of one partition, in the order of their sort keys, or in its reverse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The index to query; `None` for the table itself.
    pub index: Option<Index>,
    /// The partition.
    pub pk: String,
    /// The range of sort keys.
    pub sort: Sort,
    /// The cursor of the previous page.
    pub after: Option<Cursor>,
    /// Maximum number of items in a page; `None` for as many as fit in a page.
    pub limit: Option<u32>,
    /// True for the items in the reverse order of their sort keys.
    pub descending: bool,
}

impl Query {
    /// Creates a query of a partition of the table.
    pub fn partition(pk: impl Into<String>, sort: Sort) -> Self {
        Self { index: None, pk: pk.into(), sort, after: None, limit: None, descending: false }
    }

    /// Creates a query of a partition of an index.
    pub fn of(index: Index, pk: impl Into<String>, sort: Sort) -> Self {
        Self { index: Some(index), ..Self::partition(pk, sort) }
    }

    /// Returns the query for the same items in reverse order: where a sort key begins with a time, the newest first.
    #[must_use]
    pub fn descending(self) -> Self {
        Self { descending: true, ..self }
    }
}

/// A range of sort keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sort {
    /// All sort keys of the partition.
    All,
    /// Sort keys with this prefix, which is not empty.
    Prefix(String),
    /// Sort keys from the first to the second, both included.
    Between(String, String),
}

/// A position in the results of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The key of the last item before the position.
    pub key: Key,
    /// The key of that item in the queried index; `None` if the table was queried.
    pub index: Option<Key>,
}

/// A page of a query's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// The cursor of the next page; `None` after the last page. The page behind a cursor may be empty.
    pub next: Option<Cursor>,
}

/// A database with one table.
#[async_trait]
pub trait Database: fmt::Debug + Send + Sync {
    /// Creates the table and its indexes if they are missing.
    async fn prepare(&self) -> Result<(), StoreError>;

    /// Reads one item. The read is strongly consistent.
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError>;

    /// Reads up to [`GET_MANY_MAX_COUNT`] items at once, in any order; keys without an item are left out. The read is eventually
    /// consistent.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        for key in keys {
            items.extend(self.get(key).await?);
        }
        Ok(items)
    }

    /// Executes one write; `Conflict` if its condition doesn't hold. The write is durable when this returns.
    async fn write(&self, write: Write) -> Result<(), StoreError>;

    /// Executes all of the writes, each to another item, or none of them.
    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError>;

    /// Executes the writes one after the other, up to the first that fails; the writes before it may remain. Cheaper
    /// than a transaction.
    async fn write_in_order(&self, writes: Vec<Write>) -> Result<(), StoreError>;

    /// As [`Database::write_in_order`], of writes that nothing waits for: they may be some milliseconds later, so that more of them
    /// are committed together.
    async fn write_deferred(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.write_in_order(writes).await
    }

    /// Reads a page of a partition. The read is strongly consistent, except of an index.
    async fn query(&self, query: &Query) -> Result<Page, StoreError>;

    /// Reads a page of all items behind the one at `after`, in an order of the database's own. The read is strongly
    /// consistent. It reads the whole table: for an export, and for no request.
    async fn scan(&self, after: Option<&Key>) -> Result<Page, StoreError>;

    /// Checks that the table can be reached, without a write.
    async fn check(&self) -> Result<(), StoreError>;

    /// The age of the oldest write that is not yet committed.
    fn writer_lag(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns when all earlier writes are committed, or have failed.
    async fn flush(&self) {}

    /// Commits the queued writes and closes the files. Later writes fail.
    async fn close(&self) {}
}
