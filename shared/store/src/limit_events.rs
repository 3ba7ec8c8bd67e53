//! Events of budgets that have reached a part of their limit. Each is stored once in a period.

use hearth_domain::{OrganisationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, Query, Sort},
};

const VERSION: u32 = 1;
/// Seconds after which an event expires.
const TTL_SECONDS: i64 = 400 * 24 * 3600;

/// A budget has reached a part of its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitEvent {
    /// The organisation.
    pub organisation: OrganisationId,
    /// The subject of the budget, as `user:usr_...`.
    pub subject: String,
    /// The period: `2026-11-29`, or `2026-11`.
    pub period: String,
    /// `tokens` or `dollars`.
    pub resource: String,
    /// The part of the limit in percent: 50, 80 or 100.
    pub percent: u32,
    /// The time at which it was noticed.
    pub at: Timestamp,
}

/// Events of budgets.
#[derive(Debug, Clone, Copy)]
pub struct LimitEvents<'a>(pub(crate) &'a Table);

impl LimitEvents<'_> {
    /// Stores an event. Returns false if it is stored already: of many writers one has true.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, event: &LimitEvent) -> Result<bool, StoreError> {
        let item = Item::new(key(event), VERSION, event)?;
        let item = item.expiring(event.at.unix().saturating_add(TTL_SECONDS));
        match self.0.put(item, Condition::Absent).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// True if an event is stored.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn contains(&self, event: &LimitEvent) -> Result<bool, StoreError> {
        Ok(self.0.get_item(&key(event)).await?.is_some())
    }

    /// The events of an organisation in periods whose names begin with `period`, a month for instance.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(
        &self,
        organisation: OrganisationId,
        period: &str,
    ) -> Result<Vec<LimitEvent>, StoreError> {
        let query = Query::partition(partition(organisation), Sort::Prefix(period.to_owned()));
        self.0.query(query).await?.iter().map(Item::read).collect()
    }
}

fn partition(organisation: OrganisationId) -> String {
    format!("LIMITEVENT#{organisation}")
}

fn key(event: &LimitEvent) -> Key {
    let LimitEvent { organisation, subject, period, resource, percent, .. } = event;
    Key::new(partition(*organisation), format!("{period}#{subject}#{resource}#{percent:03}"))
}
