//! Stores the deliveries of an event, and submits a job for each.

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

use crate::{
    events::cloud_event,
    jobs::engine::{JobEngine, NewJob},
};

/// Limit of the deliveries that wait for a paused webhook; later events are left out.
const BACKLOG_MAX_COUNT: u32 = 1_000;
/// Time for which a job tries to deliver: as long as the delivery is stored.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Times that a job may fail by the store's or the process' fault.
const JOB_ATTEMPT_MAX_COUNT: u32 = 10;
/// The lane of a webhook that gets several events in one request.
const ONE_LANE: &str = "all";
/// Lanes of a webhook for which jobs are submitted when it is resumed; each goes on with its lane, and the others follow with
/// their next events.
pub(super) const RESUME_MAX_COUNT: usize = 1_000;

/// The input of a job that delivers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct DeliveryInput {
    pub(crate) organisation: OrganisationId,
    pub(crate) webhook: WebhookId,
    pub(crate) event: EventId,
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
        self.submit(webhook, entry.id, Duration::from_secs(window.into()), "").await
    }

    /// Queues a delivery again that has ended. Returns false if it hasn't ended.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn replay(
        &self,
        webhook: &WebhookRecord,
        delivery: &DeliveryRecord,
    ) -> Result<bool, StoreError> {
        let lane = lane(webhook, &delivery.subject);
        if !self.store.deliveries().requeue(delivery, &lane).await? {
            return Ok(false);
        }
        self.submit_again(webhook, delivery.event).await.map(|()| true)
    }

    /// Submits a job for each lane of a webhook that is active again.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn resume(&self, webhook: &WebhookRecord) -> Result<(), StoreError> {
        for event in self.store.deliveries().heads(webhook.id, RESUME_MAX_COUNT).await? {
            self.submit_again(webhook, event).await?;
        }
        Ok(())
    }

    /// Submits a job for a delivery whose first one has ended.
    async fn submit_again(&self, webhook: &WebhookRecord, event: EventId) -> Result<(), StoreError> {
        let now = Timestamp::now().unix_millis().to_string();
        self.submit(webhook, event, Duration::ZERO, &now).await
    }

    async fn submit(
        &self,
        webhook: &WebhookRecord,
        event: EventId,
        wait: Duration,
        again: &str,
    ) -> Result<(), StoreError> {
        let input = DeliveryInput { organisation: webhook.organisation, webhook: webhook.id, event };
        let job = NewJob {
            not_before: (wait > Duration::ZERO).then(|| Timestamp::now().plus(wait)),
            max_attempts: Some(JOB_ATTEMPT_MAX_COUNT),
            expires_after: Some(DELIVERY_TIMEOUT),
            dedupe: Some(format!("{}:{event}:{again}", webhook.id)),
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
