//! The time for which a node counts as alive after it was heard of.

use std::time::Duration;

use hearth_domain::{NodeId, Timestamp};
use hearth_store::{Store, StoreError, relay::NodeState};
use hearth_wire::ApiError;

use super::unknown_node;
use crate::{background::Background, error};

/// Interval of a node's reports to a gateway at home.
const HOME_REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// Interval of a node's reports to the cloud, where each message is paid for.
const CLOUD_REPORT_INTERVAL: Duration = Duration::from_secs(240);
/// Time for which a node whose last socket has ended counts as alive without being heard of: it connects again within
/// seconds.
const SOCKET_GRACE: Duration = Duration::from_secs(10);

/// The leases of nodes.
#[derive(Debug, Clone)]
pub(crate) struct NodeLeases {
    store: Store,
    interval: Duration,
}

impl NodeLeases {
    /// `interval`: time between two reports of a node, if it is set.
    pub(crate) fn new(store: Store, background: Background, interval: Option<Duration>) -> Self {
        let default =
            if background.outlives_response() { HOME_REPORT_INTERVAL } else { CLOUD_REPORT_INTERVAL };
        Self { store, interval: interval.unwrap_or(default) }
    }

    /// Time between two reports of a node.
    pub(crate) fn report_interval(&self) -> Duration {
        self.interval
    }

    /// The end of a lease that begins at `now`: two reports may be lost or late.
    pub(crate) fn end(&self, now: Timestamp) -> Timestamp {
        now.plus(self.interval * 5 / 2)
    }

    /// Renews the lease of a node that was heard of now.
    ///
    /// # Errors
    /// `unauthorized` if the node has ended; `internal` if the store fails.
    pub(crate) async fn renew(&self, node: NodeId) -> Result<(), ApiError> {
        let now = Timestamp::now();
        match self.store.relay().record_sighting(node, now, self.end(now)).await {
            Err(StoreError::Conflict) => Err(unknown_node()),
            result => result.map_err(error::store),
        }
    }

    /// True if the lease of a node is over, or ends soon since its socket has ended.
    pub(crate) fn is_ending(&self, state: &NodeState) -> bool {
        let soon = Timestamp::now().plus(self.grace());
        state.lease_until.is_none_or(|until| until <= soon)
    }

    /// Shortens the lease of a node whose last socket has ended. `before`: its state when that was still unknown. A node that was
    /// heard of since keeps its lease.
    pub(crate) async fn shorten(&self, node: NodeId, before: &NodeState) -> Result<(), StoreError> {
        let Some(seen_at) = before.seen_at.filter(|_| !self.is_ending(before)) else { return Ok(()) };
        let until = Timestamp::now().plus(self.grace());
        self.store.relay().shorten_node_lease(node, seen_at, until).await
    }

    fn grace(&self) -> Duration {
        SOCKET_GRACE.min(self.interval)
    }
}
