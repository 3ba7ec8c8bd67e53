//! Users: their profiles, and their addresses, which are unique.

use hearth_domain::{ErasureId, LoginId, Preferences, RevisionId, Timestamp, UserId, hex, normalized_email};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    StoreError, Table,
    database::{Condition, Cursor, Index, Item, Key, Query, Sort, Write},
};

const VERSION: u32 = 1;
/// The sort key of a profile.
pub(crate) const PROFILE: &str = "PROFILE";
/// The sort key of an address' item, and of the partition of all users in the index.
const UNIQUE: &str = "UNIQUE";
const USERS: &str = "USERS";
/// Attempts at a change whose user is changed by others at the same time.
const CHANGE_ATTEMPT_MAX_COUNT: u32 = 20;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Their id.
    pub id: UserId,
    /// Their address, as they wrote it. None: they have no sign-in of their own, as the operator at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their name.
    pub name: String,
    /// The hash of their password, a PHC string. None: they can't sign in by a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// When they last set a password. A code that was made before can't set another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_set_at: Option<Timestamp>,
    /// Their preferences.
    #[serde(default)]
    pub preferences: Preferences,
    /// When they were created.
    pub created_at: Timestamp,
    /// When an operator disabled them, or their erasure began. None of their credentials is valid from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Their erasure, once it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erasure: Option<ErasureId>,
    /// The latest end of all of their logins. Those that were opened before are no longer valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logins_ended: Option<LoginsEnded>,
    /// Changes with each write of the record.
    pub revision: RevisionId,
}

/// The end of all logins of a user at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginsEnded {
    /// Logins that were opened at this time or before have ended.
    pub at: Timestamp,
    /// The login that goes on: the one that ended the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<LoginId>,
}

impl UserRecord {
    /// A new user without an address, who is created now.
    #[must_use]
    pub fn new(id: UserId, name: impl Into<String>) -> Self {
        Self {
            id,
            email: None,
            name: name.into(),
            password_hash: None,
            password_set_at: None,
            preferences: Preferences::default(),
            created_at: Timestamp::now(),
            disabled_at: None,
            logins_ended: None,
            erasure: None,
            revision: RevisionId::new(),
        }
    }
}

/// The owner of an address.
#[derive(Serialize, Deserialize)]
struct AddressOwner {
    user: UserId,
}

/// The users.
#[derive(Debug, Clone, Copy)]
pub struct Users<'a>(pub(crate) &'a Table);

impl Users<'_> {
    /// Stores a new user.
    ///
    /// # Errors
    /// `Conflict` if the user exists, or another one has the address.
    pub async fn create(&self, user: &UserRecord) -> Result<(), StoreError> {
        self.0.transact(create_writes(user)?).await
    }

    /// A user.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        self.0.get(&key(id)).await
    }

    /// The id of the user who has an address, in any spelling of it.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn id_of_address(&self, email: &str) -> Result<Option<UserId>, StoreError> {
        let owner = self.0.get::<AddressOwner>(&address_key(email)).await?;
        Ok(owner.map(|owner| owner.user))
    }

    /// The user who has an address, in any spelling of it.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn by_address(&self, email: &str) -> Result<Option<UserRecord>, StoreError> {
        match self.id_of_address(email).await? {
            Some(id) => self.get(id).await,
            None => Ok(None),
        }
    }

    /// Changes a user, and their address with them. `change` is called again if another change comes first; it returns false
    /// to leave the user as they are. Returns the user after the change, and none if there is none.
    ///
    /// # Errors
    /// `Conflict` if another user has the new address, or the others' changes don't end.
    pub async fn change(
        &self,
        id: UserId,
        change: impl Fn(&mut UserRecord) -> bool,
    ) -> Result<Option<UserRecord>, StoreError> {
        for _ in 0..CHANGE_ATTEMPT_MAX_COUNT {
            let Some(before) = self.get(id).await? else { return Ok(None) };
            let mut after = before.clone();
            if !change(&mut after) {
                return Ok(Some(before));
            }
            after.revision = RevisionId::new();
            match self.0.transact(change_writes(&before, &after)?).await {
                Ok(()) => return Ok(Some(after)),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
            if let Some(email) = &after.email
                && self.id_of_address(email).await?.is_some_and(|owner| owner != id)
            {
                return Err(StoreError::Conflict);
            }
        }
        Err(StoreError::Conflict)
    }

    /// A page of the users behind `after`, by the time of their creation, and whether more follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<(Vec<UserRecord>, bool), StoreError> {
        let mut query = Query { limit: Some(limit), ..Query::of(Index::Gsi1, USERS, Sort::All) };
        query.after = after.map(|id| Cursor { key: key(id), index: Some(Key::new(USERS, id.to_string())) });
        let page = self.0.page(&query).await?;
        let users: Result<Vec<UserRecord>, StoreError> = page.items.iter().map(Item::read).collect();
        Ok((users?, page.next.is_some()))
    }

    /// Deletes a user's profile and frees their address. The last step of an erasure.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn delete(&self, id: UserId) -> Result<(), StoreError> {
        let Some(user) = self.get(id).await? else { return Ok(()) };
        // The address first: without the profile it couldn't be found.
        if let Some(email) = &user.email {
            let owner = Condition::AttributeEquals("user", id.to_string());
            match self.0.transact(vec![Write::Delete(address_key(email), owner)]).await {
                // It is free already, or another user's.
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        self.0.delete(key(id)).await
    }
}

/// The writes that store a new user, as a part of a transaction. They conflict with a user who exists, or has the address.
pub(crate) fn create_writes(user: &UserRecord) -> Result<Vec<Write>, StoreError> {
    let mut writes = vec![Write::Put(profile_item(user)?, Condition::Absent)];
    if let Some(email) = &user.email {
        writes.push(claim(email, user.id)?);
    }
    Ok(writes)
}

/// The writes that replace a user's record, as a part of a transaction. They conflict with another change of the user, and
/// with another user who has the new address.
pub(crate) fn change_writes(before: &UserRecord, after: &UserRecord) -> Result<Vec<Write>, StoreError> {
    let unchanged = Condition::AttributeEquals("revision", before.revision.to_string());
    let mut writes = vec![Write::Put(profile_item(after)?, unchanged)];
    let (old, new) = (before.email.as_deref().map(address_key), after.email.as_deref().map(address_key));
    if old != new {
        if let Some(old) = old {
            writes.push(Write::Delete(old, Condition::Always));
        }
        if let Some(email) = &after.email {
            writes.push(claim(email, after.id)?);
        }
    }
    Ok(writes)
}

/// The write that makes an address a user's.
fn claim(email: &str, user: UserId) -> Result<Write, StoreError> {
    Ok(Write::Put(Item::new(address_key(email), VERSION, &AddressOwner { user })?, Condition::Absent))
}

fn profile_item(user: &UserRecord) -> Result<Item, StoreError> {
    Ok(Item::new(key(user.id), VERSION, user)?.in_gsi1(USERS, user.id.to_string()))
}

pub(crate) fn pk(id: UserId) -> String {
    format!("USER#{id}")
}

fn key(id: UserId) -> Key {
    Key::new(pk(id), PROFILE)
}

/// The key of an address' item. Addresses that differ only in case, or in spaces around them, are one.
fn address_key(email: &str) -> Key {
    let hash = hex(Sha256::digest(normalized_email(email)));
    Key::new(format!("EMAIL#{hash}"), UNIQUE)
}
