//! The webhooks of an organisation, remembered, and the events that each gets.

use std::{sync::Arc, time::Duration};

use hearth_domain::{EventKind, OrganisationId, Pattern, WebhookState, WebhookVisibility};
use hearth_store::{Store, StoreError, event_outbox::OutboxEntry, webhooks::WebhookRecord};
use serde_json::Value;

use crate::{
    background::Background,
    timed_cache::{Freshness, TimedCache},
};

/// Age of the list in a process that has the store for itself: its own changes renew it.
const OWN_LIST_TTL: Duration = Duration::from_secs(600);
/// Age of the list where other processes change it too.
const SHARED_LIST_TTL: Duration = Duration::from_secs(20);
/// Age up to which a list is used while it is read again.
const STALE_LIST_TTL: Duration = Duration::from_secs(3600);
/// Limit of the organisations whose lists are in memory.
const LIST_MAX_COUNT: usize = 10_000;

/// The subscriptions of an organisation.
pub(crate) type SubscriptionList = Arc<[Subscription]>;

/// The subscriptions, with those of each organisation in memory.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    store: Store,
    background: Background,
    lists: TimedCache<OrganisationId, SubscriptionList>,
}

/// A webhook as a subscription.
#[derive(Debug)]
pub(crate) struct Subscription(WebhookRecord);

impl Subscriptions {
    pub(crate) fn new(store: Store, background: Background) -> Self {
        let ttl = if background.outlives_response() { OWN_LIST_TTL } else { SHARED_LIST_TTL };
        let lists = TimedCache::new(ttl, LIST_MAX_COUNT).stale_up_to(STALE_LIST_TTL);
        Self { store, background, lists }
    }

    /// The list, if it is in memory and fresh.
    pub(crate) fn cached(&self, organisation: OrganisationId) -> Option<SubscriptionList> {
        self.lists.get(&organisation)
    }

    /// The list.
    ///
    /// # Errors
    /// If it isn't in memory and the table can't be read.
    pub(crate) async fn of(
        self: &Arc<Self>,
        organisation: OrganisationId,
    ) -> Result<SubscriptionList, StoreError> {
        match self.lists.get_or_stale(&organisation) {
            Some((list, Freshness::Fresh)) => Ok(list),
            // Where the process is frozen after a response, the caller waits for the read.
            Some((list, Freshness::Stale)) if self.background.outlives_response() => {
                let this = Arc::clone(self);
                let refresh = async move { drop(this.read(organisation).await) };
                self.background.spawn_or_skip(refresh);
                Ok(list)
            }
            Some((_, Freshness::Stale)) | None => self.read(organisation).await,
        }
    }

    /// Reads the list again, after a change.
    pub(crate) async fn refresh(&self, organisation: OrganisationId) {
        self.lists.remove(&organisation);
        if let Err(error) = self.read(organisation).await {
            tracing::warn!(%error, "the webhooks of an organisation can't be read");
        }
    }

    async fn read(&self, organisation: OrganisationId) -> Result<SubscriptionList, StoreError> {
        let records = self.store.webhooks().of(organisation).await?;
        let list: SubscriptionList = records.into_iter().map(Subscription).collect();
        self.lists.put(organisation, Arc::clone(&list));
        Ok(list)
    }

    /// True if the webhook of a job gets events of this kind.
    pub(crate) fn gets_own(webhook: &WebhookRecord, kind: EventKind) -> bool {
        webhook.state != WebhookState::Disabled && webhook.events.iter().any(|pattern| kind.matches(pattern))
    }
}

impl Subscription {
    /// The webhook.
    pub(crate) fn record(&self) -> &WebhookRecord {
        &self.0
    }

    /// True if the webhook gets an event.
    pub(crate) fn gets(&self, event: &OutboxEntry) -> bool {
        let webhook = &self.0;
        let is_visible = match webhook.visibility {
            WebhookVisibility::Organisation => true,
            WebhookVisibility::User => event.user == Some(webhook.user),
        };
        // It can't be delivered, and would be the first to come when it is resumed.
        let is_own_pause = event.kind == EventKind::WebhookPaused && event.subject == webhook.id.to_string();
        is_visible
            && !is_own_pause
            && Subscriptions::gets_own(webhook, event.kind)
            && passes_filter(webhook, event)
    }
}

fn passes_filter(webhook: &WebhookRecord, event: &OutboxEntry) -> bool {
    let filter = &webhook.filter;
    let matches = |pattern: &str, text: &str| Pattern::new(pattern).matches(text);
    let has = |name: &str, pattern: &str| match event.data.get(name) {
        Some(Value::String(text)) => matches(pattern, text),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => matches(pattern, &value.to_string()),
        _ => false,
    };
    filter.subject.as_deref().is_none_or(|pattern| matches(pattern, &event.subject))
        && filter.attributes.iter().all(|(name, pattern)| has(name, pattern))
}
