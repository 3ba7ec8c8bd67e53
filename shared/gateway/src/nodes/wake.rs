//! Wake-on-LAN: a node that sleeps is woken by another node of its owner in the same network.

use std::{sync::Arc, time::Duration};

use hearth_domain::NodeId;
use hearth_wire::{ApiError, ErrorCode, native::nodes::NodeWoken};

use super::{NodeRecord, Nodes, StatusAge, may_use};
use crate::{Gateway, access::Caller};

/// Time between two wake-up packets for a node that this process sends for requests that wait.
pub(super) const WAKE_INTERVAL: Duration = Duration::from_secs(60);

impl Gateway {
    /// Wakes a node of the caller's, or any node of the organisation if the caller is an admin; returns the node that has sent
    /// the packet.
    ///
    /// # Errors
    /// `not_found` and `forbidden` as for [`Gateway::change_node`]; `conflict` if the address of the node's network card isn't
    /// known; `node_offline` if no other node of its owner can wake it.
    #[crate::boxed_future]
    pub async fn wake_node(&self, caller: &Caller, id: NodeId) -> Result<NodeWoken, ApiError> {
        let record = self.managed_node(caller, id).await?;
        self.0.nodes.wake(&record).await
    }
}

impl Nodes {
    /// Wakes the nodes that the caller may use and that don't answer, each at most once a minute.
    pub(crate) async fn wake_absent(self: &Arc<Self>, caller: &Caller) {
        let Ok(records) = self.records_for(caller).await else { return };
        for record in records.iter().filter(|record| may_use(caller, record) && !record.is_draining) {
            if self.woken.get(&record.id).is_some() || self.live_node(record, StatusAge::Cached).await.is_ok()
            {
                continue;
            }
            self.woken.put(record.id, ());
            match self.wake(record).await {
                Ok(NodeWoken { by }) => {
                    tracing::info!(node = %record.id, by, "a node was sent a wake-up packet for a run that waits for it");
                }
                Err(error) => tracing::debug!(node = %record.id, %error, "a node can't be woken"),
            }
        }
    }

    /// Wakes a node by another node of its owner; returns that node's name.
    async fn wake(self: &Arc<Self>, node: &NodeRecord) -> Result<NodeWoken, ApiError> {
        let state = self.relay.state(node.id).await?;
        let Some(mac) = state.and_then(|state| state.mac.clone()) else {
            let message = format!(
                "the address of the network card of {} isn't known: run `hearth node run` there once, with the setting \
                 node.mac if it isn't found by itself",
                node.name
            );
            return Err(ApiError::new(ErrorCode::Conflict, message));
        };
        let mut refusal = None;
        for other in self.records_of(node.owner().organisation).await?.iter() {
            if other.id == node.id || other.owner != node.owner {
                continue;
            }
            let Ok(live) = self.live_node(other, StatusAge::Cached).await else { continue };
            match live.link.wake(&mac).await {
                Ok(()) => return Ok(NodeWoken { by: other.name.clone() }),
                Err(error) => refusal = Some(format!("{}: {}", other.name, error.message)),
            }
        }
        let reason = refusal.unwrap_or_else(|| "none is alive".to_owned());
        let message = format!("no other node of its owner can wake {}: {reason}", node.name);
        Err(ApiError::new(ErrorCode::NodeOffline, message))
    }
}
