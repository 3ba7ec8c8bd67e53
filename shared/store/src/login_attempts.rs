//! Attempts at signing in, by account and by address: the state of a rate limit, which every process shares.
//!
//! A limit is one number, the theoretical arrival time of the generic cell rate algorithm (GCRA), in milliseconds since 1970.

use hearth_domain::{UserId, hex, normalized_email};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, META, Query, Sort},
};

const VERSION: u32 = 1;
const STRANGERS: &str = "STRANGERS";

/// The state of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptLimit {
    /// The theoretical arrival time, as text: a write is conditional on it.
    pub arrival_ms: String,
}

/// The subject of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptSubject<'a> {
    /// An account, from addresses that it hasn't signed in from before.
    Strangers {
        /// The account's address of e-mail, in any spelling.
        email: &'a str,
    },
    /// An account, from one network that it has signed in from before.
    Network {
        /// The account's address of e-mail, in any spelling.
        email: &'a str,
        /// The network.
        network: &'a str,
    },
    /// A user who confirms by their password what they do with a credential.
    Confirmation(UserId),
    /// Every account, from one network.
    Address(&'a str),
}

impl Store {
    /// Attempts at signing in.
    #[must_use]
    pub fn login_attempts(&self) -> LoginAttempts<'_> {
        LoginAttempts(&self.table)
    }
}

/// Attempts at signing in.
#[derive(Debug, Clone, Copy)]
pub struct LoginAttempts<'a>(pub(crate) &'a Table);

impl LoginAttempts<'_> {
    /// The state of a limit; `None` if there were no attempts.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, subject: AttemptSubject<'_>) -> Result<Option<AttemptLimit>, StoreError> {
        self.0.get(&key(subject)).await
    }

    /// Writes the state `after` in place of `before`, which was read. It is deleted at `expires`, in seconds since 1970.
    ///
    /// # Errors
    /// `Conflict` if another attempt has changed it.
    pub async fn put(
        &self,
        subject: AttemptSubject<'_>,
        before: Option<&AttemptLimit>,
        after: &AttemptLimit,
        expires: i64,
    ) -> Result<(), StoreError> {
        let unchanged = match before {
            Some(before) => Condition::AttributeEquals("arrival_ms", before.arrival_ms.clone()),
            None => Condition::Absent,
        };
        self.0.put(Item::new(key(subject), VERSION, after)?.expiring(expires), unchanged).await
    }

    /// Writes the state of a limit, whatever it was.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn reset(
        &self,
        subject: AttemptSubject<'_>,
        after: &AttemptLimit,
        expires: i64,
    ) -> Result<(), StoreError> {
        self.0.put(Item::new(key(subject), VERSION, after)?.expiring(expires), Condition::Always).await
    }

    /// Deletes the limits of an account, and with them the networks that it has signed in from: a part of its erasure.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn forget(&self, email: &str) -> Result<(), StoreError> {
        for item in self.0.query(Query::partition(account_key(email), Sort::All)).await? {
            self.0.delete(item.key).await?;
        }
        Ok(())
    }

    /// Deletes the limit of a user's confirmations by their password: a part of their erasure.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn forget_confirmations(&self, user: UserId) -> Result<(), StoreError> {
        self.0.delete(key(AttemptSubject::Confirmation(user))).await
    }
}

fn key(subject: AttemptSubject<'_>) -> Key {
    match subject {
        AttemptSubject::Strangers { email } => Key::new(account_key(email), STRANGERS),
        AttemptSubject::Network { email, network } => {
            Key::new(account_key(email), format!("NETWORK#{network}"))
        }
        AttemptSubject::Confirmation(user) => Key::new(format!("LOGINS#{user}"), META),
        AttemptSubject::Address(network) => Key::new(format!("LOGINADDR#{network}"), META),
    }
}

/// The partition of an account's limits, which exists for addresses of nobody too.
fn account_key(email: &str) -> String {
    format!("LOGINS#{}", hex(Sha256::digest(normalized_email(email))))
}
