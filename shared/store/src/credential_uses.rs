//! The last use of each API token and access key: apart from their records, so that a function that authenticates callers need not
//! write those.

use std::collections::HashMap;

use hearth_domain::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, Query, Sort},
};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct CredentialUse {
    at: Timestamp,
}

/// The last uses of credentials.
#[derive(Debug, Clone, Copy)]
pub struct CredentialUses<'a>(&'a Table);

impl Store {
    /// The last uses of credentials.
    #[must_use]
    pub fn credential_uses(&self) -> CredentialUses<'_> {
        CredentialUses(&self.table)
    }
}

impl CredentialUses<'_> {
    /// Stores the last use of a credential of a user. `credential`: its id.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, user: UserId, credential: &str, at: Timestamp) -> Result<(), StoreError> {
        let item = Item::new(key(user, credential), VERSION, &CredentialUse { at })?;
        self.0.put(item, Condition::Always).await
    }

    /// The last uses of a user's credentials, by the credentials' ids.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, user: UserId) -> Result<HashMap<String, Timestamp>, StoreError> {
        let items = self.0.query(Query::partition(pk(user), Sort::All)).await?;
        items.into_iter().map(|item| Ok((item.key.sk.clone(), item.read::<CredentialUse>()?.at))).collect()
    }

    /// Deletes the last uses of a user's credentials.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete_all(&self, user: UserId) -> Result<(), StoreError> {
        for item in self.0.query(Query::partition(pk(user), Sort::All)).await? {
            self.0.delete(item.key).await?;
        }
        Ok(())
    }
}

fn pk(user: UserId) -> String {
    format!("USED#{user}")
}

fn key(user: UserId, credential: &str) -> Key {
    Key::new(pk(user), credential)
}
