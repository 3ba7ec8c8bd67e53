//! The outbox of events, and the nodes that count as online.

use std::time::Duration;

use hearth_domain::{EventId, EventKind, NodeId, OrganisationId};
use hearth_store::{
    database::{Condition, Item, Key, Write},
    event_outbox::OutboxEntry,
};
use serde_json::json;

use crate::{on_all, world::World};

on_all! {
    outbox_has_its_entries_until_they_are_deleted,
    node_comes_online_and_goes_offline_once,
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
