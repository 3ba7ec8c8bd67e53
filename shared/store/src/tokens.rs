//! API tokens: read by the hash of their text, and listed by owner.

use hearth_domain::{ModelLimits, OrganisationId, Owner, Scope, Timestamp, TokenId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Update, Write},
};

/// Version 1 had no organisation: its tokens were the operator's. Version 2 had no models, and no text could be replaced.
/// Version 3 had no scope for nodes.
const VERSION: u32 = 4;

/// A token's record. The token's text is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The record's id.
    pub id: TokenId,
    /// SHA-256 of the token's text, hexadecimal.
    pub hash: String,
    /// Its owner.
    pub owner: UserId,
    /// The organisation in which its owner acts with it.
    pub organisation: OrganisationId,
    /// The name that its owner chose.
    pub name: String,
    /// The first characters of its text.
    pub prefix: String,
    /// The permissions that it grants.
    pub scopes: Vec<Scope>,
    /// The models that it may use; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<ModelLimits>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When its text was replaced by the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Timestamp>,
    /// The number of changes: one that is decided by an earlier state is refused.
    #[serde(default)]
    pub revision: i64,
}

impl TokenRecord {
    /// A token without scopes, of now, whose text has this hash.
    #[must_use]
    pub fn new(hash: String, owner: Owner) -> Self {
        Self {
            id: TokenId::new(),
            hash,
            owner: owner.user,
            organisation: owner.organisation,
            name: String::new(),
            prefix: String::new(),
            scopes: Vec::new(),
            models: None,
            created_at: Timestamp::now(),
            expires_at: None,
            revoked_at: None,
            rotated_at: None,
            revision: 0,
        }
    }

    /// Returns whether it is neither revoked nor expired at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// A text of a token that another one has replaced, and which is valid for a while yet.
#[derive(Serialize, Deserialize)]
struct ReplacedText {
    /// Hash of the text that has replaced it.
    replaced_by: String,
    ends_at: Timestamp,
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
        self.0.put(item(record)?, Condition::Absent).await
    }

    /// The token whose text has this hash, valid or not. A text that was replaced leads to its token until its grace ends, and
    /// `expires_at` is that end, so that nobody who caches the record accepts the text for longer.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn by_hash(&self, hash: &str) -> Result<Option<TokenRecord>, StoreError> {
        let Some(item) = self.0.get_item(&key(hash)).await? else { return Ok(None) };
        let Ok(replaced) = item.read::<ReplacedText>() else { return read(&item).map(Some) };
        if replaced.ends_at <= Timestamp::now() {
            return Ok(None);
        }
        // A second replacement has ended the grace of the first.
        let item = self.0.get_item(&key(&replaced.replaced_by)).await?;
        let item = item.filter(|item| item.read::<ReplacedText>().is_err());
        let Some(record) = item.as_ref().map(read).transpose()? else { return Ok(None) };
        let expires_at = record.expires_at.map_or(replaced.ends_at, |at| at.min(replaced.ends_at));
        Ok(Some(TokenRecord { expires_at: Some(expires_at), ..record }))
    }

    /// A user's tokens, oldest first, revoked ones too.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, owner: UserId) -> Result<Vec<TokenRecord>, StoreError> {
        let query = Query::of(Index::Gsi1, owner_key(owner), Sort::Prefix(list_key(None)));
        self.0.query(query).await?.iter().map(read).collect()
    }

    /// Changes the name of a token.
    ///
    /// # Errors
    /// `Conflict` if the token has changed since `record` was read.
    pub async fn rename(&self, record: &TokenRecord, name: &str) -> Result<(), StoreError> {
        self.change(record, vec![("name", name.into())]).await
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// As for [`Tokens::rename`].
    pub async fn revoke(&self, record: &TokenRecord, at: Timestamp) -> Result<(), StoreError> {
        if record.revoked_at.is_some() {
            return Ok(());
        }
        self.change(record, vec![("revoked_at", at.to_string().into())]).await
    }

    /// Replaces the text of a token by one with the hash `rotated.hash`. The text of before is valid until `grace_ends_at`, or
    /// no longer valid without it.
    ///
    /// # Errors
    /// As for [`Tokens::rename`].
    pub async fn rotate(
        &self,
        record: &TokenRecord,
        rotated: &TokenRecord,
        grace_ends_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let before = key(&record.hash);
        let unchanged = unchanged(record);
        let replace = match grace_ends_at {
            Some(ends_at) => {
                let text = ReplacedText { replaced_by: rotated.hash.clone(), ends_at };
                Write::Put(Item::new(before, VERSION, &text)?.expiring(ends_at.unix()), unchanged)
            }
            None => Write::Delete(before, unchanged),
        };
        let rotated = TokenRecord { revision: record.revision + 1, ..rotated.clone() };
        self.0.transact(vec![Write::Put(item(&rotated)?, Condition::Absent), replace]).await
    }

    async fn change(
        &self,
        record: &TokenRecord,
        set: Vec<(&'static str, serde_json::Value)>,
    ) -> Result<(), StoreError> {
        let update = Update { set, add: vec![("revision", 1)], ..Update::default() };
        self.0.transact(vec![Write::Update(key(&record.hash), update, unchanged(record))]).await
    }
}

/// The item of a record.
fn item(record: &TokenRecord) -> Result<Item, StoreError> {
    let item = Item::new(key(&record.hash), VERSION, record)?;
    Ok(item.in_gsi1(owner_key(record.owner), list_key(Some(record.id))))
}

/// The condition that a token hasn't changed since `record` was read.
fn unchanged(record: &TokenRecord) -> Condition {
    let is_there = Condition::AttributeEquals("hash", record.hash.clone());
    Condition::All(vec![is_there, Condition::NumberAtMost("revision", record.revision)])
}

/// A record, from its item in any version.
fn read(item: &Item) -> Result<TokenRecord, StoreError> {
    if item.version >= 4 {
        return item.read();
    }
    if item.version >= 2 {
        let before: TokenRecord = item.read()?;
        let had_every_scope = Scope::ALL_BEFORE_NODES.iter().all(|scope| before.scopes.contains(scope));
        let scopes = if had_every_scope { Scope::ALL.to_vec() } else { before.scopes };
        return Ok(TokenRecord { scopes, ..before });
    }
    let before: TokenBeforeAccounts = item.read()?;
    let had_every_scope = Scope::ALL_BEFORE_ACCOUNTS.iter().all(|scope| before.scopes.contains(scope));
    let organisation = OrganisationId::of_operator(before.owner);
    Ok(TokenRecord {
        id: before.id,
        name: before.name,
        prefix: before.prefix,
        scopes: if had_every_scope { Scope::ALL.to_vec() } else { before.scopes },
        created_at: before.created_at,
        expires_at: before.expires_at,
        revoked_at: before.revoked_at,
        revision: before.revision,
        ..TokenRecord::new(before.hash, Owner { user: before.owner, organisation })
    })
}

/// Version 1 of a record.
#[derive(Deserialize)]
struct TokenBeforeAccounts {
    id: TokenId,
    hash: String,
    owner: UserId,
    name: String,
    prefix: String,
    scopes: Vec<Scope>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// Changes of later versions.
    #[serde(default)]
    revision: i64,
}

pub(crate) fn key(hash: &str) -> Key {
    Key::new(format!("TOK#{hash}"), META)
}

/// The key of a user's tokens and access keys in the first index.
pub(crate) fn owner_key(owner: UserId) -> String {
    format!("USER#{owner}")
}

fn list_key(id: Option<TokenId>) -> String {
    id.map_or_else(|| "TOK#".to_owned(), |id| format!("TOK#{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_with_every_scope_of_its_time_has_those_that_came_later() {
        let owner = Owner { user: UserId::new(), organisation: OrganisationId::new() };
        let scopes_of = |version, scopes: &[Scope]| {
            let record = TokenRecord { scopes: scopes.to_vec(), ..TokenRecord::new("h".to_owned(), owner) };
            read(&Item::new(key("h"), version, &record).unwrap()).unwrap().scopes
        };
        assert_eq!(scopes_of(1, &Scope::ALL_BEFORE_ACCOUNTS), Scope::ALL);
        for version in [2, 3] {
            assert_eq!(scopes_of(version, &Scope::ALL_BEFORE_NODES), Scope::ALL);
            assert_eq!(scopes_of(version, &Scope::DEFAULT), Scope::DEFAULT);
        }
        assert_eq!(scopes_of(VERSION, &Scope::ALL_BEFORE_NODES), Scope::ALL_BEFORE_NODES);
    }
}
