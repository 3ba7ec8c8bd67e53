//! Cached answers.
//!
//! An answer is an item under the hash of its request. A second, small item under the answer's owner has the names of its
//! model: lists read these.

use hearth_domain::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, Query, Sort},
};

const VERSION: u32 = 1;
/// A longer body is compressed.
const UNCOMPRESSED_MAX_BYTES: usize = 1 << 10;
/// zstd's default level: a higher one takes several times as long to save a few percent.
const COMPRESSION_LEVEL: i32 = 3;
/// Bytes of a body as it is stored. DynamoDB's limit for an item, with the names of its fields, is 400 KB.
const STORED_MAX_BYTES: usize = 350 << 10;
/// Bytes of a decompressed body. Larger ones are never written.
const BODY_MAX_BYTES: usize = 64 << 20;

/// Start of the partition key of an answer.
const ANSWER_PREFIX: &str = "CACHE#";

/// The cached answers.
#[derive(Debug, Clone, Copy)]
pub struct CachedAnswers<'a>(pub(crate) &'a Table);

/// The owner of a cached answer, and the names of its model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedFacts {
    /// The user whose request was answered.
    pub owner: UserId,
    /// The model's name in the request.
    #[serde(rename = "asked")]
    pub requested_model: String,
    /// The model that answered.
    pub model: String,
    /// The provider of that model.
    pub provider: String,
    /// When the answer expires.
    pub expires: Timestamp,
}

/// A cached answer in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedEntry {
    /// The hash of its request.
    pub key: String,
    /// Its owner and model.
    pub facts: CachedFacts,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    facts: CachedFacts,
    /// Bytes of the decompressed body, if it is compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plain_bytes: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    #[serde(flatten)]
    facts: CachedFacts,
}

impl CachedAnswers<'_> {
    /// Stores an answer, a JSON text, under `key`, in place of an earlier one. Returns false if it is too large for an
    /// item.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, key: &str, facts: &CachedFacts, body: &str) -> Result<bool, StoreError> {
        let (bytes, plain_bytes) = pack(body)?;
        if bytes.len() > STORED_MAX_BYTES {
            return Ok(false);
        }
        let ttl = facts.expires.unix();
        let listed = Item::new(list_key(facts.owner, key), VERSION, facts)?;
        // The list's item first: an answer that isn't listed couldn't be deleted.
        self.0.put(listed.expiring(ttl), Condition::Always).await?;
        let stored = Stored { facts: facts.clone(), plain_bytes };
        let item = Item::new(answer_key(key), VERSION, &stored)?.with_bytes(bytes).expiring(ttl);
        self.0.put(item, Condition::Always).await?;
        Ok(true)
    }

    /// Returns the answer under `key`, if it hasn't expired.
    ///
    /// # Errors
    /// If the table, or the item, can't be read.
    pub async fn get(&self, key: &str) -> Result<Option<(CachedFacts, String)>, StoreError> {
        let Some(item) = self.0.get_item(&answer_key(key)).await? else { return Ok(None) };
        read_answer(item)
    }

    /// Returns the answers under these keys that are there and haven't expired, in any order and with their keys.
    ///
    /// # Errors
    /// If the table, or an item, can't be read.
    pub async fn get_many(&self, keys: &[String]) -> Result<Vec<(String, CachedFacts, String)>, StoreError> {
        let answer_keys: Vec<Key> = keys.iter().map(|key| answer_key(key)).collect();
        let items = self.0.get_items(&answer_keys).await?;
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let key = item.key.pk.trim_start_matches(ANSWER_PREFIX).to_owned();
            if let Some((facts, body)) = read_answer(item)? {
                answers.push((key, facts, body));
            }
        }
        Ok(answers)
    }

    /// Returns a user's answers.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, owner: UserId) -> Result<Vec<CachedEntry>, StoreError> {
        let items = self.0.query(Query::partition(owner_key(owner), Sort::All)).await?;
        let now = Timestamp::now();
        let entry = |item: Item| {
            let Listed { facts } = item.read()?;
            Ok(CachedEntry { key: item.key.sk, facts })
        };
        let entries: Result<Vec<CachedEntry>, StoreError> = items.into_iter().map(entry).collect();
        Ok(entries?.into_iter().filter(|entry| entry.facts.expires > now).collect())
    }

    /// Returns the keys of all of a user's answers, also of those that have expired and aren't deleted yet.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn keys_of(&self, owner: UserId) -> Result<Vec<String>, StoreError> {
        let items = self.0.query(Query::partition(owner_key(owner), Sort::All)).await?;
        Ok(items.into_iter().map(|item| item.key.sk).collect())
    }

    /// Deletes a user's answer.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete(&self, owner: UserId, key: &str) -> Result<(), StoreError> {
        self.0.delete(answer_key(key)).await?;
        self.0.delete(list_key(owner, key)).await
    }
}

/// Reads a stored answer; none if it has expired.
fn read_answer(item: Item) -> Result<Option<(CachedFacts, String)>, StoreError> {
    let Stored { facts, plain_bytes } = item.read()?;
    // The database deletes expired items late.
    if facts.expires <= Timestamp::now() {
        return Ok(None);
    }
    let Some(bytes) = item.bytes else {
        return Err(StoreError::Unreadable("a cached answer without its body".to_owned()));
    };
    Ok(Some((facts, unpack(bytes, plain_bytes)?)))
}

/// Compresses a long body. Returns the bytes to store and, if they are compressed, the body's length.
fn pack(body: &str) -> Result<(Vec<u8>, Option<usize>), StoreError> {
    if body.len() <= UNCOMPRESSED_MAX_BYTES {
        return Ok((body.as_bytes().to_vec(), None));
    }
    let packed = zstd::bulk::compress(body.as_bytes(), COMPRESSION_LEVEL).map_err(unreadable)?;
    Ok((packed, Some(body.len())))
}

fn unpack(bytes: Vec<u8>, plain_bytes: Option<usize>) -> Result<String, StoreError> {
    let bytes = match plain_bytes {
        None => bytes,
        Some(size) => zstd::bulk::decompress(&bytes, size.min(BODY_MAX_BYTES)).map_err(unreadable)?,
    };
    String::from_utf8(bytes).map_err(|error| StoreError::Unreadable(error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn unreadable(error: std::io::Error) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

fn answer_key(key: &str) -> Key {
    Key::new(format!("{ANSWER_PREFIX}{key}"), "R")
}

fn owner_key(owner: UserId) -> String {
    format!("CACHED#{owner}")
}

fn list_key(owner: UserId, key: &str) -> Key {
    Key::new(owner_key(owner), key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_body_is_compressed_and_decompressed() {
        for (body, compressed) in
            [(String::new(), false), ("ä".repeat(512), false), ("a long täxt ".repeat(1000), true)]
        {
            let (bytes, plain) = pack(&body).unwrap();
            assert_eq!(plain.is_some(), compressed);
            assert_eq!(bytes.len() < body.len(), compressed);
            assert_eq!(unpack(bytes, plain).unwrap(), body);
        }
        assert!(unpack(vec![1, 2, 3], Some(100)).is_err());
        assert!(unpack(vec![0xff], None).is_err());
    }
}
