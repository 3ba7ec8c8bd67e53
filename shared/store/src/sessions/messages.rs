//! The messages of a session: read by sequence number, or as the path of a branch.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hearth_domain::{
    Message, RevisionId, SessionId, SessionMessage, SessionMessageId, SessionStatus, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Sessions, key, pk};
use crate::{
    StoreError,
    bucket::{self},
    database::{Condition, Item, Key, META, Query, Sort, Write},
};

const VERSION: u32 = 1;
/// The shape of an object's entry.
const OBJECT_VERSION: u32 = 1;
/// Prefix of a message's sort key, before its sequence number.
const MESSAGE: &str = "MSG#";
/// A longer body is an object of the bucket.
const INLINE_BODY_MAX_BYTES: usize = 32 << 10;
/// Sequence numbers of a range of messages that a path reads at once.
const RANGE_MAX_COUNT: u32 = 64;
/// Bytes of the bodies of a page, unless its first message alone has more.
const PAGE_MAX_BYTES: u64 = 8 << 20;
/// Prefix of the sort key of an object's entry, before the revision that is in the object's key.
const OBJECT: &str = "OBJ#";
/// Objects that are read or deleted at the same time.
const CONCURRENT_OBJECTS: usize = 8;

/// A page of a session's messages, in the order of their sequence numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MessagePage {
    /// The messages; deleted ones too.
    pub messages: Vec<SessionMessage>,
    /// The sequence number after which the next page begins; `None` after the last one.
    pub next: Option<u32>,
}

/// The end of a path from the root to a message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionPath {
    /// The messages, oldest first; deleted ones too.
    pub messages: Vec<SessionMessage>,
    /// The message before the first of these; `None` if that is the root.
    pub before: Option<SessionMessageId>,
}

/// A message as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The message, but for its role and content, as JSON.
    record: String,
    /// A copy of its revision, for conditions.
    revision: RevisionId,
    /// Role and content, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The object with the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_key: Option<String>,
    /// The size of that object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_bytes: Option<u64>,
}

impl Stored {
    /// Bytes that the message takes, approximately.
    fn size(&self) -> u64 {
        let inline = self.record.len() + self.body.as_ref().map_or(0, String::len);
        inline as u64 + self.body_bytes.unwrap_or(0)
    }
}

/// The entry of an object, by which the deletion of a session finds it whatever has become of its message.
#[derive(Serialize, Deserialize)]
struct StoredObject {
    key: String,
}

impl Sessions<'_> {
    /// A page of the messages behind the sequence number `after`, of every branch. It has fewer than `limit` where they are
    /// large.
    ///
    /// # Errors
    /// If the table or the bucket can't be read.
    pub async fn messages(&self, id: SessionId, after: u32, limit: u32) -> Result<MessagePage, StoreError> {
        let mut query = Query::partition(pk(id), range(after.saturating_add(1), u32::MAX));
        query.limit = Some(limit.saturating_add(1));
        let page = self.table.page(&query).await?;
        let (mut records, mut bytes, mut has_more) = (Vec::new(), 0, page.next.is_some());
        for item in &page.items {
            let (record, stored) = read_record(item)?;
            bytes += stored.size();
            if records.len() >= limit as usize || (bytes > PAGE_MAX_BYTES && !records.is_empty()) {
                has_more = true;
                break;
            }
            records.push((record, stored));
        }
        let messages = self.with_bodies(records).await?;
        let next = messages.last().map(|last| last.id.seq()).filter(|_| has_more);
        Ok(MessagePage { messages, next })
    }

    /// A message, deleted or not.
    ///
    /// # Errors
    /// `Gone` if its object was deleted; else if the table or the bucket can't be read.
    pub async fn message(
        &self,
        id: SessionId,
        message: SessionMessageId,
    ) -> Result<Option<SessionMessage>, StoreError> {
        let Some(item) = self.table.get_item(&message_key(id, message.seq())).await? else { return Ok(None) };
        let stored = self.read_message(&item).await?;
        Ok(Some(stored).filter(|stored| stored.id == message))
    }

    /// The last `limit` messages of the path that ends with `head`, or fewer where they are large. The work is bounded by
    /// `limit` and the number of branches that leave the path.
    ///
    /// # Errors
    /// As for [`Sessions::message`].
    pub async fn path(
        &self,
        id: SessionId,
        head: Option<SessionMessageId>,
        limit: u32,
    ) -> Result<SessionPath, StoreError> {
        let (mut path, mut next, mut bytes) = (Vec::new(), head, 0);
        let limit = limit as usize;
        'path: while let Some(leaf) = next
            && path.len() < limit
        {
            let rest = u32::try_from(limit - path.len()).unwrap_or(u32::MAX).min(RANGE_MAX_COUNT);
            let first = leaf.seq().saturating_sub(rest - 1);
            let items = self.table.query(Query::partition(pk(id), range(first, leaf.seq()))).await?;
            let before = path.len();
            for item in items.iter().rev() {
                let Some(wanted) = next else { break };
                let (record, stored) = read_record(item)?;
                if record.id != wanted {
                    continue;
                }
                bytes += stored.size();
                if bytes > PAGE_MAX_BYTES && !path.is_empty() {
                    break 'path;
                }
                next = record.parent;
                path.push((record, stored));
            }
            if path.len() == before {
                // The message isn't there: a deletion of the session goes on.
                next = None;
            }
        }
        let mut messages = self.with_bodies(path).await?;
        messages.reverse();
        Ok(SessionPath { messages, before: next })
    }

    /// Stores a message in place of the one of before; it then has another revision. For the edit of a message, and for an
    /// answer whose process has died.
    ///
    /// # Errors
    /// `Conflict` if the message was changed since it was read, or isn't there.
    pub async fn put_message(&self, id: SessionId, message: &mut SessionMessage) -> Result<(), StoreError> {
        let (changed, write) = self.message_write(id, message).await?;
        let object = self.object_of(id, message).await?;
        let written = self.table.transact(vec![write.clone()]).await;
        self.discard_unless_written(id, &written, &[write]).await;
        written?;
        *message = changed;
        self.delete_object(id, object).await
    }

    /// The message with another revision, and the write that stores it in place of the one of before.
    pub(super) async fn message_write(
        &self,
        id: SessionId,
        message: &SessionMessage,
    ) -> Result<(SessionMessage, Write), StoreError> {
        let unchanged = Condition::AttributeEquals("revision", message.revision.to_string());
        let changed = SessionMessage { revision: RevisionId::new(), ..message.clone() };
        let write = Write::Put(self.message_item(id, &changed).await?, unchanged);
        Ok((changed, write))
    }

    /// The item of a message. Its body is in the bucket first, if it is long.
    pub(super) async fn message_item(
        &self,
        id: SessionId,
        message: &SessionMessage,
    ) -> Result<Item, StoreError> {
        let record = serde_json::to_string(message).map_err(StoreError::unreadable)?;
        let json = serde_json::to_string(&message.message).map_err(StoreError::unreadable)?;
        let (mut body, mut body_key, mut body_bytes) = (None, None, None);
        if json.len() <= INLINE_BODY_MAX_BYTES {
            body = Some(json);
        } else {
            // The revision is new with each write, so no object is ever replaced.
            let key = format!("sessions/{id}/{}", message.revision);
            body_bytes = Some(json.len() as u64);
            // Its entry first: no object lacks one.
            let entry = StoredObject { key: key.clone() };
            let entry = Item::new(object_entry(id, &key), OBJECT_VERSION, &entry)?;
            self.table.put(entry, Condition::Always).await?;
            self.bucket.put(&key, "application/json", json.into_bytes()).await?;
            body_key = Some(key);
        }
        let stored = Stored { record, revision: message.revision, body, body_key, body_bytes };
        Item::new(message_key(id, message.id.seq()), VERSION, &stored)
    }

    /// The object of a message as it is stored.
    pub(super) async fn object_of(
        &self,
        id: SessionId,
        message: &SessionMessage,
    ) -> Result<Option<String>, StoreError> {
        Ok(self.stored_size(id, message).await?.1)
    }

    /// The bytes of a message as it is stored, and its object.
    pub(super) async fn stored_size(
        &self,
        id: SessionId,
        message: &SessionMessage,
    ) -> Result<(u64, Option<String>), StoreError> {
        let item = self.table.get_item(&message_key(id, message.id.seq())).await?;
        Ok(item.as_ref().map_or((0, None), |item| (size_of_item(item), object_of(item))))
    }

    /// Deletes the object of a body that was replaced. One that can't be deleted goes with its session, by its entry.
    pub(super) async fn delete_object(
        &self,
        id: SessionId,
        object: Option<String>,
    ) -> Result<(), StoreError> {
        let Some(object) = object else { return Ok(()) };
        self.bucket.delete(&object).await?;
        self.table.delete(object_entry(id, &object)).await
    }

    /// Deletes the objects of messages whose transaction has failed.
    pub(super) async fn discard_unless_written(
        &self,
        id: SessionId,
        written: &Result<(), StoreError>,
        writes: &[Write],
    ) {
        // After another failure the writes may have taken place.
        if !matches!(written, Err(StoreError::Conflict)) {
            return;
        }
        for write in writes {
            if let Write::Put(item, _) = write
                && let Err(error) = self.delete_object(id, object_of(item)).await
            {
                tracing::warn!(session = %id, %error, "an unused object can't be deleted; it goes with its session");
            }
        }
    }

    /// Deletes everything of a session but its entry in the user's index. First the session is ended, so that turns and edits
    /// in progress fail; then the messages, the objects by their entries, and last the record.
    pub(crate) async fn erase(&self, id: SessionId) -> Result<(), StoreError> {
        self.end(id).await?;
        loop {
            let page = self.table.page(&Query::partition(pk(id), Sort::Prefix(MESSAGE.to_owned()))).await?;
            let objects = page.items.iter().filter_map(object_of).collect();
            self.delete_objects(objects).await?;
            self.delete_items(page.items.into_iter().map(|item| item.key).collect()).await?;
            if page.next.is_none() {
                break;
            }
        }
        let rest = self.table.query(Query::partition(pk(id), Sort::All)).await?;
        let entries = rest.iter().filter(|item| item.key.sk.starts_with(OBJECT));
        let objects = entries.filter_map(|item| item.read::<StoredObject>().ok()).map(|object| object.key);
        self.delete_objects(objects.collect()).await?;
        let keys = rest.into_iter().map(|item| item.key);
        self.delete_items(keys.filter(|key| key.sk != META).collect()).await?;
        self.delete_counted(id).await
    }

    /// Ends a session: nothing can be written to it any more.
    async fn end(&self, id: SessionId) -> Result<(), StoreError> {
        loop {
            let Some(mut session) = self.read(id).await? else { return Ok(()) };
            if session.is_expired(Timestamp::now()) {
                return Ok(());
            }
            session.status = SessionStatus::Closed;
            session.expires_at = Some(Timestamp::now());
            match self.update(&mut session).await {
                Err(StoreError::Conflict) => {}
                result => return result,
            }
        }
    }

    async fn delete_objects(&self, objects: Vec<String>) -> Result<(), StoreError> {
        let delete = |object: String| async move { self.bucket.delete(&object).await };
        stream::iter(objects).map(delete).buffer_unordered(CONCURRENT_OBJECTS).try_collect::<()>().await
    }

    async fn delete_items(&self, keys: Vec<Key>) -> Result<(), StoreError> {
        let delete = |key| self.table.delete(key);
        stream::iter(keys).map(delete).buffer_unordered(CONCURRENT_OBJECTS).try_collect::<()>().await
    }

    async fn with_bodies(
        &self,
        records: Vec<(SessionMessage, Stored)>,
    ) -> Result<Vec<SessionMessage>, StoreError> {
        // Collected first: a stream with a closure over references isn't `Send` for every lifetime.
        let reads: Vec<_> =
            records.into_iter().map(|(record, stored)| self.with_body(record, stored)).collect();
        stream::iter(reads).buffered(CONCURRENT_OBJECTS).try_collect().await
    }

    async fn read_message(&self, item: &Item) -> Result<SessionMessage, StoreError> {
        let (record, stored) = read_record(item)?;
        self.with_body(record, stored).await
    }

    async fn with_body(&self, record: SessionMessage, stored: Stored) -> Result<SessionMessage, StoreError> {
        let json = match (stored.body, stored.body_key) {
            (Some(json), _) => json,
            (None, Some(key)) => bucket::read_text(self.bucket, &key).await?,
            (None, None) => return Err(StoreError::Unreadable("a message without its body".to_owned())),
        };
        let message: Message = serde_json::from_str(&json).map_err(StoreError::unreadable)?;
        Ok(SessionMessage { message, ..record })
    }
}

fn read_record(item: &Item) -> Result<(SessionMessage, Stored), StoreError> {
    let stored: Stored = item.read()?;
    Ok((serde_json::from_str(&stored.record).map_err(StoreError::unreadable)?, stored))
}

/// The bytes of a message that a quota counts, approximately.
pub(super) fn size_of(message: &SessionMessage) -> u64 {
    let length = |json: serde_json::Result<String>| json.map_or(0, |json| json.len() as u64);
    length(serde_json::to_string(message)) + length(serde_json::to_string(&message.message))
}

/// The same of a message's item.
pub(super) fn size_of_item(item: &Item) -> u64 {
    item.read::<Stored>().map_or(0, |stored| stored.size())
}

/// The object that a message's item names.
fn object_of(item: &Item) -> Option<String> {
    item.read::<Stored>().ok()?.body_key
}

/// The key of an object's entry.
fn object_entry(id: SessionId, object: &str) -> Key {
    let revision = object.rsplit('/').next().unwrap_or_default();
    key(id, &format!("{OBJECT}{revision}"))
}

/// The sort keys of these sequence numbers.
fn range(first: u32, last: u32) -> Sort {
    Sort::Between(message_sk(first), message_sk(last))
}

pub(super) fn message_key(id: SessionId, seq: u32) -> Key {
    key(id, &message_sk(seq))
}

fn message_sk(seq: u32) -> String {
    format!("{MESSAGE}{seq:012}")
}
