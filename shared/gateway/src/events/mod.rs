//! Events: changes that webhooks are called for.
//!
//! An event that no webhook gets costs one look at a list in memory. For one that a webhook gets, an entry in the outbox is
//! stored before the change that it is about ([`Events::announce`]), its deliveries after it ([`Announcement::send`]). The
//! entries that the death of a process leaves are sent later, if the change has taken place (`recovery`). So an event may come
//! twice, with the same id, and none is lost.

mod jobs;
mod maintenance;
mod recovery;
mod runs;

use std::sync::{Arc, Mutex, PoisonError};

use hearth_domain::{EventId, EventKind, OrganisationId, Owner, Timestamp, UserId, WebhookId};
use hearth_store::{Store, event_outbox::OutboxEntry};
use serde_json::Value;

use crate::webhooks::{DeliveryQueue, Subscriptions};

/// A change that webhooks may be called for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    kind: EventKind,
    /// The id or the name of the thing that has changed.
    subject: String,
    data: Value,
    /// The thing's own webhook, beside the subscriptions.
    webhook: Option<WebhookId>,
    /// The time of the change, which the thing's record has too.
    changed_at: Option<Timestamp>,
}

impl Event {
    /// An event about the thing with this id or name.
    pub(crate) fn new(kind: EventKind, subject: impl Into<String>, data: Value) -> Self {
        Self { kind, subject: subject.into(), data, webhook: None, changed_at: None }
    }

    /// The event, which the thing's own webhook gets too.
    pub(crate) fn for_webhook(self, webhook: Option<WebhookId>) -> Self {
        Self { webhook, ..self }
    }

    /// The event of a change at this time, which the thing's record has too: by it the change is told from the same one by another
    /// process.
    pub(crate) fn at(self, changed_at: Option<Timestamp>) -> Self {
        Self { changed_at, ..self }
    }
}

/// The owner of the thing that an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventOwner {
    pub(crate) organisation: OrganisationId,
    /// None for a thing of the whole organisation: only webhooks for the organisation get its events.
    pub(crate) user: Option<UserId>,
}

impl From<Owner> for EventOwner {
    fn from(owner: Owner) -> Self {
        Self { organisation: owner.organisation, user: Some(owner.user) }
    }
}

/// Publishes events. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    subscriptions: Arc<Subscriptions>,
    deliveries: DeliveryQueue,
    /// The id of the latest event: later ones of this process sort behind it.
    last: Mutex<Option<EventId>>,
}

impl Events {
    pub(crate) fn new(store: Store, subscriptions: Arc<Subscriptions>, deliveries: DeliveryQueue) -> Self {
        Self(Arc::new(Shared { store, subscriptions, deliveries, last: Mutex::default() }))
    }

    /// Publishes the event of a change that has taken place. A failure is logged, and never the publisher's.
    pub(crate) async fn publish(&self, owner: impl Into<EventOwner>, event: Event) {
        let prepared = self.prepare(owner.into(), event, false).await;
        prepared.send().await;
    }

    /// Announces the event of a change that is about to take place. After it follows [`Announcement::send`] if the change was
    /// made, [`Announcement::withdraw`] if it certainly wasn't, and [`Announcement::confirm`] or [`Announcement::leave`] if that
    /// isn't certain. If the process dies before, the event is sent later if the subject's state and time are those of the event.
    pub(crate) async fn announce(&self, owner: impl Into<EventOwner>, event: Event) -> Announcement {
        self.prepare(owner.into(), event, true).await
    }

    /// True unless it is certain, without a read of the store, that no webhook gets events of the organisation.
    pub(crate) fn may_have_webhooks(&self, organisation: OrganisationId) -> bool {
        self.0.subscriptions.cached(organisation).is_none_or(|webhooks| !webhooks.is_empty())
    }

    async fn prepare(&self, owner: EventOwner, event: Event, is_announced: bool) -> Announcement {
        let Event { kind, subject, data, webhook, changed_at } = event;
        let EventOwner { organisation, user } = owner;
        if webhook.is_none() && !self.may_have_webhooks(organisation) {
            return Announcement::none();
        }
        let id = self.next_id();
        let entry =
            OutboxEntry { id, kind, subject, organisation, user, data, webhook, is_announced, changed_at };
        // Without the list the event is stored: it is matched later.
        let is_matched = match self.0.subscriptions.of(organisation).await {
            Ok(webhooks) => webhook.is_some() || webhooks.iter().any(|one| one.gets(&entry)),
            Err(error) => {
                tracing::warn!(%error, "the webhooks of an organisation can't be read");
                true
            }
        };
        if !is_matched {
            return Announcement::none();
        }
        if let Err(error) = self.0.store.event_outbox().put(&entry).await {
            tracing::error!(%error, event = %entry.id, "an event can't be stored: it is lost if this process dies now");
        }
        Announcement { events: Some(self.clone()), entry: Some(Box::new(entry)) }
    }

    /// Stores the deliveries of an event, and deletes its entry of the outbox. After a failure the entry stays.
    async fn send_entry(&self, entry: &OutboxEntry) {
        let sent = async {
            let webhooks = self.0.subscriptions.of(entry.organisation).await?;
            let own = match entry.webhook {
                Some(id) => self.0.store.webhooks().get(entry.organisation, id).await?,
                None => None,
            };
            let own = own.filter(|webhook| Subscriptions::gets_own(webhook, entry.kind));
            let public = jobs::for_subscriptions(entry);
            for webhook in webhooks.iter().filter(|webhook| webhook.gets(&public)) {
                self.0.deliveries.add(webhook.record(), &public).await?;
            }
            if let Some(webhook) = own {
                self.0.deliveries.add(&webhook, entry).await?;
            }
            self.0.store.event_outbox().delete(entry.id).await
        };
        match sent.await {
            Ok(()) => {
                metrics::counter!("hearth_events_total", "kind" => entry.kind.as_str()).increment(1);
            }
            Err(error) => {
                tracing::warn!(%error, event = %entry.id, "an event can't be sent yet; it stays in the outbox");
            }
        }
    }

    fn next_id(&self) -> EventId {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let id = EventId::after(*last);
        *last = Some(id);
        id
    }
}

/// An event whose change is about to take place.
#[derive(Debug)]
#[must_use = "the event is sent only by `send`"]
pub(crate) struct Announcement {
    events: Option<Events>,
    /// None if no webhook gets it.
    entry: Option<Box<OutboxEntry>>,
}

impl Announcement {
    /// An event that no webhook gets.
    pub(crate) fn none() -> Self {
        Self { events: None, entry: None }
    }

    /// Sends the event if the subject's state and time are those of the event: another process may have changed it first, or the
    /// answer of the write was lost. If the change may still come, the event stays in the outbox. Returns true if the change was
    /// this one.
    pub(crate) async fn confirm(self) -> bool {
        let (Some(events), Some(entry)) = (self.events, self.entry) else { return false };
        events.settle(&entry).await.unwrap_or_else(|error| {
            tracing::warn!(%error, event = %entry.id, "an event can't be sent yet; it stays in the outbox");
            false
        })
    }

    /// Sends the event, after the change has taken place. A failure is logged, and the event sent later.
    pub(crate) async fn send(self) {
        if let (Some(events), Some(entry)) = (self.events, self.entry) {
            events.send_entry(&entry).await;
        }
    }

    /// Leaves the event in the outbox, since the store has failed: the change may have been written. It is sent later if it was.
    pub(crate) fn leave(self) {
        if let Some(entry) = self.entry {
            tracing::warn!(event = %entry.id, "an event whose change may have been written stays in the outbox");
        }
    }

    /// Forgets the event, since the change certainly hasn't taken place.
    pub(crate) async fn withdraw(self) {
        let (Some(events), Some(entry)) = (self.events, self.entry) else { return };
        if let Err(error) = events.0.store.event_outbox().delete(entry.id).await {
            tracing::warn!(%error, event = %entry.id, "an event that isn't to be sent stays in the outbox");
        }
    }
}
