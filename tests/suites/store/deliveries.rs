//! Deliveries of events to webhooks: their lanes, claims, places and ends.

use std::time::Duration;

use hearth_domain::{
    DeliveryState, EventId, JobId, OrganisationId, Timestamp, UserId, WebhookId, WebhookVisibility,
};
use hearth_store::{
    Store, StoreError,
    webhooks::{DeliveryClaim, DeliveryRecord, DeliveryWorker, WebhookRecord},
};
use hearth_tests::delivery_record;

use crate::{
    on_all,
    webhooks::{fill, webhook},
    world::World,
};

/// Time of a claim that lasts as long as the test.
const CLAIM_TTL: Duration = Duration::from_secs(600);

on_all! {
    lane_is_claimed_by_one_worker_and_in_order,
    later_lease_of_a_job_has_the_claim_of_the_earlier_one,
    first_events_of_all_lanes_are_read_in_pages,
    endpoint_has_a_few_places_for_jobs,
    batch_ends_together_and_leaves_the_queue,
    ended_delivery_is_queued_again,
    messages_are_limited_by_key_and_by_hour,
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

async fn lane_is_claimed_by_one_worker_and_in_order(world: World) {
    let store = world.store();
    let record = webhook(&store, UserId::new(), WebhookVisibility::User).await;
    let events = fill(&store, &record, "a", 2).await;
    let other = fill(&store, &record, "b", 1).await;
    let deliveries = store.deliveries();
    assert!(!deliveries.create(&delivery_record(&record, events[0], "a")).await.unwrap(), "a second one");
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
