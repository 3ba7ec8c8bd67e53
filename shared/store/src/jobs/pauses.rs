//! Paused kinds of jobs: of an organisation, or of the whole gateway.

use hearth_domain::{JobKind, OrganisationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{Condition, Jobs, Key, Query, Sort, StoreError};
use crate::database::Item;

const VERSION: u32 = 1;
const PK: &str = "JOBPAUSES";

/// A paused kind of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPause {
    /// The organisation whose jobs wait; none for those of all.
    pub organisation: Option<OrganisationId>,
    /// The kind.
    pub kind: JobKind,
    /// The user who has paused it.
    pub user: UserId,
    /// When that was.
    pub paused_at: Timestamp,
}

impl Jobs<'_> {
    /// The paused kinds.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn pauses(&self) -> Result<Vec<JobPause>, StoreError> {
        let items = self.table.query(Query::partition(PK, Sort::All)).await?;
        items.iter().map(Item::read).collect()
    }

    /// Pauses a kind.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn pause_kind(&self, pause: &JobPause) -> Result<(), StoreError> {
        let item = Item::new(key(pause.organisation, pause.kind), VERSION, pause)?;
        self.table.put(item, Condition::Always).await
    }

    /// Ends the pause of a kind, if there is one.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn resume_kind(
        &self,
        organisation: Option<OrganisationId>,
        kind: JobKind,
    ) -> Result<(), StoreError> {
        self.table.delete(key(organisation, kind)).await
    }
}

fn key(organisation: Option<OrganisationId>, kind: JobKind) -> Key {
    let of = organisation.map_or_else(|| "GATEWAY".to_owned(), |organisation| organisation.to_string());
    Key::new(PK, format!("{of}#{}", kind.as_str()))
}
