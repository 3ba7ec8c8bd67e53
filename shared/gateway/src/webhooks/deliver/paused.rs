//! The end of a webhook whose endpoint fails: it is paused or disabled, and its owner is notified.

use hearth_domain::{DeliveryState, EventId, EventKind, Owner, Timestamp, WebhookState};
use hearth_store::{
    StoreError,
    event_outbox::OutboxEntry,
    webhooks::{DeliveryRecord, WebhookRecord},
};
use serde_json::json;

use super::count;
use crate::{
    components::Components,
    events::{Event, EventOwner},
    webhooks::{Webhooks, attach::attach_email, checks::without_path},
};

impl Webhooks {
    /// Stores a failed delivery, stops its webhook, and notifies its owner.
    pub(super) async fn stop(
        &self,
        components: &Components,
        webhook: &WebhookRecord,
        state: WebhookState,
        reason: &str,
        delivery: &DeliveryRecord,
    ) -> Result<(), StoreError> {
        count(webhook, DeliveryState::Failed);
        let owner = Owner { user: webhook.user, organisation: webhook.organisation };
        if webhook.is_internal {
            // No member manages this webhook: its other events are tried too.
            return self.store.deliveries().save(delivery).await;
        }
        let at = Timestamp::now();
        let data = json!({
            "webhook": webhook.id, "name": webhook.name, "url": without_path(&webhook.address), "state": state,
            "reason": reason, "event": delivery.event,
        });
        let event = Event::new(EventKind::WebhookPaused, webhook.id.to_string(), data.clone()).at(Some(at));
        let announced = components.events.announce(EventOwner::from(owner), event).await;
        // The webhook before the delivery: a process that dies in between tries again, and comes here again.
        let is_first = self.store.webhooks().stop(webhook, state, reason, at).await?;
        self.subscriptions.refresh(webhook.organisation).await;
        self.store.deliveries().save(delivery).await?;
        if is_first {
            announced.send().await;
        } else if !announced.confirm().await {
            // Another worker has stopped it. Else the answer of this one's write was lost.
            return Ok(());
        }
        metrics::counter!("hearth_webhooks_stopped_total", "state" => state.as_str()).increment(1);
        tracing::warn!(webhook = %webhook.id, state = state.as_str(), "a webhook was stopped");
        if let Err(error) = self.notify_by_email(owner, webhook, data).await {
            tracing::warn!(webhook = %webhook.id, %error, "the owner of a webhook can't be notified by email");
        }
        Ok(())
    }

    /// Queues an email to the owner, if there are emails and the profile has an address.
    async fn notify_by_email(
        &self,
        owner: Owner,
        webhook: &WebhookRecord,
        data: serde_json::Value,
    ) -> Result<(), StoreError> {
        if self.mailer.is_none() {
            return Ok(());
        }
        let user = self.store.users().get(owner.user).await?;
        let Some(address) = user.and_then(|user| user.email) else { return Ok(()) };
        let email = attach_email(&self.store, owner, &address).await?;
        let entry = OutboxEntry {
            id: EventId::new(),
            kind: EventKind::WebhookPaused,
            subject: webhook.id.to_string(),
            organisation: owner.organisation,
            user: Some(owner.user),
            data,
            webhook: None,
            is_announced: false,
            changed_at: None,
        };
        self.queue.add(&email, &entry).await
    }
}
