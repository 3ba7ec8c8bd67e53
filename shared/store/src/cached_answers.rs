//! Answers that are kept for when the same is asked again.
//!
//! An answer is an item under the hash of what was asked. Beside it is a small one under its owner, with the
//! names of its model: what a list reads.

use hearth_domain::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, Query, Sort},
};

const VERSION: u32 = 1;
/// A body of more bytes than this is compressed.
const PLAIN: usize = 1 << 10;
/// The level of most tools: a better one takes several times as long for a few percent.
const LEVEL: i32 = 3;
/// Bytes of a body as it is stored. An item takes at most 400 KB, with the names of its fields.
const MAX_STORED: usize = 350 << 10;
/// Bytes of a body as it is read: no other was written.
const MAX_BODY: usize = 64 << 20;

/// Kept answers.
#[derive(Debug, Clone, Copy)]
pub struct CachedAnswers<'a>(pub(crate) &'a Table);

/// Whose a kept answer is, and how its model can be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedFacts {
    /// Who asked first.
    pub owner: UserId,
    /// The model's name in the request.
    pub asked: String,
    /// The model that answered.
    pub model: String,
    /// Who has it.
    pub provider: String,
    /// When the answer is too old to be given.
    pub expires: Timestamp,
}

/// What a list has of a kept answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedEntry {
    /// What it is kept under.
    pub key: String,
    /// Whose it is.
    pub facts: CachedFacts,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    facts: CachedFacts,
    /// The bytes of the body, if they are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plain_bytes: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    #[serde(flatten)]
    facts: CachedFacts,
}

impl CachedAnswers<'_> {
    /// Keeps an answer, a text of JSON, under `key`, in place of one that is there; whether it could be, or is
    /// too large for an item.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, key: &str, facts: &CachedFacts, body: &str) -> Result<bool, StoreError> {
        let (bytes, plain_bytes) = pack(body)?;
        if bytes.len() > MAX_STORED {
            return Ok(false);
        }
        let ttl = facts.expires.unix();
        let listed = Item::new(list_key(facts.owner, key), VERSION, facts)?;
        // Listed first: an answer that no list has couldn't be deleted.
        self.0.put(listed.expiring(ttl), Condition::Always).await?;
        let stored = Stored { facts: facts.clone(), plain_bytes };
        let item = Item::new(answer_key(key), VERSION, &stored)?.with_bytes(bytes).expiring(ttl);
        self.0.put(item, Condition::Always).await?;
        Ok(true)
    }

    /// The answer under `key`, if there is one that isn't too old.
    ///
    /// # Errors
    /// If the table, or the item, can't be read.
    pub async fn get(&self, key: &str) -> Result<Option<(CachedFacts, String)>, StoreError> {
        let Some(item) = self.0.get_item(&answer_key(key)).await? else { return Ok(None) };
        let Stored { facts, plain_bytes } = item.read()?;
        // TTL deletes late.
        if facts.expires <= Timestamp::now() {
            return Ok(None);
        }
        let Some(bytes) = item.bytes else {
            return Err(StoreError::Unreadable("a kept answer without its body".to_owned()));
        };
        Ok(Some((facts, unpack(bytes, plain_bytes)?)))
    }

    /// A user's answers.
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

    /// Deletes a user's answer.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete(&self, owner: UserId, key: &str) -> Result<(), StoreError> {
        self.0.delete(answer_key(key)).await?;
        self.0.delete(list_key(owner, key)).await
    }
}

/// A body as it is stored; its own bytes, if they are others.
fn pack(body: &str) -> Result<(Vec<u8>, Option<usize>), StoreError> {
    if body.len() <= PLAIN {
        return Ok((body.as_bytes().to_vec(), None));
    }
    let packed = zstd::bulk::compress(body.as_bytes(), LEVEL).map_err(unreadable)?;
    Ok((packed, Some(body.len())))
}

fn unpack(bytes: Vec<u8>, plain_bytes: Option<usize>) -> Result<String, StoreError> {
    let bytes = match plain_bytes {
        None => bytes,
        Some(size) => zstd::bulk::decompress(&bytes, size.min(MAX_BODY)).map_err(unreadable)?,
    };
    String::from_utf8(bytes).map_err(|error| StoreError::Unreadable(error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unreadable(error: std::io::Error) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

fn answer_key(key: &str) -> Key {
    Key::new(format!("CACHE#{key}"), "R")
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
    fn a_long_body_is_compressed_and_comes_back_whole() {
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
