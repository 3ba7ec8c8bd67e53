//! Conversations: the messages up to the end of a run, for a request that continues from it.
//!
//! A run's record has no prompt. A conversation has; it is stored if the client asked for it, and expires.

use std::time::Duration;

use hearth_domain::{Message, RunId, Timestamp, UserId};
use hearth_wire::openai::responses::ItemLayout;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    StoreError, Table,
    bucket::{self, Bucket},
    database::{Condition, Item, Key},
};

const VERSION: u32 = 1;
/// A conversation can be read for this time.
const CONVERSATION_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// A longer conversation is stored in the bucket. DynamoDB's limit for an item is 400 KB.
const INLINE_MAX_BYTES: usize = 100 << 10;

/// Conversations, under the ids of runs.
#[derive(Debug, Clone, Copy)]
pub struct Conversations<'a> {
    pub(crate) table: &'a Table,
    pub(crate) bucket: &'a dyn Bucket,
}

/// A conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// Fields of the last request that its response repeats.
    #[serde(default, rename = "asked")]
    pub request_echo: Value,
    /// The order of the last answer's items.
    #[serde(default, skip_serializing_if = "ItemLayout::is_empty")]
    pub layout: ItemLayout,
}

/// A conversation as it is stored: JSON in the item, or in an object of the bucket.
#[derive(Serialize, Deserialize)]
struct Stored {
    owner: UserId,
    #[serde(default, rename = "said", skip_serializing_if = "Option::is_none")]
    json: Option<String>,
    /// The object's key.
    #[serde(default, rename = "said_key", skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    expires: i64,
}

impl Conversations<'_> {
    /// Stores the conversation of `owner` that ends with the run `id`.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn put(&self, id: RunId, owner: UserId, conversation: &Conversation) -> Result<(), StoreError> {
        let json = serde_json::to_string(conversation).map_err(StoreError::unreadable)?;
        let expires = Timestamp::now().plus(CONVERSATION_TTL).unix();
        let (json, object) = if json.len() <= INLINE_MAX_BYTES {
            (Some(json), None)
        } else {
            (None, Some(self.write_object(id, json).await?))
        };
        let stored = Stored { owner, json, object, expires };
        let item = Item::new(key(id), VERSION, &stored)?.expiring(expires);
        self.table.put(item, Condition::Always).await
    }

    /// Returns the conversation of `owner` that ends with the run `id`.
    ///
    /// # Errors
    /// If the table or the bucket can't be read.
    pub async fn get(&self, id: RunId, owner: UserId) -> Result<Option<Conversation>, StoreError> {
        let Some(stored) = self.stored(id, owner).await? else { return Ok(None) };
        let json = match (stored.json, stored.object) {
            (Some(json), _) => json,
            (None, Some(key)) => bucket::read_text(self.bucket, &key).await?,
            (None, None) => return Ok(None),
        };
        serde_json::from_str(&json).map(Some).map_err(StoreError::unreadable)
    }

    /// Deletes the conversation of `owner` that ends with the run `id`. Returns whether there was one.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn delete(&self, id: RunId, owner: UserId) -> Result<bool, StoreError> {
        let Some(stored) = self.stored(id, owner).await? else { return Ok(false) };
        // The object first: if its deletion fails, the item still has its key for the next attempt.
        if let Some(key) = stored.object {
            self.bucket.delete(&key).await?;
        }
        self.table.delete(key(id)).await?;
        Ok(true)
    }

    async fn stored(&self, id: RunId, owner: UserId) -> Result<Option<Stored>, StoreError> {
        let stored = self.table.get::<Stored>(&key(id)).await?;
        // The database deletes expired items late.
        let now = Timestamp::now().unix();
        Ok(stored.filter(|stored| stored.owner == owner && stored.expires > now))
    }

    async fn write_object(&self, id: RunId, json: String) -> Result<String, StoreError> {
        let key = format!("runs/{id}/conversation");
        self.bucket.put(&key, "application/json", json.into_bytes()).await?;
        Ok(key)
    }
}

fn key(id: RunId) -> Key {
    Key::new(format!("RUN#{id}"), "CONVERSATION")
}
