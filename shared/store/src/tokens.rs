//! API tokens: read by the hash of their text, and listed by owner.

use hearth_domain::{Scope, Timestamp, TokenId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Update},
};

const VERSION: u32 = 1;

/// A token's record. The token's text is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The record's id.
    pub id: TokenId,
    /// SHA-256 of the token's text, hexadecimal.
    pub hash: String,
    /// Its owner.
    pub owner: UserId,
    /// The name that its owner chose.
    pub name: String,
    /// The first characters of its text.
    pub prefix: String,
    /// The permissions that it grants.
    pub scopes: Vec<Scope>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Returns whether it is neither revoked nor expired at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// API tokens.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a>(pub(crate) &'a Table);

impl Tokens<'_> {
    /// Stores a new token.
    ///
    /// # Errors
    /// `Conflict` if a token with this hash exists.
    pub async fn create(&self, record: &TokenRecord) -> Result<(), StoreError> {
        let item = Item::new(key(&record.hash), VERSION, record)?;
        let item = item.in_gsi1(owner_key(record.owner), list_key(Some(record.id)));
        self.0.put(item, Condition::Absent).await
    }

    /// The token whose text has this hash, valid or not.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn by_hash(&self, hash: &str) -> Result<Option<TokenRecord>, StoreError> {
        self.0.get(&key(hash)).await
    }

    /// A user's tokens, oldest first, revoked ones too.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, owner: UserId) -> Result<Vec<TokenRecord>, StoreError> {
        let query = Query::of(Index::Gsi1, owner_key(owner), Sort::Prefix(list_key(None)));
        self.0.query(query).await?.iter().map(Item::read).collect()
    }

    /// Revokes a user's token. Returns its record of before, or `None` if the user has no such token.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn revoke(
        &self,
        owner: UserId,
        id: TokenId,
        at: Timestamp,
    ) -> Result<Option<TokenRecord>, StoreError> {
        let Some(record) = self.of(owner).await?.into_iter().find(|record| record.id == id) else {
            return Ok(None);
        };
        if record.revoked_at.is_none() {
            let update = Update { set: vec![("revoked_at", at.to_string().into())], ..Update::default() };
            self.0.update(key(&record.hash), update).await?;
        }
        Ok(Some(record))
    }
}

fn key(hash: &str) -> Key {
    Key::new(format!("TOK#{hash}"), META)
}

fn owner_key(owner: UserId) -> String {
    format!("USER#{owner}")
}

fn list_key(id: Option<TokenId>) -> String {
    id.map_or_else(|| "TOK#".to_owned(), |id| format!("TOK#{id}"))
}
