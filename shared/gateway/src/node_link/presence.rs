//! Events of nodes that come online or go offline.
//!
//! A node is online from its first report, and offline when it says that it stops or its lease is over. Only nodes that connect to
//! the gateway report: the one in this process, and those that the gateway calls at their addresses, have no such events.

use std::{sync::Arc, time::Duration};

use hearth_domain::{EventKind, NodeId, OrganisationId, Timestamp};
use hearth_store::{Store, StoreError, nodes::NodeRecord};
use serde_json::json;

use crate::{
    events::{Event, EventOwner, Events},
    timed_cache::TimedCache,
};

/// Limit of the nodes that this process remembers.
const NODE_MAX_COUNT: usize = 10_000;

/// Publishes the events. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct NodePresence(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    events: Events,
    /// Nodes that were online a moment ago: their reports cost no write.
    online: TimedCache<NodeId, ()>,
}

impl NodePresence {
    /// `report_interval`: time between two reports of a node.
    pub(crate) fn new(store: Store, events: Events, report_interval: Duration) -> Self {
        // At most every second report costs a read, also after another process has published that it is offline.
        let online = TimedCache::new(report_interval * 3 / 2, NODE_MAX_COUNT);
        Self(Arc::new(Shared { store, events, online }))
    }

    /// Notes a report of a node. A failure is logged: the next report comes here again.
    pub(crate) async fn note(&self, node: &NodeRecord, is_stopping: bool) {
        let noted = if is_stopping { self.end(node, "it has stopped").await } else { self.begin(node).await };
        if let Err(error) = noted {
            tracing::warn!(node = %node.id, %error, "the presence of a node can't be stored");
        }
    }

    /// Publishes that the nodes are offline whose leases are over; returns their number.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn end_silent(&self) -> Result<usize, StoreError> {
        let mut ended = 0;
        for id in self.0.store.node_presence().all().await? {
            let state = self.0.store.relay().state(id).await?;
            let lease = state.and_then(|state| state.lease_until);
            if lease.is_some_and(|until| Timestamp::now() < until) {
                continue;
            }
            match self.0.store.nodes().get(id).await? {
                Some(node) => self.end(&node, "it no longer answers").await?,
                None => drop(self.0.store.node_presence().remove(id).await?),
            }
            ended += 1;
        }
        Ok(ended)
    }

    async fn begin(&self, node: &NodeRecord) -> Result<(), StoreError> {
        if self.0.online.get(&node.id).is_some() {
            return Ok(());
        }
        let presence = self.0.store.node_presence();
        if !presence.contains(node.id).await? {
            let announced =
                self.0.events.announce(owner(node), event(node, EventKind::NodeOnline, None)).await;
            match presence.add(node.id).await? {
                true => announced.send().await,
                false => announced.withdraw().await,
            }
        }
        self.0.online.put(node.id, ());
        Ok(())
    }

    async fn end(&self, node: &NodeRecord, reason: &str) -> Result<(), StoreError> {
        self.0.online.remove(&node.id);
        let presence = self.0.store.node_presence();
        if !presence.contains(node.id).await? {
            return Ok(());
        }
        let event = event(node, EventKind::NodeOffline, Some(reason));
        let announced = self.0.events.announce(owner(node), event).await;
        match presence.remove(node.id).await? {
            true => announced.send().await,
            false => announced.withdraw().await,
        }
        Ok(())
    }
}

fn owner(node: &NodeRecord) -> EventOwner {
    let organisation = node.organisation.unwrap_or_else(|| OrganisationId::of_operator(node.owner));
    EventOwner { organisation, user: Some(node.owner) }
}

fn event(node: &NodeRecord, kind: EventKind, reason: Option<&str>) -> Event {
    let data = json!({ "node": node.id, "name": node.name, "reason": reason });
    Event::new(kind, node.id.to_string(), data)
}
