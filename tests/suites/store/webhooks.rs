//! Webhooks, and the logs of their deliveries.

use std::time::Duration;

use hearth_domain::{
    EventId, OrganisationId, Owner, Timestamp, UserId, WebhookId, WebhookState, WebhookVisibility,
};
use hearth_store::{
    Store, StoreError,
    owned::OwnedEntry,
    webhooks::{JOB_WEBHOOK_TTL, WebhookRecord},
};
use hearth_tests::{delivery_record, webhook_record};

use crate::{on_all, world::World};

on_all! {
    webhook_is_stopped_once_and_changed_by_its_revision,
    webhooks_of_a_user_are_deleted_and_those_of_the_organisation_stay,
    log_of_a_deleted_webhook_is_erased_with_its_user,
    webhook_of_a_job_lasts_as_long_as_the_job_and_its_deliveries,
}

/// Stores a webhook of a user's own organisation.
pub(crate) async fn webhook(store: &Store, user: UserId, visibility: WebhookVisibility) -> WebhookRecord {
    let owner = Owner { user, organisation: OrganisationId::of_operator(user) };
    let record = WebhookRecord { visibility, ..webhook_record(store, owner).await.unwrap() };
    store.webhooks().create(&record).await.unwrap();
    record
}

/// Stores so many deliveries in a lane; returns their events.
pub(crate) async fn fill(store: &Store, webhook: &WebhookRecord, lane: &str, count: usize) -> Vec<EventId> {
    let mut events = Vec::new();
    for _ in 0..count {
        let event = EventId::after(events.last().copied());
        assert!(store.deliveries().create(&delivery_record(webhook, event, lane)).await.unwrap());
        events.push(event);
    }
    events
}

async fn webhook_is_stopped_once_and_changed_by_its_revision(world: World) {
    let store = world.store();
    let mut record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let webhooks = store.webhooks();
    assert_eq!(webhooks.of(record.organisation).await.unwrap(), std::slice::from_ref(&record));
    let mut outdated = record.clone();
    record.name = "other".to_owned();
    webhooks.change(&mut record).await.unwrap();
    assert!(matches!(webhooks.change(&mut outdated).await, Err(StoreError::Conflict)));
    let at = Timestamp::now();
    assert!(webhooks.stop(&record, WebhookState::Paused, "it fails", at).await.unwrap());
    assert!(!webhooks.stop(&record, WebhookState::Disabled, "again", Timestamp::now()).await.unwrap());
    let stored = webhooks.get(record.organisation, record.id).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.state_reason.as_deref()), (WebhookState::Paused, Some("it fails")));
    assert_eq!(stored.state_at, Some(at));
    // A change of before the stop is refused.
    assert!(matches!(webhooks.change(&mut record).await, Err(StoreError::Conflict)));
    assert_eq!(webhooks.get(OrganisationId::new(), record.id).await.unwrap(), None);
}

async fn webhooks_of_a_user_are_deleted_and_those_of_the_organisation_stay(world: World) {
    let store = world.store();
    let user = UserId::new();
    let own = webhook(&store, user, WebhookVisibility::User).await;
    let shared = webhook(&store, user, WebhookVisibility::Organisation).await;
    let event = fill(&store, &own, "a", 1).await[0];
    assert_eq!(store.webhooks().delete_own(user, own.organisation).await.unwrap(), 1);
    assert_eq!(store.webhooks().of(own.organisation).await.unwrap(), std::slice::from_ref(&shared));
    assert_eq!(store.deliveries().get(own.id, event).await.unwrap(), None);
    assert_eq!(store.deliveries().pending(own.id, 10).await.unwrap(), 0);
    assert_eq!(store.webhooks().delete_all(own.organisation).await.unwrap(), 1);
    assert!(store.webhooks().of(own.organisation).await.unwrap().is_empty());
}

async fn log_of_a_deleted_webhook_is_erased_with_its_user(world: World) {
    let store = world.store();
    let user = UserId::new();
    let own = webhook(&store, user, WebhookVisibility::User).await;
    let shared = webhook(&store, user, WebhookVisibility::Organisation).await;
    let event = fill(&store, &own, "a", 1).await[0];
    store.webhooks().delete(&own).await.unwrap();
    store.webhooks().delete(&shared).await.unwrap();
    assert!(store.deliveries().get(own.id, event).await.unwrap().is_some(), "the log expires");
    // A process that remembers the webhook adds an event.
    let late = fill(&store, &own, "b", 1).await[0];
    let page = store.owned().page(user, None, 10).await.unwrap();
    assert_eq!(page, (vec![OwnedEntry::DeletedWebhook(own.id)], false));
    for entry in page.0 {
        store.erasures().erase_entry(entry).await.unwrap();
        store.erasures().erase_entry(entry).await.unwrap();
    }
    for event in [event, late] {
        assert_eq!(store.deliveries().get(own.id, event).await.unwrap(), None);
    }
    assert_eq!(store.deliveries().pending(own.id, 10).await.unwrap(), 0);
}

async fn webhook_of_a_job_lasts_as_long_as_the_job_and_its_deliveries(world: World) {
    let store = world.store();
    let record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let created_at = Timestamp::from_unix(Timestamp::now().unix() - 40 * 24 * 3600);
    let expires_at = Some(Timestamp::now().plus(Duration::from_secs(600)));
    let of_job = |expires_at| WebhookRecord {
        id: WebhookId::new(),
        is_internal: true,
        created_at,
        expires_at,
        ..record.clone()
    };
    let (late, expired) = (of_job(expires_at), of_job(None));
    for one in [&late, &expired] {
        store.webhooks().create(one).await.unwrap();
    }
    let get = async |id| store.webhooks().get(record.organisation, id).await.unwrap().map(|one| one.id);
    assert_eq!((get(late.id).await, get(expired.id).await), (Some(late.id), None));
    // A job that repeats it needs it for longer.
    let until = Timestamp::now().plus(JOB_WEBHOOK_TTL);
    for id in [late.id, expired.id, WebhookId::new()] {
        store.webhooks().extend(record.organisation, id, until).await.unwrap();
    }
    assert_eq!(get(expired.id).await, Some(expired.id));
    // It is never shortened.
    store.webhooks().extend(record.organisation, late.id, created_at).await.unwrap();
    let stored = store.webhooks().get(record.organisation, late.id).await.unwrap().unwrap();
    assert_eq!(stored.expires_at, Some(until));
}
