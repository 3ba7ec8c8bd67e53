//! Turns of a session: one at a time, under a lease with a fencing token.
//!
//! Messages are appended in one transaction with the session's record, under the condition that the lease hasn't passed to
//! another turn. A process that has lost its lease can't write any more.

use std::time::Duration;

use hearth_domain::{
    RevisionId, RunId, Session, SessionId, SessionMessage, SessionMessageId, SessionSummary, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Sessions, key, messages::size_of_item, quota::count_bytes, update_write};
use crate::{
    StoreError,
    database::{Condition, Item, Key, Update, Write},
    quota::signed,
};

const VERSION: u32 = 1;
/// The sort key of a session's lease.
const TURN: &str = "TURN";
/// A lease's item is deleted this long after the turn's beginning. No turn takes so long.
const LEASE_ITEM_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Messages of one transaction, beside the session, its lease and the sums of its owner. DynamoDB's limit is 100 writes.
const APPEND_MAX_COUNT: usize = 90;
/// Attempts at a change while other fields of the session are changed by its user.
const CHANGE_MAX_ATTEMPTS: usize = 16;

/// A request for a session's lease.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRequest {
    /// The run of the turn. Turns that wait are ordered by it.
    pub run: RunId,
    /// The process, by an id of its own.
    pub process: RevisionId,
    /// True if no other process uses the store: leases of earlier ones are void.
    pub is_sole_process: bool,
    /// Time of the lease, unless it is renewed.
    pub ttl: Duration,
}

/// The right to append messages to a session, up to a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnLease {
    /// The session.
    pub session: SessionId,
    /// The run of the turn.
    pub run: RunId,
    /// The fencing token: the number of the session's turns so far.
    pub fence: u64,
}

/// The result of a request for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnLeaseOutcome {
    /// The turn begins.
    Leased(TurnLease),
    /// Another turn has the lease, or is before this one in the line.
    Busy {
        /// The run of that turn.
        run: RunId,
        /// The end of its lease or its place, unless it is renewed.
        until: Timestamp,
    },
}

/// A change of a session by a turn. The time of the last use is set with each.
#[derive(Debug, Clone, Default)]
pub struct SessionChange {
    /// State tokens that replace the ones of before.
    pub state_tokens: Option<Value>,
    /// A generated title, unless the session has one of its user's.
    pub automatic_title: Option<String>,
    /// A summary that replaces the one of before.
    pub summary: Option<SessionSummary>,
    /// The leaf that `head` takes the place of: if the session has another one by now, it keeps that.
    pub head_from: Option<SessionMessageId>,
    /// The appended messages are in another branch, which has no name: the active one keeps its leaf.
    pub leaves_branch: bool,
    /// The leaf that the active branch gets, or that it has none; appended messages move it anyway.
    pub head: Option<Option<SessionMessageId>>,
}

/// A lease as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    run: RunId,
    process: RevisionId,
    /// A text, as conditions compare texts.
    fence: String,
    until: Timestamp,
}

impl Stored {
    fn fence(&self) -> u64 {
        self.fence.parse().unwrap_or(0)
    }
}

impl Sessions<'_> {
    /// Takes the session's lease, unless another turn has it or waits for it since earlier. The session itself isn't read.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn lease(&self, id: SessionId, request: &LeaseRequest) -> Result<TurnLeaseOutcome, StoreError> {
        let now = Timestamp::now();
        let turn = turn_key(id);
        let (before, earlier) =
            tokio::try_join!(self.table.get::<Stored>(&turn), self.earlier_place(id, request))?;
        if let Some(before) = &before
            && before.until > now
            && before.run != request.run
            && !(request.is_sole_process && before.process != request.process)
        {
            return Ok(TurnLeaseOutcome::Busy { run: before.run, until: before.until });
        }
        if let Some((run, until)) = earlier {
            return Ok(TurnLeaseOutcome::Busy { run, until });
        }
        let fence = before.as_ref().map_or(0, Stored::fence) + 1;
        let stored = Stored {
            run: request.run,
            process: request.process,
            fence: fence.to_string(),
            until: now.plus(request.ttl),
        };
        let condition = match &before {
            Some(before) => Condition::AttributeEquals("fence", before.fence.clone()),
            None => Condition::Absent,
        };
        let item = Item::new(turn_key(id), VERSION, &stored)?.expiring(now.plus(LEASE_ITEM_TTL).unix());
        match self.table.put(item, condition).await {
            Ok(()) => Ok(TurnLeaseOutcome::Leased(TurnLease { session: id, run: request.run, fence })),
            // Another turn was faster.
            Err(StoreError::Conflict) => Ok(TurnLeaseOutcome::Busy { run: request.run, until: now }),
            Err(error) => Err(error),
        }
    }

    /// Extends a lease.
    ///
    /// # Errors
    /// `Conflict` if the lease has passed to another turn.
    pub async fn renew_lease(&self, lease: &TurnLease, ttl: Duration) -> Result<(), StoreError> {
        self.table.transact(vec![hold(lease, Timestamp::now().plus(ttl))]).await
    }

    /// Ends a lease, unless it has passed to another turn.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn release(&self, lease: &TurnLease) -> Result<(), StoreError> {
        match self.table.transact(vec![hold(lease, Timestamp::from_unix(0))]).await {
            Err(StoreError::Conflict) => Ok(()),
            result => result,
        }
    }

    /// The run whose turn has the session's lease; `None` if no turn is in progress.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn leased_by(&self, id: SessionId) -> Result<Option<RunId>, StoreError> {
        let stored = self.table.get::<Stored>(&turn_key(id)).await?;
        Ok(stored.filter(|stored| stored.until > Timestamp::now()).map(|stored| stored.run))
    }

    /// Appends messages after `parent`, each after the one before it, and moves the session's head to the last of them, in one
    /// transaction for each 90 messages. `session` is read again if it was changed meanwhile. Returns the messages with
    /// their ids.
    ///
    /// # Errors
    /// `Conflict` if the lease has passed to another turn, or the session was deleted.
    pub async fn append(
        &self,
        lease: &TurnLease,
        session: &mut Session,
        parent: Option<SessionMessageId>,
        messages: Vec<SessionMessage>,
        change: &SessionChange,
    ) -> Result<Vec<SessionMessage>, StoreError> {
        let (mut appended, mut parent) = (Vec::new(), parent);
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let chunk: Vec<_> = messages.by_ref().take(APPEND_MAX_COUNT).collect();
            let chunk = self.append_chunk(lease, session, parent, chunk, change).await?;
            parent = chunk.last().map(|last| last.id);
            appended.extend(chunk);
        }
        Ok(appended)
    }

    async fn append_chunk(
        &self,
        lease: &TurnLease,
        session: &mut Session,
        parent: Option<SessionMessageId>,
        mut messages: Vec<SessionMessage>,
        change: &SessionChange,
    ) -> Result<Vec<SessionMessage>, StoreError> {
        let numbered_from = None;
        let mut further =
            Further::Append { parent, messages: &mut messages, writes: Vec::new(), numbered_from };
        let written = self.change_under(lease, session, change, &mut further).await;
        if let Further::Append { writes, .. } = further {
            self.discard_unless_written(session.id, &written, &writes).await;
        }
        written.map(|()| messages)
    }

    /// Stores an answer in place of its pending message, and changes the session, in one transaction. The lease stays.
    ///
    /// # Errors
    /// `Conflict` if the lease has passed to another turn, or the message was changed meanwhile.
    pub async fn finish(
        &self,
        lease: &TurnLease,
        session: &mut Session,
        message: &mut SessionMessage,
        change: &SessionChange,
    ) -> Result<(), StoreError> {
        let (finished, write) = self.message_write(session.id, message).await?;
        let (bytes_before, object) = self.stored_size(session.id, message).await?;
        let bytes = signed(written_bytes(&write)) - signed(bytes_before);
        let mut further = Further::Write(write.clone(), bytes);
        let written = self.change_under(lease, session, change, &mut further).await;
        self.discard_unless_written(session.id, &written, &[write]).await;
        written?;
        *message = finished;
        self.delete_object(session.id, object).await
    }

    /// The further writes, with their effect on the session.
    async fn further_writes(
        &self,
        session: &mut Session,
        further: &mut Further<'_>,
    ) -> Result<Vec<Write>, StoreError> {
        match further {
            Further::Nothing => Ok(Vec::new()),
            Further::Write(write, bytes) => {
                let grant = count_bytes(session, *bytes);
                Ok([write.clone()].into_iter().chain(grant).collect())
            }
            Further::Append { parent, messages, writes, numbered_from } => {
                if *numbered_from != Some(session.last_seq) {
                    let conflict = Err(StoreError::Conflict);
                    self.discard_unless_written(session.id, &conflict, &std::mem::take(writes)).await;
                    let mut parent = *parent;
                    for (message, seq) in messages.iter_mut().zip(session.last_seq + 1..) {
                        message.id = SessionMessageId::with_seq(seq);
                        message.parent = parent.replace(message.id);
                        let item = self.message_item(session.id, message).await?;
                        writes.push(Write::Put(item, Condition::Absent));
                    }
                    *numbered_from = Some(session.last_seq);
                }
                if let Some(last) = messages.last() {
                    session.last_seq = last.id.seq();
                    session.move_head(Some(last.id));
                }
                let bytes = writes.iter().map(written_bytes).fold(0, u64::saturating_add);
                let grant = count_bytes(session, signed(bytes));
                Ok(writes.iter().cloned().chain(grant).collect())
            }
        }
    }

    /// Changes a session under a lease, and nothing else.
    ///
    /// # Errors
    /// `Conflict` as for [`Sessions::append`].
    pub async fn change(
        &self,
        lease: &TurnLease,
        session: &mut Session,
        change: &SessionChange,
    ) -> Result<(), StoreError> {
        self.change_under(lease, session, change, &mut Further::Nothing).await
    }

    /// Writes what `change` makes of the session, with further writes, under the lease.
    async fn change_under(
        &self,
        lease: &TurnLease,
        session: &mut Session,
        change: &SessionChange,
        further: &mut Further<'_>,
    ) -> Result<(), StoreError> {
        for attempt in 0.. {
            let mut draft = session.clone();
            draft.last_used_at = draft.last_used_at.max(Timestamp::now());
            change.apply(&mut draft);
            let mut writes = self.further_writes(&mut draft, further).await?;
            let (changed, write) = update_write(&draft)?;
            writes.push(write);
            writes.push(check(lease));
            match self.table.transact(writes).await {
                Ok(()) => {
                    *session = changed;
                    return Ok(());
                }
                Err(StoreError::Conflict) if attempt + 1 < CHANGE_MAX_ATTEMPTS => {}
                Err(error) => return Err(error),
            }
            // The user has changed a field of the session, or the lease is lost.
            let current = self.read(session.id).await?.ok_or(StoreError::Conflict)?;
            if current.revision == session.revision || current.is_expired(Timestamp::now()) {
                return Err(StoreError::Conflict);
            }
            *session = current;
        }
        Err(StoreError::Conflict)
    }
}

/// Writes beside that of the session.
enum Further<'a> {
    Nothing,
    /// A message in place of the one of before, and the bytes that it has more than that.
    Write(Write, i64),
    /// Messages, which get the next sequence numbers.
    Append {
        parent: Option<SessionMessageId>,
        messages: &'a mut Vec<SessionMessage>,
        writes: Vec<Write>,
        /// The latest sequence number when they were numbered.
        numbered_from: Option<u32>,
    },
}

impl SessionChange {
    fn apply(&self, session: &mut Session) {
        if let Some(tokens) = &self.state_tokens {
            session.state_tokens = Some(tokens.clone()).filter(|tokens| !tokens.is_null());
        }
        if let Some(title) = &self.automatic_title
            && (session.title.is_none() || session.is_title_automatic)
        {
            session.title = Some(title.clone());
            session.is_title_automatic = true;
        }
        if let Some(summary) = &self.summary {
            session.summary = Some(summary.clone());
        }
        if self.leaves_branch {
            session.branch = None;
        }
        if let Some(head) = self.head
            && self.head_from.is_none_or(|from| session.head == Some(from))
        {
            session.move_head(head);
        }
    }
}

/// The bytes of a message that is written.
fn written_bytes(write: &Write) -> u64 {
    match write {
        Write::Put(item, _) => size_of_item(item),
        _ => 0,
    }
}

/// The write that moves the end of a lease, if it hasn't passed to another turn.
fn hold(lease: &TurnLease, until: Timestamp) -> Write {
    let set = vec![("until", until.to_string().into())];
    Write::Update(turn_key(lease.session), Update { set, ..Update::default() }, is_held(lease))
}

/// The write that changes nothing, if the lease hasn't passed to another turn.
fn check(lease: &TurnLease) -> Write {
    let set = vec![("run", lease.run.to_string().into())];
    Write::Update(turn_key(lease.session), Update { set, ..Update::default() }, is_held(lease))
}

fn is_held(lease: &TurnLease) -> Condition {
    Condition::AttributeEquals("fence", lease.fence.to_string())
}

fn turn_key(id: SessionId) -> Key {
    key(id, TURN)
}
