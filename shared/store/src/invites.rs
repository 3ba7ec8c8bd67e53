//! Invitations into organisations. The code that an invitation is accepted by is stored as its hash.
//!
//! An invitation is used once: the transaction that adds the member deletes it.

use hearth_domain::{InviteId, MemberRole, OrganisationId, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Write},
    organisations::{MemberRecord, OrganisationRecord, Organisations},
    users::{UserRecord, create_writes},
};

const VERSION: u32 = 1;

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRecord {
    /// The record's id.
    pub id: InviteId,
    /// SHA-256 of the code, hexadecimal.
    pub hash: String,
    /// The organisation.
    pub organisation: OrganisationId,
    /// The role that the new member gets.
    pub role: MemberRole,
    /// The teams that the new member joins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<TeamId>,
    /// The only address that may accept it. None: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The member who made it.
    pub invited_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Registrations by it that failed because their address had an account.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conflicts: u32,
}

/// The invitations.
#[derive(Debug, Clone, Copy)]
pub struct Invites<'a>(pub(crate) &'a Table);

impl Store {
    /// Invitations into organisations.
    #[must_use]
    pub fn invites(&self) -> Invites<'_> {
        Invites(&self.table)
    }
}

impl Invites<'_> {
    /// Stores a new invitation.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn create(&self, invite: &InviteRecord) -> Result<(), StoreError> {
        let item = Item::new(key(&invite.hash), VERSION, invite)?;
        let item = item.in_gsi1(list_pk(invite.organisation), invite.id.to_string());
        self.0.put(item.expiring(invite.expires_at.unix()), Condition::Absent).await
    }

    /// The invitation whose code has this hash, if it can still be accepted.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn by_hash(&self, hash: &str) -> Result<Option<InviteRecord>, StoreError> {
        let invite = self.0.get::<InviteRecord>(&key(hash)).await?;
        // The database deletes expired items late.
        Ok(invite.filter(|invite| Timestamp::now() < invite.expires_at))
    }

    /// The invitations of an organisation that can still be accepted, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, organisation: OrganisationId) -> Result<Vec<InviteRecord>, StoreError> {
        let items = self.0.query(Query::of(Index::Gsi1, list_pk(organisation), Sort::All)).await?;
        let invites: Result<Vec<InviteRecord>, StoreError> = items.iter().map(Item::read).collect();
        let now = Timestamp::now();
        Ok(invites?.into_iter().filter(|invite| now < invite.expires_at).collect())
    }

    /// Deletes an invitation. Returns false if it was accepted or deleted meanwhile.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete(&self, invite: &InviteRecord) -> Result<bool, StoreError> {
        match self.0.transact(vec![consume(&invite.hash)]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Counts a registration whose address has an account. At `max` the invitation is deleted.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn count_conflict(&self, invite: &InviteRecord, max: u32) -> Result<(), StoreError> {
        let conflicts = invite.conflicts.saturating_add(1);
        if conflicts >= max {
            return self.delete(invite).await.map(drop);
        }
        let item = Item::new(key(&invite.hash), VERSION, &InviteRecord { conflicts, ..invite.clone() })?;
        let item = item.in_gsi1(list_pk(invite.organisation), invite.id.to_string());
        // Of conflicts at the same moment each is counted: the write is conditional on the number that was read.
        let unchanged = Condition::NumberAtMost("conflicts", invite.conflicts.into());
        let unchanged = Condition::All(vec![Condition::Exists, unchanged]);
        match self.0.put(item.expiring(invite.expires_at.unix()), unchanged).await {
            Err(StoreError::Conflict) => self.recount(invite, max).await,
            result => result,
        }
    }

    /// The same after another conflict, or the end of the invitation.
    async fn recount(&self, invite: &InviteRecord, max: u32) -> Result<(), StoreError> {
        match self.by_hash(&invite.hash).await? {
            Some(now) if now.conflicts > invite.conflicts => Box::pin(self.count_conflict(&now, max)).await,
            _ => Ok(()),
        }
    }

    /// Accepts an invitation: deletes it, adds the member to the organisation, and stores `new_user` if the member is one. All
    /// of it or nothing.
    ///
    /// # Errors
    /// `Conflict` if the invitation is used, the member is one already, another user has the address of `new_user`, or the
    /// organisation was changed meanwhile.
    pub async fn accept(
        &self,
        invite: &InviteRecord,
        organisation: &OrganisationRecord,
        member: &MemberRecord,
        new_user: Option<&UserRecord>,
    ) -> Result<(), StoreError> {
        let mut writes = vec![consume(&invite.hash)];
        writes.extend(Organisations::add_member_writes(organisation, member)?);
        if let Some(user) = new_user {
            writes.extend(create_writes(user)?);
        }
        self.0.transact(writes).await
    }

    /// Stores a new user who needs no invitation, with the membership.
    ///
    /// # Errors
    /// As for [`Invites::accept`].
    pub async fn create_member(
        &self,
        user: &UserRecord,
        organisation: &OrganisationRecord,
        member: &MemberRecord,
    ) -> Result<(), StoreError> {
        let mut writes = create_writes(user)?;
        writes.extend(Organisations::add_member_writes(organisation, member)?);
        self.0.transact(writes).await
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The write that uses up an invitation.
fn consume(hash: &str) -> Write {
    Write::Delete(key(hash), Condition::Exists)
}

fn key(hash: &str) -> Key {
    Key::new(format!("INVITE#{hash}"), META)
}

fn list_pk(organisation: OrganisationId) -> String {
    format!("INVITES#{organisation}")
}
