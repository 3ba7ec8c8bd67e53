//! The outbox of events: an entry for each event whose deliveries aren't stored yet.
//!
//! An entry is written before the change that the event is about, and deleted once the deliveries are stored. After the death of
//! a process the entries that are left say which events may be missing.

use std::time::Duration;

use hearth_domain::{EventId, EventKind, OrganisationId, Timestamp, UserId, WebhookId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, Query, Sort},
};

const VERSION: u32 = 1;
/// Partitions, so that none has the writes of all processes.
const SHARD_COUNT: u64 = 4;
/// Time for which an entry is stored.
const ENTRY_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// An event whose deliveries aren't stored yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The event's id.
    pub id: EventId,
    /// The kind.
    pub kind: EventKind,
    /// The subject.
    pub subject: String,
    /// The organisation.
    pub organisation: OrganisationId,
    /// The user, if the subject is a user's.
    #[serde(default)]
    pub user: Option<UserId>,
    /// The data.
    pub data: Value,
    /// The subject's own webhook.
    #[serde(default)]
    pub webhook: Option<WebhookId>,
    /// The subject's state is to be checked before it is sent later: the change may not have taken place.
    #[serde(default)]
    pub is_announced: bool,
    /// The time of an announced change, which the subject's record has too once it has taken place. It tells this change from the
    /// same one by another process. None where the record has no such time.
    #[serde(default)]
    pub changed_at: Option<Timestamp>,
}

/// The outbox.
#[derive(Debug, Clone, Copy)]
pub struct EventOutbox<'a>(&'a Table);

impl Store {
    /// The outbox of events.
    #[must_use]
    pub fn event_outbox(&self) -> EventOutbox<'_> {
        EventOutbox(&self.table)
    }
}

impl EventOutbox<'_> {
    /// Stores an entry.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, entry: &OutboxEntry) -> Result<(), StoreError> {
        let item = Item::new(key(entry.id), VERSION, entry)?;
        self.0.put(item.expiring(entry.id.created_at().plus(ENTRY_TTL).unix()), Condition::Always).await
    }

    /// Deletes an entry.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete(&self, id: EventId) -> Result<(), StoreError> {
        self.0.delete(key(id)).await
    }

    /// The entries that are older than `age`, oldest first. One that this version can't read is left out, and stays.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn older_than(&self, age: Duration) -> Result<Vec<OutboxEntry>, StoreError> {
        let now = Timestamp::now();
        let mut entries = Vec::new();
        for shard in 0..SHARD_COUNT {
            let items = self.0.query(Query::partition(partition(shard), Sort::All)).await?;
            for item in items {
                match item.read::<OutboxEntry>() {
                    Ok(entry) if entry.id.created_at().plus(age) <= now => entries.push(entry),
                    Ok(_) => {}
                    // One entry hides no other.
                    Err(error) => {
                        tracing::error!(%error, event = item.key.sk, "an entry of the outbox can't be read");
                    }
                }
            }
        }
        entries.sort_by_key(|entry| entry.id);
        Ok(entries)
    }
}

fn key(id: EventId) -> Key {
    Key::new(partition(id.created_at().unix_millis() % SHARD_COUNT), id.to_string())
}

fn partition(shard: u64) -> String {
    format!("OUTBOX#{shard}")
}
