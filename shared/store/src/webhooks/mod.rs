//! Webhooks: subscriptions to events, and the webhooks of single jobs.
//!
//! - `deliveries` has the deliveries of events to webhooks, and the queue of those that haven't ended.
//! - `notices` limits the messages to people: repeated ones, and too many.
//!
//! The subscriptions of an organisation are one partition, which a process reads whole and remembers. The webhook of a job is in
//! another one, so that many jobs don't make it long.

mod deliveries;
mod notices;

use std::{collections::BTreeMap, time::Duration};

use hearth_domain::{
    OrganisationId, RevisionId, Timestamp, UserId, WebhookId, WebhookState, WebhookTarget, WebhookVisibility,
};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, Query, Sort, Update, Write},
    key_wrapper::{KeyContext, Purpose, Sealed},
    owned::OwnedEntry,
};

pub use deliveries::{
    Deliveries, DeliveryClaim, DeliveryRecord, DeliveryTry, DeliveryWorker, TRIES_MAX_COUNT,
};

const VERSION: u32 = 1;
/// Time for which the webhook of a job is valid after the time at which the job expires; one of a message after its creation.
pub const JOB_WEBHOOK_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// Number of attempts at a change whose record changes meanwhile.
const CHANGE_MAX_ATTEMPTS: u32 = 5;

/// A webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookRecord {
    /// Its id.
    pub id: WebhookId,
    /// The organisation.
    pub organisation: OrganisationId,
    /// The user who has created it.
    pub user: UserId,
    /// The name in lists.
    #[serde(default)]
    pub name: String,
    /// Patterns of the names of events.
    pub events: Vec<String>,
    /// Further conditions.
    #[serde(default)]
    pub filter: EventFilter,
    /// Owners whose events it gets.
    pub visibility: WebhookVisibility,
    /// The kind of its target.
    pub target: WebhookTarget,
    /// The target as it may be shown: without secrets.
    pub address: String,
    /// Names of the headers of its owner.
    #[serde(default)]
    pub header_names: Vec<String>,
    /// The address, the headers and the secrets.
    pub sealed: Sealed,
    /// The time up to which the earlier secret signs too, after a rotation.
    #[serde(default)]
    pub previous_secret_until: Option<Timestamp>,
    /// Several events in one request.
    #[serde(default)]
    pub batch: Option<EventBatch>,
    /// The state.
    pub state: WebhookState,
    /// The reason of the state, where it isn't active.
    #[serde(default)]
    pub state_reason: Option<String>,
    /// When the state changed.
    #[serde(default)]
    pub state_at: Option<Timestamp>,
    /// It belongs to a job or to one message of the gateway, and is in no list.
    #[serde(default)]
    pub is_internal: bool,
    /// The time up to which one that belongs to a job is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// Changes with each write.
    pub revision: RevisionId,
}

/// Conditions on events beside their kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFilter {
    /// A pattern of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Patterns of values of the event's data, by the names of their fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// Several events in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBatch {
    /// Limit of the events of a request.
    pub max_events: u32,
    /// Seconds for which the first event waits for others.
    pub window_seconds: u32,
}

impl WebhookRecord {
    /// The context under which its secrets are sealed.
    #[must_use]
    pub fn context(&self) -> KeyContext {
        context(self.organisation, self.id)
    }

    /// The time up to which it is valid; none for a subscription.
    fn valid_until(&self) -> Option<Timestamp> {
        let default = || self.created_at.plus(JOB_WEBHOOK_TTL);
        self.is_internal.then(|| self.expires_at.unwrap_or_else(default))
    }
}

/// The context under which the secrets of a webhook are sealed.
#[must_use]
pub fn context(organisation: OrganisationId, id: WebhookId) -> KeyContext {
    KeyContext::new(Purpose::Webhook, organisation.to_string(), id.to_string())
}

/// The webhooks.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks<'a>(&'a Table);

impl Store {
    /// Webhooks.
    #[must_use]
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks(&self.table)
    }

    /// Deliveries of events to webhooks.
    #[must_use]
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(&self.table)
    }
}

impl Webhooks<'_> {
    /// Stores a new webhook.
    ///
    /// # Errors
    /// `Conflict` if the id exists.
    pub async fn create(&self, record: &WebhookRecord) -> Result<(), StoreError> {
        self.0.put(item(record)?, Condition::Absent).await
    }

    /// Stores a changed webhook, and gives it a new revision.
    ///
    /// # Errors
    /// `Conflict` if it was changed or deleted since it was read.
    pub async fn change(&self, record: &mut WebhookRecord) -> Result<(), StoreError> {
        let read = Condition::AttributeEquals("revision", record.revision.to_string());
        record.revision = RevisionId::new();
        self.0.put(item(record)?, read).await
    }

    /// Has the webhook of a job last up to `until`, if it expires before. One that is gone stays so.
    ///
    /// # Errors
    /// `Conflict` if it changes again and again meanwhile; else if the table can't be read or written.
    pub async fn extend(
        &self,
        organisation: OrganisationId,
        id: WebhookId,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        for _ in 0..CHANGE_MAX_ATTEMPTS {
            let key = Key::new(partition(organisation, true), id.to_string());
            let Some(mut record) = self.0.get::<WebhookRecord>(&key).await? else { return Ok(()) };
            if record.valid_until() >= Some(until) {
                return Ok(());
            }
            record.expires_at = Some(until);
            match self.change(&mut record).await {
                Err(StoreError::Conflict) => {}
                other => return other,
            }
        }
        Err(StoreError::Conflict)
    }

    /// Ends the deliveries of an active webhook, at the time `at`. Returns false if it isn't active any more: of many writers one
    /// has true.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn stop(
        &self,
        record: &WebhookRecord,
        state: WebhookState,
        reason: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let set = vec![
            ("state", state.as_str().into()),
            ("state_reason", reason.into()),
            ("state_at", at.to_string().into()),
            ("updated_at", at.to_string().into()),
            ("revision", RevisionId::new().to_string().into()),
        ];
        let is_active = Condition::AttributeEquals("state", WebhookState::Active.as_str().to_owned());
        let write = Write::Update(key(record), Update { set, ..Update::default() }, is_active);
        match self.0.write_in_order(vec![write]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The subscriptions of an organisation, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, organisation: OrganisationId) -> Result<Vec<WebhookRecord>, StoreError> {
        let query = Query::partition(partition(organisation, false), Sort::All);
        self.0.query(query).await?.iter().map(Item::read).collect()
    }

    /// A webhook of the organisation: a subscription, or the webhook of a job.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(
        &self,
        organisation: OrganisationId,
        id: WebhookId,
    ) -> Result<Option<WebhookRecord>, StoreError> {
        for is_internal in [false, true] {
            let key = Key::new(partition(organisation, is_internal), id.to_string());
            if let Some(record) = self.0.get::<WebhookRecord>(&key).await? {
                return Ok(Some(record).filter(is_current));
            }
        }
        Ok(None)
    }

    /// The webhooks of a user's jobs within an organisation, oldest first, expired ones too.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of_jobs(
        &self,
        user: UserId,
        organisation: OrganisationId,
    ) -> Result<Vec<WebhookRecord>, StoreError> {
        let items = self.0.query(Query::partition(partition(organisation, true), Sort::All)).await?;
        let records: Result<Vec<WebhookRecord>, _> = items.iter().map(Item::read).collect();
        records.map(|records| records.into_iter().filter(|record| record.user == user).collect())
    }

    /// Deletes a webhook, and its queue. The log of its deliveries expires. That of a user's own events has an entry in the index of
    /// what they own, by which an erasure finds it, with what another process adds that remembers the webhook.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete(&self, record: &WebhookRecord) -> Result<(), StoreError> {
        if record.visibility == WebhookVisibility::User {
            let entry = OwnedEntry::DeletedWebhook(record.id).write(record.user)?;
            self.0.write_in_order(vec![entry]).await?;
        }
        self.0.delete(key(record)).await?;
        Deliveries(self.0).drop_queue(record.id).await
    }

    /// Deletes a user's webhooks within an organisation: those for the events of the organisation stay. Returns their number.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn delete_own(&self, user: UserId, organisation: OrganisationId) -> Result<u64, StoreError> {
        self.delete_where(organisation, |record| {
            record.user == user && record.visibility == WebhookVisibility::User
        })
        .await
    }

    /// Deletes all webhooks of an organisation, with the log of their deliveries. Returns their number.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn delete_all(&self, organisation: OrganisationId) -> Result<u64, StoreError> {
        self.delete_where(organisation, |_| true).await
    }

    async fn delete_where(
        &self,
        organisation: OrganisationId,
        is_deleted: impl Fn(&WebhookRecord) -> bool,
    ) -> Result<u64, StoreError> {
        let mut deleted = 0;
        for is_internal in [false, true] {
            let query = Query::partition(partition(organisation, is_internal), Sort::All);
            for item in self.0.query(query).await? {
                let record: WebhookRecord = item.read()?;
                if is_deleted(&record) {
                    Deliveries(self.0).drop_log(record.id).await?;
                    self.delete(&record).await?;
                    deleted += u64::from(!is_internal);
                }
            }
        }
        Ok(deleted)
    }
}

/// True if a webhook hasn't expired: the database deletes expired items late.
fn is_current(record: &WebhookRecord) -> bool {
    record.valid_until().is_none_or(|until| until > Timestamp::now())
}

fn item(record: &WebhookRecord) -> Result<Item, StoreError> {
    let item = Item::new(key(record), VERSION, record)?;
    Ok(match record.valid_until() {
        // As long as the log of its deliveries, so that an erasure finds it.
        Some(until) => item.expiring(until.plus(deliveries::DELIVERY_TTL).unix()),
        None => item,
    })
}

fn key(record: &WebhookRecord) -> Key {
    Key::new(partition(record.organisation, record.is_internal), record.id.to_string())
}

fn partition(organisation: OrganisationId, is_internal: bool) -> String {
    let place = if is_internal { "#INTERNAL" } else { "" };
    format!("HOOKS#{organisation}{place}")
}
