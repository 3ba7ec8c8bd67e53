//! Webhooks, deliveries, the outbox of events, and the nodes that count as online.

use std::time::Duration;

use hearth_domain::{
    DeliveryState, EventId, EventKind, NodeId, OrganisationId, RevisionId, Secret, Timestamp, UserId,
    WebhookId, WebhookState, WebhookTarget, WebhookVisibility,
};
use hearth_store::{
    Store, StoreError,
    event_outbox::OutboxEntry,
    webhooks::{DeliveryRecord, EventFilter, WebhookRecord, context},
};
use serde_json::json;

use crate::{on_all, world::World};

/// Time of a claim that lasts as long as the test.
const CLAIM_TTL: Duration = Duration::from_secs(600);

on_all! {
    webhook_is_stopped_once_and_changed_by_its_revision,
    webhooks_of_a_user_are_deleted_and_those_of_the_organisation_stay,
    lane_is_claimed_by_one_worker_and_in_order,
    batch_ends_together_and_leaves_the_queue,
    ended_delivery_is_queued_again,
    messages_are_limited_by_key_and_by_hour,
    outbox_has_its_entries_until_they_are_deleted,
    node_comes_online_and_goes_offline_once,
}

async fn webhook(store: &Store, user: UserId, visibility: WebhookVisibility) -> WebhookRecord {
    let (id, now) = (WebhookId::new(), Timestamp::now());
    let organisation = OrganisationId::of_operator(user);
    let sealed = store.seal(&context(organisation, id), &Secret::new("{}")).await.unwrap();
    let record = WebhookRecord {
        id,
        organisation,
        user,
        name: "thing".to_owned(),
        events: vec!["*".to_owned()],
        filter: EventFilter::default(),
        visibility,
        target: WebhookTarget::Https,
        address: "https://receiver.example/".to_owned(),
        header_names: Vec::new(),
        sealed,
        previous_secret_until: None,
        batch: None,
        state: WebhookState::Active,
        state_reason: None,
        state_at: None,
        is_internal: false,
        created_at: now,
        updated_at: now,
        revision: RevisionId::new(),
    };
    store.webhooks().create(&record).await.unwrap();
    record
}

fn delivery(webhook: &WebhookRecord, event: EventId, lane: &str) -> DeliveryRecord {
    DeliveryRecord {
        webhook: webhook.id,
        organisation: webhook.organisation,
        event,
        kind: EventKind::RunFailed,
        subject: lane.to_owned(),
        payload: "{}".to_owned(),
        lane: lane.to_owned(),
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
    }
}

/// Stores so many deliveries in a lane; returns their events.
async fn fill(store: &Store, webhook: &WebhookRecord, lane: &str, count: usize) -> Vec<EventId> {
    let mut events = Vec::new();
    for _ in 0..count {
        let event = EventId::after(events.last().copied());
        assert!(store.deliveries().create(&delivery(webhook, event, lane)).await.unwrap());
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
    assert!(webhooks.stop(&record, WebhookState::Paused, "it fails").await.unwrap());
    assert!(!webhooks.stop(&record, WebhookState::Disabled, "again").await.unwrap());
    let stored = webhooks.get(record.organisation, record.id).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.state_reason.as_deref()), (WebhookState::Paused, Some("it fails")));
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

async fn lane_is_claimed_by_one_worker_and_in_order(world: World) {
    let store = world.store();
    let record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let events = fill(&store, &record, "a", 2).await;
    let other = fill(&store, &record, "b", 1).await;
    let deliveries = store.deliveries();
    assert!(!deliveries.create(&delivery(&record, events[0], "a")).await.unwrap(), "a second one");
    assert_eq!(deliveries.first_of_lane(record.id, "a", 5).await.unwrap(), events);
    assert_eq!(deliveries.heads(record.id, 10).await.unwrap(), [events[0], other[0]]);
    let mut first = deliveries.claim(record.id, events[0], "one", CLAIM_TTL).await.unwrap().unwrap();
    assert_eq!(deliveries.claim(record.id, events[0], "two", CLAIM_TTL).await.unwrap(), None);
    // The same worker after its death.
    assert!(deliveries.claim(record.id, events[0], "one", Duration::ZERO).await.unwrap().is_some());
    let taken = deliveries.claim(record.id, events[0], "two", CLAIM_TTL).await.unwrap().unwrap();
    assert!(matches!(deliveries.save(&first).await, Err(StoreError::Conflict)), "an old claim");
    first = DeliveryRecord { state: DeliveryState::Delivered, ended_at: Some(Timestamp::now()), ..taken };
    deliveries.save(&first).await.unwrap();
    assert_eq!(deliveries.first_of_lane(record.id, "a", 5).await.unwrap(), events[1..]);
    assert_eq!(deliveries.claim(record.id, events[0], "two", CLAIM_TTL).await.unwrap(), None);
    assert!(deliveries.drop_ended(record.id, "a", events[0]).await.unwrap());
    assert!(!deliveries.drop_ended(record.id, "a", events[1]).await.unwrap());
}

async fn batch_ends_together_and_leaves_the_queue(world: World) {
    let store = world.store();
    let record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let events = fill(&store, &record, "all", 25).await;
    let deliveries = store.deliveries();
    let head = deliveries.claim(record.id, events[0], "one", CLAIM_TTL).await.unwrap().unwrap();
    let head = DeliveryRecord { members: events[..24].to_vec(), ..head };
    deliveries.save(&head).await.unwrap();
    let ended = DeliveryRecord { state: DeliveryState::Delivered, ended_at: Some(Timestamp::now()), ..head };
    deliveries.save(&ended).await.unwrap();
    assert_eq!(deliveries.first_of_lane(record.id, "all", 5).await.unwrap(), events[24..]);
    let member = deliveries.get(record.id, events[7]).await.unwrap().unwrap();
    assert_eq!((member.state, member.sent_with), (DeliveryState::Delivered, Some(events[0])));
    assert_eq!(member.ended_at, ended.ended_at);
}

async fn ended_delivery_is_queued_again(world: World) {
    let store = world.store();
    let record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let events = fill(&store, &record, "a", 3).await;
    let deliveries = store.deliveries();
    let claimed = deliveries.claim(record.id, events[1], "one", CLAIM_TTL).await.unwrap().unwrap();
    assert!(!deliveries.requeue(&claimed, "a").await.unwrap(), "it is pending");
    let failed = DeliveryRecord { state: DeliveryState::Failed, attempts: 5, ..claimed };
    deliveries.save(&failed).await.unwrap();
    assert!(deliveries.requeue(&failed, "b").await.unwrap());
    assert!(!deliveries.requeue(&failed, "b").await.unwrap(), "it is pending again");
    let again = deliveries.get(record.id, events[1]).await.unwrap().unwrap();
    assert_eq!((again.state, again.attempts, again.claim.as_str()), (DeliveryState::Pending, 0, ""));
    assert_eq!(deliveries.first_of_lane(record.id, "b", 5).await.unwrap(), [events[1]]);
    let range = (events[0], events[2]);
    let (page, next) = deliveries.page(record.id, range, None, 2).await.unwrap();
    assert_eq!(page.iter().map(|one| one.event).collect::<Vec<_>>(), [events[2], events[1]]);
    let (page, next) = deliveries.page(record.id, range, next, 2).await.unwrap();
    assert_eq!((page.len(), page[0].event, next), (1, events[0], None));
}

async fn messages_are_limited_by_key_and_by_hour(world: World) {
    let store = world.store();
    let (webhook, hour) = (WebhookId::new(), Duration::from_secs(3600));
    let deliveries = store.deliveries();
    assert!(deliveries.mark_notice(webhook, "key", "evt_1", hour).await.unwrap());
    assert!(deliveries.mark_notice(webhook, "key", "evt_1", hour).await.unwrap(), "the same event again");
    assert!(!deliveries.mark_notice(webhook, "key", "evt_2", hour).await.unwrap());
    assert!(deliveries.mark_notice(webhook, "other", "evt_2", hour).await.unwrap());
    let mut counted = 0;
    for _ in 0..5 {
        counted += u32::from(deliveries.count_notice(webhook, 3).await.unwrap());
    }
    // An hour may begin meanwhile.
    assert!((3..=5).contains(&counted), "{counted}");
}

async fn outbox_has_its_entries_until_they_are_deleted(world: World) {
    let store = world.store();
    let entry = OutboxEntry {
        id: EventId::new(),
        kind: EventKind::RunFailed,
        subject: "req_1".to_owned(),
        organisation: OrganisationId::new(),
        user: None,
        data: json!({"id": "req_1"}),
        webhook: None,
        is_announced: true,
    };
    store.event_outbox().put(&entry).await.unwrap();
    assert_eq!(store.event_outbox().older_than(Duration::ZERO).await.unwrap(), std::slice::from_ref(&entry));
    assert!(store.event_outbox().older_than(Duration::from_secs(600)).await.unwrap().is_empty());
    store.event_outbox().delete(entry.id).await.unwrap();
    assert!(store.event_outbox().older_than(Duration::ZERO).await.unwrap().is_empty());
}

async fn node_comes_online_and_goes_offline_once(world: World) {
    let store = world.store();
    let (node, presence) = (NodeId::new(), store.node_presence());
    assert!(!presence.contains(node).await.unwrap());
    assert!(presence.add(node).await.unwrap() && !presence.add(node).await.unwrap());
    assert_eq!((presence.contains(node).await.unwrap(), presence.all().await.unwrap()), (true, vec![node]));
    assert!(presence.remove(node).await.unwrap() && !presence.remove(node).await.unwrap());
    assert!(presence.all().await.unwrap().is_empty());
}
