//! Conversations: what was said up to the end of a run, for the request that goes on from there.
//!
//! A run's record has no prompt. This has it, where the client asked for that, and is gone after a while.

use std::time::Duration;

use hearth_domain::{Message, RunId, Timestamp, UserId};
use hearth_wire::openai::responses::Layout;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    StoreError, Table,
    bucket::{self, Bucket},
    database::{Condition, Item, Key},
};

const VERSION: u32 = 1;
/// A conversation can be read this long.
const CONVERSATION_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// What is said in more bytes than this goes to the bucket. An item takes at most 400 KB.
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
    /// What was said, oldest first.
    pub messages: Vec<Message>,
    /// What the client's dialect wants to know of the last request.
    #[serde(default)]
    pub asked: Value,
    /// The order of the last answer's items.
    #[serde(default, skip_serializing_if = "Layout::is_empty")]
    pub layout: Layout,
}

/// A conversation as stored: as JSON, beside its owner or in the bucket.
#[derive(Serialize, Deserialize)]
struct Stored {
    owner: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said_key: Option<String>,
    expires: i64,
}

impl Conversations<'_> {
    /// Keeps a conversation of `owner`'s that ends with the run `id`.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn put(&self, id: RunId, owner: UserId, conversation: &Conversation) -> Result<(), StoreError> {
        let json = serde_json::to_string(conversation).map_err(StoreError::unreadable)?;
        let expires = Timestamp::now().plus(CONVERSATION_TTL).unix();
        let (said, said_key) = if json.len() <= INLINE_MAX_BYTES {
            (Some(json), None)
        } else {
            (None, Some(self.write_object(id, json).await?))
        };
        let stored = Stored { owner, said, said_key, expires };
        let item = Item::new(key(id), VERSION, &stored)?.expiring(expires);
        self.table.put(item, Condition::Always).await
    }

    /// The conversation of `owner`'s that ends with the run `id`.
    ///
    /// # Errors
    /// If the table or the bucket can't be read.
    pub async fn get(&self, id: RunId, owner: UserId) -> Result<Option<Conversation>, StoreError> {
        let Some(stored) = self.stored(id, owner).await? else { return Ok(None) };
        let json = match (stored.said, stored.said_key) {
            (Some(json), _) => json,
            (None, Some(key)) => bucket::read_text(self.bucket, &key).await?,
            (None, None) => return Ok(None),
        };
        serde_json::from_str(&json).map(Some).map_err(StoreError::unreadable)
    }

    /// Deletes the conversation of `owner`'s that ends with the run `id`; whether there was one.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn delete(&self, id: RunId, owner: UserId) -> Result<bool, StoreError> {
        let Some(stored) = self.stored(id, owner).await? else { return Ok(false) };
        // The object first: what points to it is how it is found when this is tried again.
        if let Some(key) = stored.said_key {
            self.bucket.delete(&key).await?;
        }
        self.table.delete(key(id)).await?;
        Ok(true)
    }

    async fn stored(&self, id: RunId, owner: UserId) -> Result<Option<Stored>, StoreError> {
        let stored = self.table.get::<Stored>(&key(id)).await?;
        // TTL deletes late.
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
