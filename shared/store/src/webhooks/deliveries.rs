//! Deliveries of events to webhooks: their log, and the queue of those that haven't ended.
//!
//! A queue is cut into lanes: the deliveries of a lane are sent one after the other, in the order of their events. A worker
//! claims the first delivery of a lane, and only the one that has the claim writes its end (`claims`).

mod claims;
mod places;

use std::time::Duration;

use hearth_domain::{DeliveryState, EventId, EventKind, OrganisationId, Timestamp, WebhookId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    StoreError, Table,
    database::{Condition, Cursor, Item, Key, Query, Sort, Update, Write},
};

pub use claims::{DeliveryClaim, DeliveryWorker};

const VERSION: u32 = 1;
/// Time for which a delivery is stored.
pub(super) const DELIVERY_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// Limit of the tries that a delivery's log has: the latest.
pub const TRIES_MAX_COUNT: usize = 10;

/// The delivery of an event to a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// The webhook.
    pub webhook: WebhookId,
    /// The webhook's organisation.
    pub organisation: OrganisationId,
    /// The event.
    pub event: EventId,
    /// Its kind.
    pub kind: EventKind,
    /// Its subject.
    pub subject: String,
    /// The event as JSON, in the envelope of CloudEvents.
    pub payload: String,
    /// The lane of the queue.
    pub lane: String,
    /// The state.
    pub state: DeliveryState,
    /// Number of tries since the event, or the latest replay.
    #[serde(default)]
    pub attempts: u32,
    /// The latest tries.
    #[serde(default)]
    pub tries: Vec<DeliveryTry>,
    /// The time of the next try.
    #[serde(default)]
    pub next_at: Option<Timestamp>,
    /// The events that are sent with this one, in one request: set at the first try.
    #[serde(default)]
    pub members: Vec<EventId>,
    /// The event with which this one was sent.
    #[serde(default)]
    pub sent_with: Option<EventId>,
    /// The reason of a failed or suppressed delivery.
    #[serde(default)]
    pub reason: Option<String>,
    /// The [`DeliveryWorker`] that sends it; empty if none does.
    pub claim: String,
    /// The time up to which the claim is valid.
    #[serde(default)]
    pub claim_until: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}

/// A try of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryTry {
    /// When it began.
    pub at: Timestamp,
    /// The duration in milliseconds.
    pub duration_ms: u64,
    /// The status of the answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The reason of a failure, or the beginning of the answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub result: String,
}

/// The deliveries.
#[derive(Debug, Clone, Copy)]
pub struct Deliveries<'a>(pub(super) &'a Table);

impl Deliveries<'_> {
    /// Stores a new delivery, and queues it. Returns false if there is one of this event: it stays as it is.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn create(&self, delivery: &DeliveryRecord) -> Result<bool, StoreError> {
        let writes = vec![Write::Put(item(delivery)?, Condition::Absent), queue(delivery)?];
        match self.0.transact(writes).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A delivery that hasn't expired.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(
        &self,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        Ok(self.0.get::<DeliveryRecord>(&key(webhook, event)).await?.filter(is_current))
    }

    /// The first events of a lane that haven't ended, in their order.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn first_of_lane(
        &self,
        webhook: WebhookId,
        lane: &str,
        limit: u32,
    ) -> Result<Vec<EventId>, StoreError> {
        let lane = Sort::Prefix(format!("{lane}#"));
        let query = Query { limit: Some(limit), ..Query::partition(queue_partition(webhook), lane) };
        let page = self.0.page(&query).await?;
        Ok(page.items.iter().filter_map(|item| event_of_queue(&item.key.sk)).collect())
    }

    /// The first events of the lanes behind the lane `after`, of `limit` lanes at most, and the last lane that was read if there
    /// may be more.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn heads(
        &self,
        webhook: WebhookId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<EventId>, Option<String>), StoreError> {
        // `$` follows `#`, so this is behind all events of the lane.
        let from = after.map_or_else(|| " ".to_owned(), |lane| format!("{lane}$"));
        let rest = Sort::Between(from, "~".to_owned());
        let query = Query { limit: Some(limit), ..Query::partition(queue_partition(webhook), rest) };
        let page = self.0.page(&query).await?;
        let (mut heads, mut last) = (Vec::new(), None);
        for item in &page.items {
            let Some((lane, event)) = item.key.sk.split_once('#') else { continue };
            if last != Some(lane) {
                heads.extend(event.parse::<EventId>().ok());
                last = Some(lane);
            }
        }
        Ok((heads, last.map(str::to_owned).filter(|_| page.next.is_some())))
    }

    /// Removes an event from the queue whose delivery has ended or is gone. Returns false if it is pending.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn drop_ended(
        &self,
        webhook: WebhookId,
        lane: &str,
        event: EventId,
    ) -> Result<bool, StoreError> {
        let delivery = self.get(webhook, event).await?;
        if delivery.is_some_and(|delivery| delivery.state == DeliveryState::Pending) {
            return Ok(false);
        }
        self.0.delete(queue_key(webhook, lane, event)).await.map(|()| true)
    }

    /// Stores a delivery that the worker has claimed. One that has ended leaves the queue, with its members.
    ///
    /// # Errors
    /// `Conflict` if another worker has it now, or has ended it.
    pub async fn save(&self, delivery: &DeliveryRecord) -> Result<(), StoreError> {
        let mut writes = vec![Write::Put(item(delivery)?, claims::is_held_by(&delivery.claim))];
        if delivery.state != DeliveryState::Pending {
            writes.push(Write::Delete(
                queue_key(delivery.webhook, &delivery.lane, delivery.event),
                Condition::Always,
            ));
            for member in delivery.members.iter().filter(|member| **member != delivery.event) {
                let set = vec![
                    ("state", delivery.state.as_str().into()),
                    ("sent_with", delivery.event.to_string().into()),
                    ("ended_at", json(&delivery.ended_at)?),
                    ("reason", json(&delivery.reason)?),
                ];
                let update = Update { set, ..Update::default() };
                writes.push(Write::Update(key(delivery.webhook, *member), update, Condition::Exists));
                writes.push(Write::Delete(
                    queue_key(delivery.webhook, &delivery.lane, *member),
                    Condition::Always,
                ));
            }
        }
        self.0.transact(writes).await
    }

    /// Queues a delivery again that has ended: a replay. Returns false if it hasn't ended, is gone, or has ended again since it was
    /// read.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn requeue(&self, delivery: &DeliveryRecord, lane: &str) -> Result<bool, StoreError> {
        if delivery.state == DeliveryState::Pending {
            return Ok(false);
        }
        let again = DeliveryRecord {
            state: DeliveryState::Pending,
            lane: lane.to_owned(),
            attempts: 0,
            next_at: None,
            members: Vec::new(),
            sent_with: None,
            reason: None,
            claim: String::new(),
            claim_until: None,
            ended_at: None,
            ..delivery.clone()
        };
        let mut unchanged = vec![Condition::AttributeEquals("state", delivery.state.as_str().to_owned())];
        // Another replay may have ended the same meanwhile.
        unchanged.extend(delivery.ended_at.map(|at| Condition::AttributeEquals("ended_at", at.to_string())));
        let unchanged = Condition::All(unchanged);
        let writes = vec![Write::Put(item(&again)?, unchanged), queue(&again)?];
        match self.0.transact(writes).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A page of a webhook's deliveries from `first` to `last`, the newest first, and the last event that was read if more
    /// follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        webhook: WebhookId,
        (first, last): (EventId, EventId),
        before: Option<EventId>,
        limit: u32,
    ) -> Result<(Vec<DeliveryRecord>, Option<EventId>), StoreError> {
        let range = Sort::Between(first.to_string(), last.to_string());
        let mut query = Query::partition(log_partition(webhook), range).descending();
        query.limit = Some(limit);
        query.after = before.map(|event| Cursor { key: key(webhook, event), index: None });
        let page = self.0.page(&query).await?;
        let deliveries: Result<Vec<DeliveryRecord>, _> = page.items.iter().map(Item::read).collect();
        let mut deliveries = deliveries?;
        let next = deliveries.last().map(|delivery| delivery.event).filter(|_| page.next.is_some());
        deliveries.retain(is_current);
        Ok((deliveries, next))
    }

    /// Number of deliveries that haven't ended, up to `max`.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn pending(&self, webhook: WebhookId, max: u32) -> Result<usize, StoreError> {
        let query = Query { limit: Some(max), ..Query::partition(queue_partition(webhook), Sort::All) };
        Ok(self.0.page(&query).await?.items.len())
    }

    /// Deletes the queue and the log of a webhook.
    pub(crate) async fn drop_all(&self, webhook: WebhookId) -> Result<(), StoreError> {
        self.drop_queue(webhook).await?;
        self.drop_log(webhook).await
    }

    /// Deletes the queue of a webhook.
    pub(super) async fn drop_queue(&self, webhook: WebhookId) -> Result<(), StoreError> {
        self.drop_partition(queue_partition(webhook)).await
    }

    /// Deletes the log of a webhook.
    pub(super) async fn drop_log(&self, webhook: WebhookId) -> Result<(), StoreError> {
        self.drop_partition(log_partition(webhook)).await
    }

    async fn drop_partition(&self, partition: String) -> Result<(), StoreError> {
        for item in self.0.query(Query::partition(partition, Sort::All)).await? {
            self.0.delete(item.key).await?;
        }
        Ok(())
    }
}

/// True if a delivery hasn't expired: the database deletes expired items late.
fn is_current(delivery: &DeliveryRecord) -> bool {
    ends_at(delivery.event) > Timestamp::now()
}

fn ends_at(event: EventId) -> Timestamp {
    event.created_at().plus(DELIVERY_TTL)
}

fn item(delivery: &DeliveryRecord) -> Result<Item, StoreError> {
    let item = Item::new(key(delivery.webhook, delivery.event), VERSION, delivery)?;
    Ok(item.expiring(ends_at(delivery.event).unix()))
}

/// The write of a delivery's entry in the queue.
fn queue(delivery: &DeliveryRecord) -> Result<Write, StoreError> {
    let key = queue_key(delivery.webhook, &delivery.lane, delivery.event);
    let item = Item::new(key, VERSION, &serde_json::json!({}))?.expiring(ends_at(delivery.event).unix());
    Ok(Write::Put(item, Condition::Always))
}

fn json(value: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(value).map_err(StoreError::unreadable)
}

fn event_of_queue(sort: &str) -> Option<EventId> {
    sort.split_once('#')?.1.parse().ok()
}

fn key(webhook: WebhookId, event: EventId) -> Key {
    Key::new(log_partition(webhook), event.to_string())
}

fn queue_key(webhook: WebhookId, lane: &str, event: EventId) -> Key {
    Key::new(queue_partition(webhook), format!("{lane}#{event}"))
}

fn log_partition(webhook: WebhookId) -> String {
    format!("HOOKLOG#{webhook}")
}

fn queue_partition(webhook: WebhookId) -> String {
    format!("HOOKQUEUE#{webhook}")
}
