//! Paused kinds of jobs: of an organisation, or of the whole gateway.
//!
//! Where several processes carry out jobs, those that a pause holds are in a partition of the index (`due`). After its end the
//! pause stays, with the time of its end, until they are queued again.

use hearth_domain::{JobKind, OrganisationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{Condition, Jobs, Key, Query, Sort, StoreError};
use crate::database::{Item, Write};

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
    /// When it ended; none while it holds jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_at: Option<Timestamp>,
}

impl Jobs<'_> {
    /// The paused kinds.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn pauses(&self) -> Result<Vec<JobPause>, StoreError> {
        let mut pauses = self.pauses_with_ended().await?;
        pauses.retain(|pause| pause.resumed_at.is_none());
        Ok(pauses)
    }

    /// The paused kinds, and those whose pause has ended while jobs may still be held by it.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn pauses_with_ended(&self) -> Result<Vec<JobPause>, StoreError> {
        let items = self.table.query(Query::partition(PK, Sort::All)).await?;
        items.iter().map(Item::read).collect()
    }

    /// Pauses a kind.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn pause_kind(&self, pause: &JobPause) -> Result<(), StoreError> {
        self.put_pause(pause, Condition::Always).await
    }

    /// Ends the pause of a kind, if there is one: it stays until [`Jobs::delete_pause`].
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn resume_kind(
        &self,
        organisation: Option<OrganisationId>,
        kind: JobKind,
    ) -> Result<(), StoreError> {
        let is_this = |pause: &JobPause| pause.organisation == organisation && pause.kind == kind;
        let Some(mut pause) = self.pauses().await?.into_iter().find(is_this) else { return Ok(()) };
        pause.resumed_at = Some(Timestamp::now());
        match self.put_pause(&pause, Condition::Exists).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a pause that has ended, unless the kind was paused again.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete_pause(&self, pause: &JobPause) -> Result<(), StoreError> {
        let Some(resumed_at) = pause.resumed_at else { return Ok(()) };
        let has_ended = Condition::AttributeEquals("resumed_at", resumed_at.to_string());
        let delete = Write::Delete(key(pause.organisation, pause.kind), has_ended);
        match self.table.write_in_order(vec![delete]).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn put_pause(&self, pause: &JobPause, condition: Condition) -> Result<(), StoreError> {
        let item = Item::new(key(pause.organisation, pause.kind), VERSION, pause)?;
        self.table.put(item, condition).await
    }
}

fn key(organisation: Option<OrganisationId>, kind: JobKind) -> Key {
    let of = organisation.map_or_else(|| "GATEWAY".to_owned(), |organisation| organisation.to_string());
    Key::new(PK, format!("{of}#{}", kind.as_str()))
}
