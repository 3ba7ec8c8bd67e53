//! The table's seam: items, conditions and queries in words of the store's own, and the trait that two real
//! databases implement.
//!
//! Both have the same semantics, which one conformance suite and one property test run over both:
//! - a write is conditional on the item as it is then, and a condition that doesn't hold is [`StoreError::Conflict`];
//! - reads of items and of partitions see every write that was acknowledged before them; an index may be late;
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

/// The sort key of the one item that a thing without parts has.
pub(crate) const META: &str = "META";
/// Bytes of items in a page of a query, about: DynamoDB's limit.
#[cfg(feature = "home")]
pub(crate) const PAGE_MAX_BYTES: usize = 1 << 20;

/// An item's place in the table, or in an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The partition.
    pub pk: String,
    /// The place in its order.
    pub sk: String,
}

impl Key {
    /// A key.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

/// An item of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place.
    pub key: Key,
    /// Its place in the first index, if it is in there.
    pub gsi1: Option<Key>,
    /// Its place in the second index, if it is in there.
    pub gsi2: Option<Key>,
    /// Seconds since 1970 after which the database deletes it, late.
    pub ttl: Option<i64>,
    /// The version of its shape.
    pub version: u32,
    /// Its fields, a JSON object.
    pub body: String,
    /// Bytes beside the fields.
    pub bytes: Option<Vec<u8>>,
}

impl Item {
    /// The item at `key` with the fields of `body`, in the shape `version`.
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

    /// Bytes that the item takes, about.
    #[cfg(feature = "home")]
    pub(crate) fn size(&self) -> usize {
        self.body.len() + self.bytes.as_ref().map_or(0, Vec::len)
    }
}

/// A condition on the item that a write finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// None: the write takes place in any case.
    Always,
    /// There is no item.
    Absent,
    /// There is an item.
    Exists,
    /// The item has a field with this text.
    AttributeEquals(&'static str, String),
    /// The item has a field with one of these texts.
    AttributeIn(&'static str, Vec<&'static str>),
    /// There is no item, or it has no such field.
    AttributeAbsent(&'static str),
    /// The item's shape has this version.
    VersionEquals(u32),
}

/// A change of an item's fields. The item must exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// Fields with their new values.
    pub set: Vec<(&'static str, serde_json::Value)>,
    /// Fields to remove.
    pub remove: Vec<&'static str>,
    /// Indexes that the item leaves.
    pub leave: Vec<Index>,
}

/// A write under a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Writes an item in place of the one that is there.
    Put(Item, Condition),
    /// Changes an item.
    Update(Key, Update, Condition),
    /// Deletes an item, if it is there.
    Delete(Key, Condition),
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
    /// The index's name, with which the names of its keys begin.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gsi1 => "gsi1",
            Self::Gsi2 => "gsi2",
        }
    }
}

/// Items of one partition, in the order of their sort keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// `None` is the table itself.
    pub index: Option<Index>,
    /// The partition.
    pub pk: String,
    /// The items of it.
    pub sort: Sort,
    /// The last item of the page before.
    pub after: Option<Cursor>,
    /// The most items of a page; without it as many as a page holds.
    pub limit: Option<u32>,
}

impl Query {
    /// A query of the table's partition.
    pub fn partition(pk: impl Into<String>, sort: Sort) -> Self {
        Self { index: None, pk: pk.into(), sort, after: None, limit: None }
    }

    /// A query of an index' partition.
    pub fn of(index: Index, pk: impl Into<String>, sort: Sort) -> Self {
        Self { index: Some(index), ..Self::partition(pk, sort) }
    }
}

/// The sort keys of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sort {
    /// All of the partition.
    All,
    /// Those that begin so; not empty.
    Prefix(String),
    /// Those from one to another, both included.
    Between(String, String),
}

/// A place in the results of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The item's key.
    pub key: Key,
    /// Its key in the index, if that was queried.
    pub index: Option<Key>,
}

/// A page of a query's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Where the next page begins; `None` after the last. The page behind a cursor may be empty.
    pub next: Option<Cursor>,
}

/// A database with one table.
#[async_trait]
pub trait Database: fmt::Debug + Send + Sync {
    /// Makes what is missing of the table.
    async fn prepare(&self) -> Result<(), StoreError>;

    /// Reads one item, strongly consistent.
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError>;

    /// Carries out one write; `Conflict` if its condition doesn't hold. It is durable when this returns.
    async fn write(&self, write: Write) -> Result<(), StoreError>;

    /// Carries out all of the writes, each to another item, or none of them.
    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError>;

    /// Carries out the writes one after the other, up to the first that fails. Cheaper than a transaction: those
    /// before a failure may stay.
    async fn write_in_order(&self, writes: Vec<Write>) -> Result<(), StoreError>;

    /// Reads a page of a partition, strongly consistent where it isn't an index.
    async fn query(&self, query: &Query) -> Result<Page, StoreError>;

    /// Checks that the table can be reached, without a write.
    async fn check(&self) -> Result<(), StoreError>;

    /// The age of the oldest write that waits to be committed.
    fn writer_lag(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns when the writes that wait are committed, or have failed.
    async fn flush(&self) {}

    /// Commits what waits and leaves the files in order; nothing can be written after that.
    async fn close(&self) {}
}
