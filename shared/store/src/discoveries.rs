//! Model lists of providers: the models that a key can reach, and the time of the last request.

use std::time::Duration;

use hearth_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key},
};

const VERSION: u32 = 1;
/// A list expires this long after the last attempt to read it from the provider.
const DISCOVERY_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// A longer list isn't stored. DynamoDB's limit for an item is 400 KB.
const MODELS_MAX_BYTES: usize = 300 << 10;

/// The model lists of providers.
#[derive(Debug, Clone, Copy)]
pub struct Discoveries<'a>(pub(crate) &'a Table);

/// The models that the key of a provider can reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// Fingerprint of the provider's address and key. With another address or key the list is void.
    pub fingerprint: String,
    /// Time of the last attempt, successful or not.
    pub tried_at: Timestamp,
    /// Time of the last answer.
    pub found_at: Option<Timestamp>,
    /// The models of that answer, as JSON.
    pub models: Option<String>,
    /// The error code of the last attempt, if it failed.
    pub problem: Option<String>,
}

impl Discoveries<'_> {
    /// Returns the list of an account at a provider: `PROVIDER` of the operator, `PROVIDER#CREDENTIAL` of a stored credential.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, account: &str) -> Result<Option<Discovery>, StoreError> {
        self.0.get(&key(account)).await
    }

    /// Stores the list of an account, in place of the earlier one. A list that is too long is left out.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, account: &str, mut discovery: Discovery) -> Result<(), StoreError> {
        if discovery.models.as_ref().is_some_and(|models| models.len() > MODELS_MAX_BYTES) {
            (discovery.models, discovery.found_at) = (None, None);
        }
        let expires = discovery.tried_at.plus(DISCOVERY_TTL).unix();
        let item = Item::new(key(account), VERSION, &discovery)?;
        self.0.put(item.expiring(expires), Condition::Always).await
    }
}

/// A provider's key belongs to the operator, unless the account names a stored credential.
fn key(account: &str) -> Key {
    match account.split_once('#') {
        None => Key::new("DISCOVERY#OPERATOR", account),
        Some((provider, credential)) => Key::new(format!("DISCOVERY#{credential}"), provider),
    }
}
