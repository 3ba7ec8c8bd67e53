//! Logins: what follows from one sign-in. A login has one valid refresh token, of which only the hash is stored, and the hash
//! of the one before.

use hearth_domain::{LoginId, OrganisationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Update, Write},
};

const VERSION: u32 = 1;

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRecord {
    /// Its id.
    pub id: LoginId,
    /// The user who signed in.
    pub user: UserId,
    /// The organisation in which the user acts.
    pub organisation: OrganisationId,
    /// The way in which the user signed in: `password`, or the name of an identity provider.
    pub method: String,
    /// The client, as it named itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The address that the user signed in from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When the refresh token was last replaced.
    pub refreshed_at: Timestamp,
    /// When the refresh token ends, unless it is used before.
    pub expires_at: Timestamp,
    /// SHA-256 of the refresh token, hexadecimal. Empty after the end of the login, so that no replacement succeeds.
    pub refresh_hash: String,
    /// SHA-256 of the refresh token before. Empty if there was none.
    pub previous_hash: String,
    /// The nonce by which the refresh token follows from the one before.
    pub nonce: String,
    /// The key of the tags in its refresh tokens, which tells an old token from an invented one.
    pub tag_key: String,
    /// When the login was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The reason of its end, such as `logout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<String>,
}

impl LoginRecord {
    /// Returns whether it is neither ended nor expired at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

/// A replacement of a login's refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The hash of the token that is replaced.
    pub from_hash: String,
    /// The hash of the new token.
    pub to_hash: String,
    /// The nonce by which the new token follows.
    pub nonce: String,
    /// The time.
    pub at: Timestamp,
    /// The end of the new token.
    pub expires_at: Timestamp,
}

impl Store {
    /// Logins, and their refresh tokens.
    #[must_use]
    pub fn logins(&self) -> Logins<'_> {
        Logins(&self.table)
    }
}

/// The logins.
#[derive(Debug, Clone, Copy)]
pub struct Logins<'a>(pub(crate) &'a Table);

impl Logins<'_> {
    /// Stores a new login.
    ///
    /// # Errors
    /// `Conflict` if a login with this id exists.
    pub async fn create(&self, login: &LoginRecord) -> Result<(), StoreError> {
        let item = Item::new(key(login.id), VERSION, login)?.expiring(login.expires_at.unix());
        let item = item.in_gsi1(user_key(login.user), list_key(Some(login.id)));
        self.0.put(item, Condition::Absent).await
    }

    /// A login, valid or not.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: LoginId) -> Result<Option<LoginRecord>, StoreError> {
        self.0.get(&key(id)).await
    }

    /// A user's logins, oldest first, ended ones too as far as they aren't deleted.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, user: UserId) -> Result<Vec<LoginRecord>, StoreError> {
        let query = Query::of(Index::Gsi1, user_key(user), Sort::Prefix(list_key(None)));
        self.0.query(query).await?.iter().map(Item::read).collect()
    }

    /// Replaces the refresh token of `login`, which was read before.
    ///
    /// # Errors
    /// `Conflict` if the token was replaced before, or the login has ended.
    pub async fn rotate(&self, login: &LoginRecord, rotation: &Rotation) -> Result<(), StoreError> {
        let next = LoginRecord {
            refreshed_at: rotation.at,
            expires_at: rotation.expires_at,
            refresh_hash: rotation.to_hash.clone(),
            previous_hash: rotation.from_hash.clone(),
            nonce: rotation.nonce.clone(),
            ..login.clone()
        };
        let item = Item::new(key(login.id), VERSION, &next)?.expiring(next.expires_at.unix());
        let item = item.in_gsi1(user_key(login.user), list_key(Some(login.id)));
        let unchanged = Condition::AttributeEquals("refresh_hash", rotation.from_hash.clone());
        self.0.put(item, unchanged).await
    }

    /// Ends a login. Ending it again changes nothing but the reason.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn end(&self, id: LoginId, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        let set = vec![
            ("ended_at", at.to_string().into()),
            ("end_reason", reason.into()),
            ("refresh_hash", "".into()),
            ("previous_hash", "".into()),
        ];
        let update = Update { set, ..Update::default() };
        match self.0.0.write(Write::Update(key(id), update, Condition::Exists)).await {
            // It has expired, and is deleted.
            Err(StoreError::Conflict) => Ok(()),
            result => result,
        }
    }

    /// Deletes a login: a part of its user's erasure.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete(&self, id: LoginId) -> Result<(), StoreError> {
        self.0.delete(key(id)).await
    }
}

fn key(id: LoginId) -> Key {
    Key::new(format!("RTF#{id}"), META)
}

fn user_key(user: UserId) -> String {
    format!("USER#{user}")
}

fn list_key(id: Option<LoginId>) -> String {
    id.map_or_else(|| "RTF#".to_owned(), |id| format!("RTF#{id}"))
}
