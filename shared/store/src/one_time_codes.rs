//! Codes by which a user sets a password once, without a credential. A code is stored as its hash.
//!
//! A code is used once: the transaction that changes the user deletes it.

use hearth_domain::{OrganisationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, META, Write},
    users::{UserRecord, change_writes, create_writes},
};

const VERSION: u32 = 1;

/// The purpose of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodePurpose {
    /// The operator gets an address and a password.
    Bootstrap,
    /// A user gets another password.
    PasswordReset,
}

/// The maker of a code for somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeMaker {
    /// The user.
    pub user: UserId,
    /// The organisation in which they made it.
    pub organisation: OrganisationId,
}

/// A code's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeCodeRecord {
    /// SHA-256 of the code, hexadecimal.
    pub hash: String,
    /// Its purpose.
    pub purpose: CodePurpose,
    /// The user whom it changes.
    pub user: UserId,
    /// The maker; none for the operator of the data itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<CodeMaker>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The codes.
#[derive(Debug, Clone, Copy)]
pub struct OneTimeCodes<'a>(pub(crate) &'a Table);

impl Store {
    /// Codes by which a user sets a password once.
    #[must_use]
    pub fn one_time_codes(&self) -> OneTimeCodes<'_> {
        OneTimeCodes(&self.table)
    }
}

impl OneTimeCodes<'_> {
    /// Stores a new code.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn create(&self, code: &OneTimeCodeRecord) -> Result<(), StoreError> {
        let item = Item::new(key(&code.hash), VERSION, code)?;
        self.0.put(item.expiring(code.expires_at.unix()), Condition::Absent).await
    }

    /// The code with this hash and purpose, if it can still be used.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn by_hash(
        &self,
        hash: &str,
        purpose: CodePurpose,
    ) -> Result<Option<OneTimeCodeRecord>, StoreError> {
        let code = self.0.get::<OneTimeCodeRecord>(&key(hash)).await?;
        // The database deletes expired items late.
        Ok(code.filter(|code| code.purpose == purpose && Timestamp::now() < code.expires_at))
    }

    /// Uses a code: deletes it, and stores `after` in place of `before`, or as a new user. Both or nothing.
    ///
    /// # Errors
    /// `Conflict` if the code is used, the user was changed meanwhile, or another user has the address.
    pub async fn redeem(
        &self,
        code: &OneTimeCodeRecord,
        before: Option<&UserRecord>,
        after: &UserRecord,
    ) -> Result<(), StoreError> {
        let mut writes = vec![Write::Delete(key(&code.hash), Condition::Exists)];
        writes.extend(match before {
            Some(before) => change_writes(before, after)?,
            None => create_writes(after)?,
        });
        self.0.transact(writes).await
    }
}

fn key(hash: &str) -> Key {
    Key::new(format!("CODE#{hash}"), META)
}
