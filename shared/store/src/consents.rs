//! Consents: which text a user has accepted, in which version, and when. They are appended, and never changed.

use hearth_domain::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, Query, Sort},
    users,
};

const VERSION: u32 = 1;
/// Prefix of a consent's sort key, before its time and its document.
const CONSENT: &str = "CONSENT#";

/// A user's consent to one version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRecord {
    /// The document's name, such as `terms`.
    pub document: String,
    /// Its version, as its publisher writes it.
    pub version: String,
    /// When the user consented.
    pub given_at: Timestamp,
}

/// The consents.
#[derive(Debug, Clone, Copy)]
pub struct Consents<'a>(pub(crate) &'a Table);

impl Store {
    /// Consents of users.
    #[must_use]
    pub fn consents(&self) -> Consents<'_> {
        Consents(&self.table)
    }
}

impl Consents<'_> {
    /// Appends a user's consent.
    ///
    /// # Errors
    /// `Conflict` if the same document was consented to in this millisecond.
    pub async fn append(&self, user: UserId, consent: &ConsentRecord) -> Result<(), StoreError> {
        let sk = format!("{CONSENT}{}#{}", consent.given_at, consent.document);
        self.0.put(Item::new(Key::new(users::pk(user), sk), VERSION, consent)?, Condition::Absent).await
    }

    /// A user's consents, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, user: UserId) -> Result<Vec<ConsentRecord>, StoreError> {
        let query = Query::partition(users::pk(user), Sort::Prefix(CONSENT.to_owned()));
        self.0.query(query).await?.iter().map(Item::read).collect()
    }
}
