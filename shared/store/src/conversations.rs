//! Conversations: the messages up to the end of a run, for a request that continues from it.
//!
//! A run's record has no prompt. A conversation has; it is stored if the client asked for it, and expires.

use std::time::Duration;

use hearth_domain::{Message, OrganisationId, Owner, RunId, Timestamp, UserId};
use hearth_wire::openai::responses::{ItemLayout, RenderOptions, sent_answer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    StoreError, Table,
    bucket::{self, Bucket},
    database::{Condition, Item, Key},
    owned::OwnedEntry,
};

const VERSION: u32 = 1;
/// The sort key of a run's conversation.
pub(crate) const CONVERSATION: &str = "CONVERSATION";
/// A longer conversation is stored in the bucket. DynamoDB's limit for an item is 400 KB.
const INLINE_MAX_BYTES: usize = 100 << 10;

/// Conversations, under the ids of runs.
#[derive(Debug, Clone, Copy)]
pub struct Conversations<'a> {
    pub(crate) table: &'a Table,
    pub(crate) bucket: &'a dyn Bucket,
    /// A conversation can be read for this time.
    pub(crate) ttl: Duration,
}

/// A conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// Number of the first messages, which are those of earlier responses; the last request has the others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier_count: usize,
    /// Fields of the last request that its response repeats.
    #[serde(default, rename = "asked")]
    pub request_echo: Value,
    /// The order of the last answer's items.
    #[serde(default, skip_serializing_if = "ItemLayout::is_empty")]
    pub layout: ItemLayout,
    /// The options with which the last answer's events are rendered.
    #[serde(default, skip_serializing_if = "RenderOptions::is_default")]
    pub render: RenderOptions,
    /// True until the last answer is stored: its run goes on, or has ended without a whole answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_open: bool,
}

impl Conversation {
    /// Returns the messages as a next request has them.
    #[must_use]
    pub fn into_sent(self) -> Vec<Message> {
        let Self { mut messages, layout, .. } = self;
        if let Some(answer) = messages.pop() {
            messages.push(sent_answer(answer, &layout));
        }
        messages
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A conversation as it is stored: JSON in the item, or in an object of the bucket.
#[derive(Serialize, Deserialize)]
struct Stored {
    owner: UserId,
    /// None in records from before there were organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organisation: Option<OrganisationId>,
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
    pub async fn put(&self, id: RunId, owner: Owner, conversation: &Conversation) -> Result<(), StoreError> {
        let json = serde_json::to_string(conversation).map_err(StoreError::unreadable)?;
        let expires = Timestamp::now().plus(self.ttl).unix();
        // The run's record may come later, or never if its process dies.
        self.table.write_in_order(vec![OwnedEntry::Run(id).write_for(owner.user, self.ttl)?]).await?;
        let (json, object) = if json.len() <= INLINE_MAX_BYTES {
            (Some(json), None)
        } else {
            (None, Some(self.write_object(id, json).await?))
        };
        let (owner, organisation) = (owner.user, Some(owner.organisation));
        let stored = Stored { owner, organisation, json, object, expires };
        let item = Item::new(key(id), VERSION, &stored)?.expiring(expires);
        self.table.put(item, Condition::Always).await
    }

    /// Returns the conversation of `owner` that ends with the run `id`.
    ///
    /// # Errors
    /// If the table or the bucket can't be read.
    pub async fn get(&self, id: RunId, owner: Owner) -> Result<Option<Conversation>, StoreError> {
        let Some(stored) = self.stored(id, owner).await? else { return Ok(None) };
        self.read(stored).await
    }

    /// Returns the conversation that ends with the run `id`, if it is the user's: in any organisation, or in `only`.
    ///
    /// # Errors
    /// As for [`Conversations::get`].
    pub async fn of_user(
        &self,
        id: RunId,
        user: UserId,
        only: Option<OrganisationId>,
    ) -> Result<Option<Conversation>, StoreError> {
        let stored = self.table.get::<Stored>(&key(id)).await?;
        let is_included = |stored: &Stored| {
            let owner = Owner::of_record(stored.owner, stored.organisation);
            owner.user == user && only.is_none_or(|only| owner.organisation == only)
        };
        match stored.filter(|stored| is_included(stored) && !self.has_expired(id, stored)) {
            Some(stored) => self.read(stored).await,
            None => Ok(None),
        }
    }

    async fn read(&self, stored: Stored) -> Result<Option<Conversation>, StoreError> {
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
    pub async fn delete(&self, id: RunId, owner: Owner) -> Result<bool, StoreError> {
        let Some(stored) = self.stored(id, owner).await? else { return Ok(false) };
        // The object first: if its deletion fails, the item still has its key for the next attempt.
        if let Some(key) = stored.object {
            self.bucket.delete(&key).await?;
        }
        self.table.delete(key(id)).await?;
        Ok(true)
    }

    async fn stored(&self, id: RunId, owner: Owner) -> Result<Option<Stored>, StoreError> {
        let stored = self.table.get::<Stored>(&key(id)).await?;
        Ok(stored.filter(|stored| {
            Owner::of_record(stored.owner, stored.organisation) == owner && !self.has_expired(id, stored)
        }))
    }

    /// True if a conversation has expired. The database deletes expired items late; and a shorter time of records holds for
    /// earlier ones too.
    fn has_expired(&self, id: RunId, stored: &Stored) -> bool {
        stored.expires.min(id.created_at().plus(self.ttl).unix()) <= Timestamp::now().unix()
    }

    async fn write_object(&self, id: RunId, json: String) -> Result<String, StoreError> {
        let key = format!("runs/{id}/conversation");
        self.bucket.put(&key, "application/json", json.into_bytes()).await?;
        Ok(key)
    }
}

fn key(id: RunId) -> Key {
    Key::new(format!("RUN#{id}"), CONVERSATION)
}

/// The object that a conversation's item names.
pub(crate) fn object_of(item: &Item) -> Option<String> {
    item.read::<Stored>().ok()?.object
}
