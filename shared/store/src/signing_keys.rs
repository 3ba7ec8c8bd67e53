//! Keys that sign access tokens. The public keys are one item, which every process may read. Each private key is an item of
//! its own, sealed by the key wrapper: only the process that signs may open it.

use hearth_domain::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, META, Write},
    key_wrapper::{KeyContext, KeyWrapper, Purpose, Sealed},
};

const VERSION: u32 = 1;
const OWNER: &str = "gateway";

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeyRecord {
    /// The key's id.
    pub kid: String,
    /// The key, base64url.
    pub public_key: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When another key took its place; until then it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_at: Option<Timestamp>,
}

/// The public keys, in one item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeySet {
    /// The number of changes, as text. A change is conditional on it.
    pub revision: String,
    /// The keys, oldest first. The last one signs.
    pub keys: Vec<PublicKeyRecord>,
}

/// A private key in its item.
#[derive(Serialize, Deserialize)]
struct PrivateKey {
    sealed: Sealed,
}

impl Store {
    /// The keys that sign access tokens.
    #[must_use]
    pub fn signing_keys(&self) -> SigningKeys<'_> {
        SigningKeys { table: &self.table, wrapper: &*self.key_wrapper }
    }
}

/// The keys that sign access tokens.
#[derive(Debug, Clone, Copy)]
pub struct SigningKeys<'a> {
    pub(crate) table: &'a Table,
    pub(crate) wrapper: &'a dyn KeyWrapper,
}

impl SigningKeys<'_> {
    /// The public keys; `None` before the first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn public(&self) -> Result<Option<PublicKeySet>, StoreError> {
        self.table.get(&public_key()).await
    }

    /// The private key `kid`, in the text in which it was stored; `None` if it was replaced.
    ///
    /// # Errors
    /// If the table can't be read, or the key can't be opened.
    pub async fn private(&self, kid: &str) -> Result<Option<Secret>, StoreError> {
        let Some(key) = self.table.get::<PrivateKey>(&private_key(kid)).await? else { return Ok(None) };
        key.sealed.open(self.wrapper, &context(kid)).await.map(Some)
    }

    /// Adds a key, which signs from now on, in one transaction: `before` is the set that was read, and `after` the one that
    /// takes its place. The private keys of `replaced` are deleted.
    ///
    /// # Errors
    /// `Conflict` if another process has changed the set.
    pub async fn add(
        &self,
        before: Option<&PublicKeySet>,
        after: &PublicKeySet,
        private: (&str, &Secret),
        replaced: &[&str],
    ) -> Result<(), StoreError> {
        let (kid, text) = private;
        let sealed = Sealed::seal(self.wrapper, &context(kid), text).await?;
        let unchanged = match before {
            Some(before) => Condition::AttributeEquals("revision", before.revision.clone()),
            None => Condition::Absent,
        };
        let mut writes = vec![
            Write::Put(Item::new(public_key(), VERSION, after)?, unchanged),
            Write::Put(Item::new(private_key(kid), VERSION, &PrivateKey { sealed })?, Condition::Absent),
        ];
        writes.extend(replaced.iter().map(|kid| Write::Delete(private_key(kid), Condition::Always)));
        self.table.transact(writes).await
    }
}

fn context(kid: &str) -> KeyContext {
    KeyContext::new(Purpose::Signing, OWNER, kid)
}

fn public_key() -> Key {
    Key::new("SIGNKEYS", META)
}

fn private_key(kid: &str) -> Key {
    Key::new(format!("SIGNKEY#{kid}"), META)
}
