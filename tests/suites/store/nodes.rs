//! Nodes and the codes of their enrolment, over all databases.

use std::time::Duration;

use hearth_domain::{NodeId, NodeSharing, NodeTransport, OrganisationId, Owner, Timestamp, UserId};
use hearth_store::{StoreError, node_codes::NodeCodeRecord, nodes::NodeRecord};

use crate::{on_all, world::World};

on_all! {
    code_enrols_one_node_and_is_deleted_with_that,
    expired_code_is_not_there,
    change_of_a_node_that_has_changed_is_refused,
    deleted_node_leaves_nothing,
    node_that_is_deleted_gets_no_state_any_more,
}

fn owner() -> Owner {
    Owner { user: UserId::new(), organisation: OrganisationId::new() }
}

fn code(owner: Owner, lifetime: Duration) -> NodeCodeRecord {
    let created_at = Timestamp::now();
    NodeCodeRecord {
        hash: NodeId::new().to_string(),
        owner: owner.user,
        organisation: owner.organisation,
        name: Some("cellar".to_owned()),
        created_at,
        expires_at: created_at.plus(lifetime),
    }
}

fn node(owner: Owner) -> NodeRecord {
    NodeRecord {
        public_key: Some("key".to_owned()),
        sharing: NodeSharing::default(),
        ..NodeRecord::new(NodeId::new(), owner, "cellar")
    }
}

async fn code_enrols_one_node_and_is_deleted_with_that(world: World) {
    let (store, owner) = (world.store(), owner());
    let (codes, code) = (store.node_codes(), code(owner, Duration::from_secs(60)));
    codes.create(&code).await.unwrap();
    assert!(matches!(codes.create(&code).await, Err(StoreError::Conflict)));
    assert_eq!(codes.by_hash(&code.hash).await.unwrap(), Some(code.clone()));
    let (first, second) = (node(owner), node(owner));
    codes.redeem(&code, &first).await.unwrap();
    assert_eq!(codes.by_hash(&code.hash).await.unwrap(), None);
    assert!(matches!(codes.redeem(&code, &second).await, Err(StoreError::Conflict)));
    assert_eq!(store.nodes().get(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.nodes().get(second.id).await.unwrap(), None);
    assert_eq!(store.nodes().of(owner.organisation).await.unwrap(), [first]);
}

async fn expired_code_is_not_there(world: World) {
    let (store, code) = (world.store(), code(owner(), Duration::ZERO));
    store.node_codes().create(&code).await.unwrap();
    assert_eq!(store.node_codes().by_hash(&code.hash).await.unwrap(), None);
}

async fn change_of_a_node_that_has_changed_is_refused(world: World) {
    let (store, node) = (world.store(), node(owner()));
    assert!(matches!(store.nodes().change(&node).await, Err(StoreError::Conflict)));
    store.nodes().put(&node).await.unwrap();
    let renamed = NodeRecord { name: "attic".to_owned(), ..node.clone() };
    store.nodes().change(&renamed).await.unwrap();
    let drained = NodeRecord { is_draining: true, ..node.clone() };
    assert!(matches!(store.nodes().change(&drained).await, Err(StoreError::Conflict)));
    let stored = store.nodes().get(node.id).await.unwrap().unwrap();
    assert_eq!((stored.name.as_str(), stored.is_draining, stored.revision), ("attic", false, 1));
    store.nodes().change(&NodeRecord { is_draining: true, ..stored }).await.unwrap();
}

async fn deleted_node_leaves_nothing(world: World) {
    let (store, node) = (world.store(), node(owner()));
    store.nodes().put(&node).await.unwrap();
    store.nodes().delete(node.id).await.unwrap();
    assert_eq!(store.nodes().get(node.id).await.unwrap(), None);
    assert!(store.nodes().of(node.owner().organisation).await.unwrap().is_empty());
    assert!(matches!(store.nodes().change(&node).await, Err(StoreError::Conflict)));
    // A repetition finds nothing.
    store.nodes().delete(node.id).await.unwrap();
}

async fn node_that_is_deleted_gets_no_state_any_more(world: World) {
    let (store, first, second) = (world.store(), node(owner()), node(owner()));
    let (relay, now) = (store.relay(), Timestamp::now());
    // One that was never registered, and those whose first write came before the end, or would come after it.
    let stranger = relay.record_sighting(NodeId::new(), now, now).await;
    assert!(matches!(stranger, Err(StoreError::Conflict)));
    for node in [&first, &second] {
        store.nodes().put(node).await.unwrap();
    }
    relay.record_sighting(first.id, now, now).await.unwrap();
    assert_eq!(store.nodes().get(first.id).await.unwrap(), Some(first.clone()), "the record has changed");
    for node in [&first, &second] {
        store.nodes().delete(node.id).await.unwrap();
        assert!(matches!(relay.record_sighting(node.id, now, now).await, Err(StoreError::Conflict)));
        let transport = relay.set_transport(node.id, NodeTransport::Relay, "it has no address").await;
        assert!(matches!(transport, Err(StoreError::Conflict)));
        assert_eq!(relay.state(node.id).await.unwrap(), None);
    }
}
