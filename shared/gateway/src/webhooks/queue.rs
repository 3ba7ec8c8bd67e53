//! Stores the deliveries of an event, and submits a job for each; and the jobs that have deliveries sent again.

use std::{sync::Arc, time::Duration};

use hearth_domain::{
    DeliveryState, EventId, JobKind, OrganisationId, Owner, Timestamp, WebhookId, WebhookState, hex,
};
use hearth_store::{
    Store, StoreError,
    event_outbox::OutboxEntry,
    webhooks::{DeliveryRecord, WebhookRecord},
};
use hearth_wire::{ApiError, ErrorCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::envelope::cloud_event;
use crate::jobs::engine::{JobEngine, NewJob};

/// Limit of the deliveries that wait for a paused webhook; later events are left out.
const BACKLOG_MAX_COUNT: u32 = 1_000;
/// Time for which a job tries to deliver: as long as the delivery is stored.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Times that a job may fail by the store's or the process' fault.
const JOB_ATTEMPT_MAX_COUNT: u32 = 10;
/// The lane of a webhook that gets several events in one request.
const ONE_LANE: &str = "all";

/// The input of a job of deliveries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeliveryInput {
    pub(crate) organisation: OrganisationId,
    pub(crate) webhook: WebhookId,
    #[serde(flatten)]
    pub(crate) task: DeliveryTask,
}

/// The task of a job of deliveries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum DeliveryTask {
    /// Sends the deliveries of the lane that has this event's.
    Send { event: EventId },
    /// Queues these deliveries again that ended before `replayed_at`.
    Replay { replayed_at: Timestamp, replayed: Vec<EventId> },
    /// Has the deliveries of all lanes behind `after` sent.
    Resume { resumed_at: Timestamp, after: Option<String> },
}

impl DeliveryTask {
    /// The time of the event, or of the request of the webhook's owner.
    pub(super) fn began_at(&self) -> Timestamp {
        match self {
            Self::Send { event } => event.created_at(),
            Self::Replay { replayed_at, .. } => *replayed_at,
            Self::Resume { resumed_at, .. } => *resumed_at,
        }
    }
}

/// The queue of deliveries. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryQueue {
    store: Store,
    jobs: Arc<JobEngine>,
}

impl DeliveryQueue {
    pub(crate) fn new(store: Store, jobs: Arc<JobEngine>) -> Self {
        Self { store, jobs }
    }

    /// Stores the delivery of an event to a webhook, and submits its job. One that is stored already stays, and its job is
    /// submitted again if that is missing.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn add(&self, webhook: &WebhookRecord, entry: &OutboxEntry) -> Result<(), StoreError> {
        if webhook.state == WebhookState::Paused {
            let waiting = self.store.deliveries().pending(webhook.id, BACKLOG_MAX_COUNT).await?;
            if waiting >= BACKLOG_MAX_COUNT as usize {
                let webhook = webhook.id;
                tracing::warn!(%webhook, event = %entry.id, "a paused webhook has too many events; one is left out");
                metrics::counter!("hearth_webhook_events_dropped_total").increment(1);
                return Ok(());
            }
        }
        let delivery = DeliveryRecord {
            webhook: webhook.id,
            organisation: webhook.organisation,
            event: entry.id,
            kind: entry.kind,
            subject: entry.subject.clone(),
            payload: cloud_event(entry),
            lane: lane(webhook, &entry.subject),
            state: DeliveryState::Pending,
            attempts: 0,
            tries: Vec::new(),
            next_at: None,
            members: Vec::new(),
            sent_with: None,
            reason: None,
            claim: String::new(),
            claim_until: None,
            ended_at: None,
        };
        self.store.deliveries().create(&delivery).await?;
        let window = webhook.batch.map_or(0, |batch| batch.window_seconds);
        let wait = Duration::from_secs(window.into());
        self.submit(webhook, DeliveryTask::Send { event: entry.id }, wait, &format!("{}:", entry.id)).await
    }

    /// Submits the job that queues deliveries again which have ended, the oldest first. It is stored when this returns, so that
    /// none of them stays without a job.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn replay(
        &self,
        webhook: &WebhookRecord,
        replayed: Vec<EventId>,
    ) -> Result<(), StoreError> {
        let replayed_at = Timestamp::now();
        let task = DeliveryTask::Replay { replayed_at, replayed };
        self.submit(webhook, task, Duration::ZERO, &format!("replay:{}", EventId::new())).await
    }

    /// Queues a delivery again that ended before `replayed_at`, and submits its job. It can be repeated.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn replay_one(
        &self,
        webhook: &WebhookRecord,
        event: EventId,
        replayed_at: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(delivery) = self.store.deliveries().get(webhook.id, event).await? else { return Ok(()) };
        if delivery.ended_at.is_none_or(|at| at <= replayed_at) {
            self.requeue(webhook, &delivery).await?;
        }
        self.send_again(webhook, event, replayed_at).await
    }

    /// Queues a delivery again that has ended, for the job that [`DeliveryQueue::replay`] has submitted. Returns false if it
    /// hasn't ended.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn requeue(
        &self,
        webhook: &WebhookRecord,
        delivery: &DeliveryRecord,
    ) -> Result<bool, StoreError> {
        self.store.deliveries().requeue(delivery, &lane(webhook, &delivery.subject)).await
    }

    /// Submits the job that has the deliveries of a webhook sent, in all lanes behind `after`.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn resume(
        &self,
        webhook: &WebhookRecord,
        resumed_at: Timestamp,
        after: Option<String>,
    ) -> Result<(), StoreError> {
        let name = format!("resume:{resumed_at}:{}", after.as_deref().unwrap_or_default());
        self.submit(webhook, DeliveryTask::Resume { resumed_at, after }, Duration::ZERO, &name).await
    }

    /// Submits a job for a delivery whose first one has ended. `at`: the time of the request, of which it has one job.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn send_again(
        &self,
        webhook: &WebhookRecord,
        event: EventId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let name = format!("{event}:{}", at.unix_millis());
        self.submit(webhook, DeliveryTask::Send { event }, Duration::ZERO, &name).await
    }

    /// Submits a job. `name`: what tells it from the other jobs of the webhook.
    async fn submit(
        &self,
        webhook: &WebhookRecord,
        task: DeliveryTask,
        wait: Duration,
        name: &str,
    ) -> Result<(), StoreError> {
        let group = matches!(task, DeliveryTask::Send { .. }).then(|| endpoint(webhook));
        let input = DeliveryInput { organisation: webhook.organisation, webhook: webhook.id, task };
        let job = NewJob {
            not_before: (wait > Duration::ZERO).then(|| Timestamp::now().plus(wait)),
            max_attempts: Some(JOB_ATTEMPT_MAX_COUNT),
            expires_after: Some(DELIVERY_TIMEOUT),
            group,
            dedupe: Some(format!("{}:{name}", webhook.id)),
            hidden: true,
            ..NewJob::new(JobKind::Delivery, json!(input))
        };
        let owner = Owner { user: webhook.user, organisation: webhook.organisation };
        match self.jobs.submit(owner, job).await {
            // The job of an earlier submission has ended long ago.
            Ok(_) | Err(ApiError { code: ErrorCode::Conflict, .. }) => Ok(()),
            Err(error) => {
                Err(StoreError::Unavailable { operation: "submit a delivery", reason: error.message })
            }
        }
    }
}

/// The lane of a subject's events: they are delivered in their order.
fn lane(webhook: &WebhookRecord, subject: &str) -> String {
    if webhook.batch.is_some() {
        return ONE_LANE.to_owned();
    }
    let hash = hearth_auth::sha256(subject.as_bytes());
    hex(&hash[..8])
}

/// The group of the deliveries to one endpoint, a few of which are carried out at a time. Webhooks of single jobs, of which there may
/// be any number, have an endpoint together for each host.
pub(super) fn endpoint(webhook: &WebhookRecord) -> u32 {
    let name = match webhook.is_internal {
        true => format!("{}|{}", webhook.target.as_str(), webhook.address),
        false => webhook.id.to_string(),
    };
    let hash = hearth_auth::sha256(name.as_bytes());
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}
