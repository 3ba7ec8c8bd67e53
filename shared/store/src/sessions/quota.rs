//! The quota of sessions: their number, and the bytes of their messages.
//!
//! A session has a grant of bytes, which counts in the sums of its user and organisation from the moment of the grant. Its
//! messages are counted in its record, which each of their writes changes anyway; only a larger grant is a transaction with the
//! sums, and each grant is at least as large as all before it. The grant is given back with the session's deletion.

use hearth_domain::{Session, SessionId, SessionMessage, Timestamp};

use super::{Sessions, item, key, messages::size_of, update_write};
use crate::{
    StoreError,
    database::{Condition, META, Write},
    quota::{OwnersSums, QuotaKind, signed},
};

/// The first grant of a session.
const FIRST_GRANT_BYTES: u64 = 4 << 10;
/// The most by which a grant is larger than is needed.
const GRANT_MARGIN_MAX_BYTES: u64 = 1 << 20;
/// Bytes for the answer of a turn. A longer one is stored too, and the next turn may be refused.
const ANSWER_RESERVE_BYTES: u64 = 1 << 10;
/// Attempts at a transaction that conflicts with others of the same owner.
const MAX_ATTEMPTS: usize = 12;

impl Sessions<'_> {
    /// Has a session's grant contain `bytes` more than its messages. `session` is read again if it was changed meanwhile.
    ///
    /// # Errors
    /// `OverQuota`; `Conflict` if the session was deleted.
    pub async fn reserve(&self, session: &mut Session, bytes: u64) -> Result<(), StoreError> {
        for attempt in 0..MAX_ATTEMPTS {
            // A session of an earlier version isn't counted.
            let Some(granted) = session.granted_bytes else { return Ok(()) };
            let needed = session.stored_bytes.saturating_add(bytes);
            if needed <= granted {
                return Ok(());
            }
            let sums = OwnersSums::of(QuotaKind::Sessions, session.owner());
            let least = needed - granted;
            let doubled = least.max(granted.min(GRANT_MARGIN_MAX_BYTES));
            // The exact number where twice as much doesn't fit.
            let grant = match sums.check(self.table, doubled, 0, self.quotas).await {
                Ok(()) if attempt * 2 < MAX_ATTEMPTS => doubled,
                _ => least,
            };
            if let Some(adds) = sums.add(grant, 0, self.quotas) {
                let draft = Session { granted_bytes: Some(granted + grant), ..session.clone() };
                let (changed, write) = update_write(&draft)?;
                match self.table.transact([write].into_iter().chain(adds).collect()).await {
                    Ok(()) => {
                        *session = changed;
                        return Ok(());
                    }
                    Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
            sums.check(self.table, least, 0, self.quotas).await?;
            let current = self.read(session.id).await?.ok_or(StoreError::Conflict)?;
            if current.is_expired(Timestamp::now()) {
                return Err(StoreError::Conflict);
            }
            *session = current;
        }
        Err(StoreError::Conflict)
    }

    /// Has a session's grant contain these messages, and a short answer to them.
    ///
    /// # Errors
    /// As for [`Sessions::reserve`].
    pub async fn reserve_for(
        &self,
        session: &mut Session,
        messages: &[SessionMessage],
    ) -> Result<(), StoreError> {
        let bytes = messages.iter().map(size_of).fold(ANSWER_RESERVE_BYTES, u64::saturating_add);
        self.reserve(session, bytes).await
    }

    /// Writes the record of a new session, with its first grant.
    pub(super) async fn put_counted(&self, session: &mut Session) -> Result<(), StoreError> {
        let granted = session.stored_bytes.max(FIRST_GRANT_BYTES);
        session.granted_bytes = Some(granted);
        let sums = OwnersSums::of(QuotaKind::Sessions, session.owner());
        for _ in 0..MAX_ATTEMPTS {
            if let Some(adds) = sums.add(granted, 1, self.quotas) {
                let write = Write::Put(item(session)?, Condition::Absent);
                match self.table.transact([write].into_iter().chain(adds).collect()).await {
                    Err(StoreError::Conflict) => {}
                    result => return result,
                }
            }
            if self.table.get_item(&key(session.id, META)).await?.is_some() {
                return Err(StoreError::Conflict);
            }
            sums.check(self.table, granted, 1, self.quotas).await?;
        }
        Err(StoreError::Conflict)
    }

    /// Deletes the record of a session, and gives its grant back.
    pub(super) async fn delete_counted(&self, id: SessionId) -> Result<(), StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(session) = self.read(id).await? else { return Ok(()) };
            let unchanged = Condition::AttributeEquals("revision", session.revision.to_string());
            let mut writes = vec![Write::Delete(key(id, META), unchanged)];
            let sums = OwnersSums::of(QuotaKind::Sessions, session.owner());
            if let Some(granted) = session.granted_bytes {
                writes.extend(sums.change(-signed(granted), -1));
            }
            match self.table.transact(writes).await {
                Ok(()) => return sums.delete_if_empty(self.table).await,
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}

/// Adds the bytes of messages to a session, or subtracts them. Returns the writes that have its grant contain them, whatever the
/// quota: an answer is stored, and the next turn is refused.
pub(super) fn count_bytes(session: &mut Session, bytes: i64) -> Vec<Write> {
    session.stored_bytes = session.stored_bytes.saturating_add_signed(bytes);
    let Some(granted) = session.granted_bytes else { return Vec::new() };
    let Some(excess) = session.stored_bytes.checked_sub(granted).filter(|excess| *excess > 0) else {
        return Vec::new();
    };
    let grant = excess.max(granted.min(GRANT_MARGIN_MAX_BYTES));
    session.granted_bytes = Some(granted + grant);
    let sums = OwnersSums::of(QuotaKind::Sessions, session.owner());
    sums.change(signed(grant), 0).into()
}
