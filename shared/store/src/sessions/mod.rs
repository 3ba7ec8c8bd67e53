//! Sessions: conversations of several turns, with their messages.
//!
//! A session's record is read and written whole, under its revision. Each message is an item of its own, under its sequence
//! number, which is also in its id: a message is found by its id without an index. `turns.rs` has the lease under which
//! messages are appended, `messages.rs` the messages, `places.rs` the order of the turns that wait for the lease.

mod messages;
mod places;
mod quota;
mod turns;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hearth_domain::{Owner, RevisionId, Session, SessionId, SessionMessage, SessionStatus, Timestamp};
use serde::{Deserialize, Serialize};

pub use messages::{MessagePage, SessionPath};
pub use turns::{LeaseRequest, SessionChange, TurnLease, TurnLeaseOutcome};

use crate::{
    Store, StoreError, Table,
    bucket::Bucket,
    database::{Condition, Cursor, Index, Item, Key, META, Query, Sort, Write},
    owned::OwnedEntry,
    quota::{OwnersSums, QuotaKind, Quotas},
};

const VERSION: u32 = 1;
/// Prefix of a session's partition key, before its id.
const PK_PREFIX: &str = "SESS#";
/// Prefix of the partitions of closed sessions in the second index, before the shard.
const CLOSED: &str = "CLOSEDSESSIONS#";
/// Sessions that are closed at a time, when their user leaves the organisation.
const CLOSE_CHUNK_COUNT: u32 = 100;
/// Messages of an import that are written at a time.
const IMPORT_CHUNK_COUNT: usize = 50;
/// Partitions of the closed sessions.
const SHARDS: u64 = 8;

/// The sessions.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    pub(crate) table: &'a Table,
    pub(crate) bucket: &'a dyn Bucket,
    pub(crate) quotas: Quotas,
}

/// A position in the list of a user's sessions: the session before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPosition {
    /// The session's id.
    pub id: SessionId,
    /// The time of its last use, when the list was read.
    pub last_used_at: Timestamp,
}

/// A page of a user's sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionPage {
    /// The sessions, the last used one first.
    pub sessions: Vec<Session>,
    /// The position of the next page; `None` after the last one.
    pub next: Option<SessionPosition>,
}

/// A session's record as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The session, as JSON.
    record: String,
    /// A copy of its revision, for conditions.
    revision: RevisionId,
}

impl Store {
    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { table: &self.table, bucket: &*self.bucket, quotas: self.quotas.sessions }
    }
}

impl Sessions<'_> {
    /// Stores a new session, within the quotas of its owner. The entry in its user's index first, so that no session lacks one.
    ///
    /// # Errors
    /// `Conflict` if the id is taken; `OverQuota`.
    pub async fn create(&self, session: &mut Session) -> Result<(), StoreError> {
        let entry = OwnedEntry::Session(session.id);
        self.table.write_in_order(vec![entry.write(session.owner)?]).await?;
        let created = self.put_counted(session).await;
        if matches!(created, Err(StoreError::OverQuota(_))) {
            self.table.delete(entry.key(session.owner)).await?;
        }
        created
    }

    /// Stores a new session with messages, which have their ids. The messages first, so that no reader finds a part of them.
    /// A repetition, also at the same time, writes what is missing, if its ids are the same.
    ///
    /// # Errors
    /// `Conflict` if the session exists; `OverQuota`, and then nothing is stored.
    pub async fn import(&self, session: &Session, messages: &[SessionMessage]) -> Result<(), StoreError> {
        if self.table.get_item(&key(session.id, META)).await?.is_some() {
            return Err(StoreError::Conflict);
        }
        let stored_bytes = messages.iter().map(messages::size_of).sum();
        let session = &mut Session { stored_bytes, ..session.clone() };
        // Before the messages are written for nothing.
        let sums = OwnersSums::of(QuotaKind::Sessions, session.owner());
        sums.check(self.table, stored_bytes, 1, self.quotas).await?;
        self.table.write_in_order(vec![OwnedEntry::Session(session.id).write(session.owner)?]).await?;
        for chunk in messages.chunks(IMPORT_CHUNK_COUNT) {
            let writes: Vec<_> =
                chunk.iter().map(|message| self.import_message(session.id, message)).collect();
            stream::iter(writes).buffer_unordered(IMPORT_CHUNK_COUNT).try_collect::<()>().await?;
        }
        let created = self.put_counted(session).await;
        if matches!(created, Err(StoreError::OverQuota(_))) {
            self.delete(session).await?;
        }
        created
    }

    /// Writes a message, unless it is there already.
    async fn import_message(&self, id: SessionId, message: &SessionMessage) -> Result<(), StoreError> {
        let write = Write::Put(self.message_item(id, message).await?, Condition::Absent);
        let written = self.table.transact(vec![write.clone()]).await;
        self.discard_unless_written(id, &written, &[write]).await;
        match written {
            Err(StoreError::Conflict) => Ok(()),
            result => result,
        }
    }

    /// The session of `owner` with this id, unless it has expired.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: SessionId, owner: Owner) -> Result<Option<Session>, StoreError> {
        let session = self.read(id).await?;
        Ok(session.filter(|session| session.owner() == owner && !session.is_expired(Timestamp::now())))
    }

    /// The session with this id, whoever owns it, and expired or not: for exports and erasures.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn read(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let Some(item) = self.table.get_item(&key(id, META)).await? else { return Ok(None) };
        read(&item).map(Some)
    }

    /// A page of the owner's sessions in this state, the last used one first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        owner: Owner,
        status: SessionStatus,
        after: Option<SessionPosition>,
        limit: u32,
    ) -> Result<SessionPage, StoreError> {
        let pk = list_pk(owner, status);
        let mut query = Query::of(Index::Gsi1, &pk, Sort::All).descending();
        // One more, so that the last page is followed by no empty one.
        query.limit = Some(limit.saturating_add(1));
        query.after = after.map(|after| Cursor {
            key: key(after.id, META),
            index: Some(Key::new(&pk, list_sk(after.last_used_at, after.id))),
        });
        let page = self.table.page(&query).await?;
        let now = Timestamp::now();
        let items = page.items.iter().take(limit as usize);
        let sessions = items.map(read).collect::<Result<Vec<_>, _>>()?;
        let has_more = page.next.is_some() || page.items.len() > sessions.len();
        let last =
            sessions.last().map(|last| SessionPosition { id: last.id, last_used_at: last.last_used_at });
        let next = last.filter(|_| has_more);
        // The sweep deletes expired sessions late.
        let sessions = sessions.into_iter().filter(|session| !session.is_expired(now)).collect();
        Ok(SessionPage { sessions, next })
    }

    /// Stores the fields of a session, which then has another revision. Its messages aren't changed.
    ///
    /// # Errors
    /// `Conflict` if the session was changed since it was read, or was deleted.
    pub async fn update(&self, session: &mut Session) -> Result<(), StoreError> {
        let (changed, write) = update_write(session)?;
        self.table.transact(vec![write]).await?;
        *session = changed;
        Ok(())
    }

    /// Closes the owner's sessions, to be deleted at `expires_at`: their user has left the organisation. One that a turn changes
    /// at the same time is tried again once.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn close_all(&self, owner: Owner, expires_at: Timestamp) -> Result<(), StoreError> {
        for status in [SessionStatus::Open, SessionStatus::Archived].repeat(2) {
            let mut after = None;
            loop {
                let page = self.page(owner, status, after, CLOSE_CHUNK_COUNT).await?;
                for mut session in page.sessions {
                    session.status = SessionStatus::Closed;
                    session.closed_at = Some(Timestamp::now());
                    session.expires_at = Some(expires_at);
                    match self.update(&mut session).await {
                        Ok(()) | Err(StoreError::Conflict) => {}
                        Err(error) => return Err(error),
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Deletes a session with its messages and their objects; the entry in its user's index last, so that a deletion that was
    /// interrupted can be repeated.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn delete(&self, session: &Session) -> Result<(), StoreError> {
        self.erase(session.id).await?;
        self.table.delete(OwnedEntry::Session(session.id).key(session.owner)).await
    }

    /// The closed sessions that are to be deleted by `now`, `limit` at most.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn expired(&self, now: Timestamp, limit: u32) -> Result<Vec<Session>, StoreError> {
        let mut expired = Vec::new();
        for shard in 0..SHARDS {
            let range = Sort::Between("0".to_owned(), now.to_string());
            let mut query = Query::of(Index::Gsi2, format!("{CLOSED}{shard}"), range);
            query.limit = Some(limit);
            let page = self.table.page(&query).await?;
            expired.extend(page.items.iter().filter_map(|item| read(item).ok()));
        }
        expired.truncate(limit as usize);
        Ok(expired)
    }
}

/// The session with another revision, and the write that stores it in place of the one before.
fn update_write(session: &Session) -> Result<(Session, Write), StoreError> {
    let unchanged = Condition::AttributeEquals("revision", session.revision.to_string());
    let changed = Session { revision: RevisionId::new(), ..session.clone() };
    let write = Write::Put(item(&changed)?, unchanged);
    Ok((changed, write))
}

fn item(session: &Session) -> Result<Item, StoreError> {
    let record = serde_json::to_string(session).map_err(StoreError::unreadable)?;
    let item = Item::new(key(session.id, META), VERSION, &Stored { record, revision: session.revision })?
        .in_gsi1(list_pk(session.owner(), session.status), list_sk(session.last_used_at, session.id));
    Ok(match session.expires_at {
        Some(at) => {
            let shard = session.created_at.unix_millis() % SHARDS;
            item.in_gsi2(format!("{CLOSED}{shard}"), format!("{at}#{}", session.id))
        }
        None => item,
    })
}

fn read(item: &Item) -> Result<Session, StoreError> {
    serde_json::from_str(&item.read::<Stored>()?.record).map_err(StoreError::unreadable)
}

fn pk(id: SessionId) -> String {
    format!("{PK_PREFIX}{id}")
}

fn key(id: SessionId, sk: &str) -> Key {
    Key::new(pk(id), sk)
}

fn list_pk(owner: Owner, status: SessionStatus) -> String {
    format!("SESSIONS#{}#{}#{}", owner.organisation, owner.user, status.as_str())
}

fn list_sk(last_used_at: Timestamp, id: SessionId) -> String {
    format!("{last_used_at}#{id}")
}
