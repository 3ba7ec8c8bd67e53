//! The end of a node: its owner revokes it, leaves the organisation, or is erased.

use std::sync::Arc;

use hearth_domain::{OrganisationId, UserId};
use hearth_store::{Store, StoreError};

use crate::{
    node_link::NodeAuthentication,
    nodes::{NodeRecord, Nodes},
    relay::Relay,
    sockets::Sockets,
};

/// Ends nodes.
#[derive(Debug)]
pub(crate) struct NodeEnding {
    pub(crate) store: Store,
    pub(crate) authentication: Arc<NodeAuthentication>,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) relay: Relay,
    pub(crate) sockets: Arc<Sockets>,
}

impl NodeEnding {
    /// Ends a node: its key is no longer accepted, what it has of the gateway's runs ends, its items are deleted, and its
    /// sockets are closed.
    pub(crate) async fn end(&self, node: &NodeRecord) -> Result<(), StoreError> {
        // The record first: from then on no request of the node is accepted, and none creates an item.
        self.store.nodes().delete_record(node.id).await?;
        self.forget(node);
        self.relay.end_all_of(node.id).await?;
        self.store.nodes().delete(node.id).await?;
        self.sockets.close_all_of(node.id).await;
        Ok(())
    }

    /// Ends the nodes of a member of an organisation; returns their number.
    pub(crate) async fn end_all_of(
        &self,
        organisation: OrganisationId,
        owner: UserId,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for node in self.store.nodes().of(organisation).await?.iter().filter(|node| node.owner == owner) {
            self.end(node).await?;
            count += 1;
        }
        Ok(count)
    }

    /// Reads a node's record again at the next request.
    pub(crate) fn forget(&self, node: &NodeRecord) {
        self.authentication.forget(node.id);
        self.nodes.forget(node.owner().organisation);
    }
}
