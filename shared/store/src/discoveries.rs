//! What providers were found to have: the models that a key can reach, and when they were asked.

use std::time::Duration;

use hearth_domain::{KeyOwner, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key},
};

const VERSION: u32 = 1;
/// It is deleted after this, when nobody has asked again.
const DISCOVERY_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Models in more bytes than this aren't kept. An item takes at most 400 KB.
const MODELS_MAX_BYTES: usize = 300 << 10;

/// What was found, under the owners of keys.
#[derive(Debug, Clone, Copy)]
pub struct Discoveries<'a>(pub(crate) &'a Table);

/// What was found with one key of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// Of the provider's address and key: with others it says nothing.
    pub fingerprint: String,
    /// When the provider was asked last, with or without success.
    pub tried_at: Timestamp,
    /// When it answered last.
    pub found_at: Option<Timestamp>,
    /// What it answered then, as JSON.
    pub models: Option<String>,
    /// The code of why it didn't answer.
    pub problem: Option<String>,
}

impl Discoveries<'_> {
    /// What was found with a key.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, owner: KeyOwner, provider: &str) -> Result<Option<Discovery>, StoreError> {
        self.0.get(&key(owner, provider)).await
    }

    /// Keeps what was found with a key, in place of what was found before. Too long a list isn't kept.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, owner: KeyOwner, provider: &str, mut found: Discovery) -> Result<(), StoreError> {
        if found.models.as_ref().is_some_and(|models| models.len() > MODELS_MAX_BYTES) {
            (found.models, found.found_at) = (None, None);
        }
        let expires = found.tried_at.plus(DISCOVERY_TTL).unix();
        let item = Item::new(key(owner, provider), VERSION, &found)?;
        self.0.put(item.expiring(expires), Condition::Always).await
    }
}

fn key(owner: KeyOwner, provider: &str) -> Key {
    let owner = match owner {
        KeyOwner::Operator => "OPERATOR".to_owned(),
        KeyOwner::User(id) => id.to_string(),
    };
    Key::new(format!("DISCOVERY#{owner}"), provider)
}
