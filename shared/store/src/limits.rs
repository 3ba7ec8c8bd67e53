//! Limits of tokens, users, teams and organisations. An organisation's are in one partition, so that one read gets them all.

use hearth_domain::{LimitSubject, Limits, OrganisationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, Query, Sort},
};

const VERSION: u32 = 1;

/// The limits of one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRecord {
    /// The kind of the subject.
    kind: String,
    /// The id of the subject.
    id: String,
    /// The limits.
    pub limits: Limits,
    /// The user who set them.
    pub set_by: UserId,
    /// When they were set.
    pub set_at: Timestamp,
}

impl LimitRecord {
    /// The limits that `set_by` sets for a subject.
    #[must_use]
    pub fn new(subject: LimitSubject, limits: Limits, set_by: UserId, set_at: Timestamp) -> Self {
        Self { kind: subject.kind().to_owned(), id: subject.id(), limits, set_by, set_at }
    }

    /// The subject; `None` for a kind of a newer version.
    #[must_use]
    pub fn subject(&self) -> Option<LimitSubject> {
        LimitSubject::parse(&self.kind, &self.id)
    }
}

/// Limits of an organisation and what belongs to it.
#[derive(Debug, Clone, Copy)]
pub struct LimitRecords<'a>(pub(crate) &'a Table);

impl LimitRecords<'_> {
    /// All limits of an organisation, its own among them.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, organisation: OrganisationId) -> Result<Vec<LimitRecord>, StoreError> {
        let items = self.0.query(Query::partition(partition(organisation), Sort::All)).await?;
        items.iter().map(Item::read).collect()
    }

    /// The limits of one subject of an organisation.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(
        &self,
        organisation: OrganisationId,
        subject: LimitSubject,
    ) -> Result<Option<LimitRecord>, StoreError> {
        self.0.get(&key(organisation, subject)).await
    }

    /// Stores the limits of a subject, in place of the earlier ones.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(
        &self,
        organisation: OrganisationId,
        subject: LimitSubject,
        record: &LimitRecord,
    ) -> Result<(), StoreError> {
        self.0.put(Item::new(key(organisation, subject), VERSION, record)?, Condition::Always).await
    }

    /// Deletes the limits of a subject, if there are any.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete(
        &self,
        organisation: OrganisationId,
        subject: LimitSubject,
    ) -> Result<(), StoreError> {
        self.0.delete(key(organisation, subject)).await
    }
}

fn partition(organisation: OrganisationId) -> String {
    format!("LIMITS#{organisation}")
}

fn key(organisation: OrganisationId, subject: LimitSubject) -> Key {
    Key::new(partition(organisation), subject.to_string())
}
