//! Webhooks, deliveries, the outbox of events, and the nodes that count as online.

use std::time::Duration;

use hearth_domain::{
    DeliveryState, EventId, EventKind, JobId, NodeId, OrganisationId, RevisionId, Secret, Timestamp, UserId,
    WebhookId, WebhookState, WebhookTarget, WebhookVisibility,
};
use hearth_store::{
    Store, StoreError,
    database::{Condition, Item, Key, Write},
    event_outbox::OutboxEntry,
    owned::OwnedEntry,
    webhooks::{
        DeliveryClaim, DeliveryRecord, DeliveryWorker, EventFilter, JOB_WEBHOOK_TTL, WebhookRecord, context,
    },
};
use serde_json::json;

use crate::{on_all, world::World};

/// Time of a claim that lasts as long as the test.
const CLAIM_TTL: Duration = Duration::from_secs(600);

on_all! {
    webhook_is_stopped_once_and_changed_by_its_revision,
    webhooks_of_a_user_are_deleted_and_those_of_the_organisation_stay,
    log_of_a_deleted_webhook_is_erased_with_its_user,
    webhook_of_a_job_lasts_as_long_as_the_job_and_its_deliveries,
    lane_is_claimed_by_one_worker_and_in_order,
    later_lease_of_a_job_has_the_claim_of_the_earlier_one,
    first_events_of_all_lanes_are_read_in_pages,
    endpoint_has_a_few_places_for_jobs,
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
        expires_at: None,
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

fn worker() -> DeliveryWorker {
    DeliveryWorker { job: JobId::new(), fence: 1 }
}

/// Claims a delivery, which no other worker has.
async fn claimed(
    store: &Store,
    webhook: &WebhookRecord,
    event: EventId,
    worker: DeliveryWorker,
    ttl: Duration,
) -> DeliveryRecord {
    match store.deliveries().claim(webhook.id, event, worker, ttl).await.unwrap() {
        DeliveryClaim::Claimed(delivery) => *delivery,
        other => panic!("{other:?}"),
    }
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
    let expires_at = Some(Timestamp::now().plus(CLAIM_TTL));
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

async fn lane_is_claimed_by_one_worker_and_in_order(world: World) {
    let store = world.store();
    let record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let events = fill(&store, &record, "a", 2).await;
    let other = fill(&store, &record, "b", 1).await;
    let deliveries = store.deliveries();
    assert!(!deliveries.create(&delivery(&record, events[0], "a")).await.unwrap(), "a second one");
    assert_eq!(deliveries.first_of_lane(record.id, "a", 5).await.unwrap(), events);
    assert_eq!(deliveries.heads(record.id, None, 10).await.unwrap(), (vec![events[0], other[0]], None));
    let (one, two) = (worker(), worker());
    let first = claimed(&store, &record, events[0], one, CLAIM_TTL).await;
    let held = deliveries.claim(record.id, events[0], two, CLAIM_TTL).await.unwrap();
    let until = first.claim_until.unwrap();
    assert_eq!(held, DeliveryClaim::Held { claim: one.to_string(), until });
    // A job that has ended releases its claim; another one's stays.
    assert!(!deliveries.release_by(record.id, events[0], two.job).await.unwrap());
    assert!(matches!(
        deliveries.claim(record.id, events[0], two, CLAIM_TTL).await.unwrap(),
        DeliveryClaim::Held { .. }
    ));
    assert!(deliveries.release_by(record.id, events[0], one.job).await.unwrap());
    let taken = claimed(&store, &record, events[0], two, CLAIM_TTL).await;
    assert!(matches!(deliveries.save(&first).await, Err(StoreError::Conflict)), "an old claim");
    let ended = DeliveryRecord { state: DeliveryState::Delivered, ended_at: Some(Timestamp::now()), ..taken };
    deliveries.save(&ended).await.unwrap();
    assert_eq!(deliveries.first_of_lane(record.id, "a", 5).await.unwrap(), events[1..]);
    assert_eq!(deliveries.claim(record.id, events[0], two, CLAIM_TTL).await.unwrap(), DeliveryClaim::Ended);
    assert!(deliveries.drop_ended(record.id, "a", events[0]).await.unwrap());
    assert!(!deliveries.drop_ended(record.id, "a", events[1]).await.unwrap());
}

async fn later_lease_of_a_job_has_the_claim_of_the_earlier_one(world: World) {
    let store = world.store();
    let record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let event = fill(&store, &record, "a", 1).await[0];
    let deliveries = store.deliveries();
    let earlier = worker();
    let later = DeliveryWorker { fence: 2, ..earlier };
    let late = claimed(&store, &record, event, earlier, CLAIM_TTL).await;
    let taken = claimed(&store, &record, event, later, CLAIM_TTL).await;
    let held = deliveries.claim(record.id, event, earlier, CLAIM_TTL).await.unwrap();
    assert!(matches!(held, DeliveryClaim::Held { .. }), "{held:?}");
    // A process that slept past its lease neither ends the delivery nor makes it pending again.
    assert!(matches!(deliveries.save(&late).await, Err(StoreError::Conflict)));
    let ended = DeliveryRecord { state: DeliveryState::Delivered, ..taken.clone() };
    deliveries.save(&ended).await.unwrap();
    for outdated in [late, taken] {
        assert!(matches!(deliveries.save(&outdated).await, Err(StoreError::Conflict)), "{outdated:?}");
    }
    assert_eq!(
        deliveries.get(record.id, event).await.unwrap().map(|one| one.state),
        Some(DeliveryState::Delivered)
    );
}

async fn first_events_of_all_lanes_are_read_in_pages(world: World) {
    let store = world.store();
    let record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let mut first = Vec::new();
    for lane in ["a", "b", "c", "d", "e"] {
        first.push(fill(&store, &record, lane, 3).await[0]);
    }
    let (mut heads, mut after) = (Vec::new(), None::<String>);
    loop {
        // A page ends within a lane: the next one begins behind it.
        let (page, next) = store.deliveries().heads(record.id, after.as_deref(), 4).await.unwrap();
        heads.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(heads, first);
    assert_eq!(store.deliveries().heads(WebhookId::new(), None, 4).await.unwrap(), (vec![], None));
}

async fn endpoint_has_a_few_places_for_jobs(world: World) {
    let store = &world.store();
    let (deliveries, endpoint) = (store.deliveries(), (OrganisationId::new(), 7));
    let take = async |job, ttl| deliveries.take_place(endpoint, job, 2, ttl).await.unwrap();
    let [first, second, third] = [JobId::new(), JobId::new(), JobId::new()];
    assert!(take(first, CLAIM_TTL).await && take(second, CLAIM_TTL).await);
    assert!(!take(third, CLAIM_TTL).await);
    // A job takes its own place again; another endpoint has places of its own.
    assert!(take(first, CLAIM_TTL).await);
    assert!(deliveries.take_place((endpoint.0, 8), third, 2, CLAIM_TTL).await.unwrap());
    deliveries.release_place(endpoint, third).await.unwrap();
    deliveries.release_place(endpoint, first).await.unwrap();
    assert!(take(third, Duration::ZERO).await);
    // The place of a job that has died is free after its time.
    assert!(take(first, CLAIM_TTL).await);
    assert!(!take(third, CLAIM_TTL).await);
    // Of several jobs at once no more than there are places have one.
    let jobs: Vec<_> = (0..5).map(|_| JobId::new()).collect();
    let other = (OrganisationId::new(), 7);
    let takes = jobs.iter().map(|job| deliveries.take_place(other, *job, 2, CLAIM_TTL));
    let taken = futures::future::join_all(takes).await;
    assert_eq!(taken.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 2);
}

async fn batch_ends_together_and_leaves_the_queue(world: World) {
    let store = world.store();
    let record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let events = fill(&store, &record, "all", 25).await;
    let deliveries = store.deliveries();
    let head = claimed(&store, &record, events[0], worker(), CLAIM_TTL).await;
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
    let pending = claimed(&store, &record, events[1], worker(), CLAIM_TTL).await;
    assert!(!deliveries.requeue(&pending, "a").await.unwrap(), "it is pending");
    let failed = DeliveryRecord { state: DeliveryState::Failed, attempts: 5, ..pending };
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
        changed_at: None,
    };
    // One that can't be read hides no other.
    for shard in 0..4 {
        let key = Key::new(format!("OUTBOX#{shard}"), EventId::new().to_string());
        let body = "{\"damaged\":true}".to_owned();
        let item = Item { key, gsi1: None, gsi2: None, ttl: None, version: 1, body, bytes: None };
        store.database().write(Write::Put(item, Condition::Always)).await.unwrap();
    }
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
