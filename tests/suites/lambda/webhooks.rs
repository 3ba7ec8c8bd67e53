//! Webhooks in the cloud: functions publish events, and `worker` delivers them.

use std::time::Duration;

use hearth_domain::{
    DeliveryState, EventId, EventKind, NodeId, OrganisationId, Owner, Timestamp, WebhookId, WebhookState,
    WebhookVisibility,
};
use hearth_store::{
    Store,
    event_outbox::OutboxEntry,
    limit_events::LimitEvent,
    nodes::NodeRecord,
    webhooks::{DeliveryRecord, WebhookRecord},
};
use hearth_tests::{Cloud, delivery_record, webhook_record};
use lambda_emulator::Emulator;
use serde_json::{Value, json};

use crate::{Placeholders, invoke, of_operator};

const ACCOUNTS: &str = "hearth-fn-accounts";
const SWEEP: &str = "hearth-fn-sweep";
const TICK: &str = r#"{"source": "aws.events", "detail-type": "Scheduled Event"}"#;
/// Age of an event whose process must have died.
const DEAD_PROCESS_GRACE: Duration = Duration::from_secs(300);

/// Stores a webhook for all events of an organisation, or for its user's.
pub(crate) async fn store_webhook(
    store: &Store,
    owner: Owner,
    visibility: WebhookVisibility,
    state: WebhookState,
) -> WebhookRecord {
    let record = WebhookRecord { visibility, state, ..webhook_record(store, owner).await.unwrap() };
    store.webhooks().create(&record).await.unwrap();
    record
}

/// Stores two webhooks for the events of the operator's organisation: one that is active, and one that is paused.
pub(crate) async fn subscribe(cloud: &Cloud) {
    let user = cloud.store().operator().await.unwrap();
    let owner = Owner { user, organisation: OrganisationId::of_operator(user) };
    for state in [WebhookState::Active, WebhookState::Paused] {
        store_webhook(cloud.store(), owner, WebhookVisibility::Organisation, state).await;
    }
}

/// Stores a delivery that waits.
pub(crate) async fn store_delivery(store: &Store, webhook: &WebhookRecord, state: DeliveryState) -> EventId {
    let event = EventId::new();
    let delivery = DeliveryRecord { state, ..delivery_record(webhook, event, "lane") };
    assert!(store.deliveries().create(&delivery).await.unwrap());
    event
}

/// Sends a sample of the function `accounts` with another method, path and body.
async fn ask(
    function: &Emulator,
    values: &Placeholders,
    method: &str,
    path: &str,
    body: Value,
    status: u16,
) -> Value {
    let mut event = values.event("post_v1.webhooks.json");
    (event["httpMethod"], event["path"]) = (method.into(), path.into());
    event["body"] = if body.is_null() { body } else { body.to_string().into() };
    let answer = invoke(function, &event).await;
    assert_eq!(answer.status.as_u16(), status, "{path}: {}", String::from_utf8_lossy(&answer.body()));
    answer.json().unwrap_or_default()
}

/// Does with webhooks what their owners may do.
pub(crate) async fn live_through(cloud: &Cloud, function: &Emulator, values: &Placeholders) {
    let user = cloud.store().operator().await.unwrap();
    let owner = Owner { user, organisation: OrganisationId::of_operator(user) };
    let webhook = store_webhook(cloud.store(), owner, WebhookVisibility::User, WebhookState::Active).await;
    let path = format!("/v1/webhooks/{}", webhook.id);
    ask(function, values, "PATCH", &path, json!({"name": "alerts"}), 200).await;
    ask(function, values, "POST", &format!("{path}/rotate"), json!({}), 200).await;
    ask(function, values, "POST", &format!("{path}/test"), json!({}), 202).await;
    let failed = store_delivery(cloud.store(), &webhook, DeliveryState::Failed).await;
    ask(function, values, "GET", &format!("{path}/deliveries"), Value::Null, 200).await;
    ask(function, values, "POST", &format!("{path}/deliveries/{failed}/replay"), json!({}), 202).await;
    ask(function, values, "POST", &format!("{path}/pause"), json!({}), 200).await;
    ask(function, values, "POST", &format!("{path}/resume"), json!({}), 200).await;
    // Its queue is deleted with it.
    ask(function, values, "DELETE", &path, Value::Null, 204).await;
}

#[tokio::test]
async fn webhook_is_created_and_tested_in_the_cloud() {
    let cloud = Cloud::start_without_node().await;
    let values = of_operator(&cloud).await;
    let accounts = cloud.function(ACCOUNTS).await;
    live_through(&cloud, &accounts, &values).await;
}

#[tokio::test]
async fn sweep_sends_the_events_of_dead_processes_and_of_silent_nodes() {
    let cloud = Cloud::start_without_node().await;
    let store = cloud.store();
    let user = store.operator().await.unwrap();
    let owner = Owner { user, organisation: OrganisationId::of_operator(user) };
    let own = WebhookVisibility::User;
    let (active, paused) = (
        store_webhook(store, owner, own, WebhookState::Active).await,
        store_webhook(store, owner, own, WebhookState::Paused).await,
    );
    let old = Timestamp::from_unix_millis(
        Timestamp::now().unix_millis() - u64::try_from(DEAD_PROCESS_GRACE.as_millis()).unwrap(),
    );
    let left = OutboxEntry {
        id: EventId::first_of(old),
        kind: EventKind::ModelRemoved,
        subject: "gone".to_owned(),
        organisation: owner.organisation,
        user: Some(user),
        data: json!({}),
        webhook: Some(WebhookId::new()),
        is_announced: true,
        changed_at: None,
    };
    store.event_outbox().put(&left).await.unwrap();
    // A process has announced two events of a budget, and died after it had stored the first.
    let reached = LimitEvent {
        organisation: owner.organisation,
        subject: format!("user:{user}"),
        period: "2026-11".to_owned(),
        resource: "tokens".to_owned(),
        percent: 50,
        at: old,
    };
    store.limit_events().put(&reached).await.unwrap();
    for (percent, milliseconds) in [(50, 1), (80, 2)] {
        let data = json!({"budget": reached.subject, "period": reached.period, "resource": "tokens", "percent": percent});
        let id = EventId::first_of(old.plus(Duration::from_millis(milliseconds)));
        let (kind, webhook) = (EventKind::BudgetThreshold, None);
        let subject = reached.subject.clone();
        let announced = OutboxEntry { id, kind, subject, data, webhook, ..left.clone() };
        store.event_outbox().put(&announced).await.unwrap();
    }
    let node = NodeRecord::new(NodeId::new(), owner, "silent");
    store.nodes().put(&node).await.unwrap();
    assert!(store.node_presence().add(node.id).await.unwrap());
    let sweep = cloud.function(SWEEP).await;
    let tick = serde_json::from_str(TICK).unwrap();
    sweep.trigger(&tick).await.unwrap_or_else(|failure| panic!("{failure}"));
    let range = (EventId::first_of(old), EventId::last_of(Timestamp::now().plus(DEAD_PROCESS_GRACE)));
    for webhook in [active, paused] {
        let (deliveries, _) = store.deliveries().page(webhook.id, range, None, 10).await.unwrap();
        let kinds: Vec<EventKind> = deliveries.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [EventKind::NodeOffline, EventKind::BudgetThreshold, EventKind::ModelRemoved]);
        assert!(deliveries[1].payload.contains(r#""percent":50"#), "{deliveries:?}");
    }
    assert!(store.event_outbox().older_than(Duration::ZERO).await.unwrap().is_empty());
    assert!(!store.node_presence().contains(node.id).await.unwrap());
    let of_events = [
        "EventOutbox",
        "Presence",
        "SilentNodes",
        "AnnouncedBudgets",
        "NewJobs",
        "Webhooks: dynamodb:GetItem",
    ];
    let unused = cloud.unused_permissions(SWEEP);
    let unused: Vec<_> =
        unused.iter().filter(|line| of_events.iter().any(|part| line.contains(part))).collect();
    assert!(unused.is_empty(), "{unused:#?}");
}
