//! The organisations' nodes, and their status.
//!
//! - `live`: the nodes that a member may use and that answer, with their status; `absent`: errors for the others.
//! - `placement`: the order in which they are asked for a run; `runs`: the runs of this process at them.
//! - `reachability`: direct or relay.
//! - `energy`: the cost of runs by the energy of nodes.
//! - `wake`: Wake-on-LAN.
//! - `probes`: whether the operator's nodes answer.
//! - `enrolment`, `management`, `description`: nodes, for the people who use them.

mod absent;
mod description;
mod energy;
mod enrolment;
mod live;
mod managed;
mod management;
pub(crate) mod placement;
mod probes;
mod reachability;
mod runs;
mod wake;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use hearth_domain::{MemberRole, NodeEnergy, NodeId, NodeTransport, OrganisationId};
use hearth_providers::{AllowedAddresses, LocalNode, NodeLink, PinnedKey, http_client, pinned_http_client};
use hearth_store::{Store, StoreError};
use hearth_wire::{ApiError, ErrorCode, node::NodeStatus};

pub use crate::node_link::{ClaimedNode, NodeAuthentication};
use crate::{
    access::Caller,
    background::Background,
    error,
    keys::GatewayKeys,
    relay::Relay,
    timed_cache::{Freshness, TimedCache},
};
pub(crate) use energy::{EnergyMeter, EnergyUse};
pub use enrolment::NodeCode;
pub use hearth_store::nodes::NodeRecord;
pub(crate) use live::{LiveNode, StatusAge};
use probes::Probes;
pub(crate) use probes::{NodeProbe, NodeState};
use reachability::Reachability;
use runs::NodeRuns;
pub(crate) use runs::PlacedNode;

/// Age at which an organisation's node records, and a node's status, are read again.
const NODE_TTL: Duration = Duration::from_secs(1);
/// Age up to which stale node records serve requests while they are read again.
const STALE_RECORDS_TTL: Duration = Duration::from_secs(30);
/// Age up to which a stale status is listed while it is read again.
const STALE_STATUS_TTL: Duration = Duration::from_secs(5);
/// Time for which a node that didn't answer is asked only if no other one serves.
const FAILURE_TTL: Duration = Duration::from_secs(5);
/// Time for which an HTTP client beside the first one is used.
const CLIENT_TTL: Duration = Duration::from_secs(3600);
/// Limit of the number of organisations whose node records are cached, and of nodes whose status is.
const NODE_MAX_COUNT: usize = 10_000;

/// An organisation's node records, oldest first.
type Records = Arc<[Arc<NodeRecord>]>;

/// The organisations' nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    store: Store,
    keys: Arc<GatewayKeys>,
    http: reqwest::Client,
    /// The clients for nodes with a pinned key, and for those with public addresses only (true).
    clients: TimedCache<(Option<PinnedKey>, bool), reqwest::Client>,
    /// Allows private and loopback addresses.
    allows_private: bool,
    background: Background,
    relay: Relay,
    /// The node in this process, if there is one.
    in_process: OnceLock<LocalNode>,
    in_process_energy: OnceLock<NodeEnergy>,
    records: TimedCache<OrganisationId, Records>,
    statuses: TimedCache<NodeId, Arc<NodeStatus>>,
    /// Nodes that didn't answer lately.
    failures: TimedCache<NodeId, ApiError>,
    reachability: Reachability,
    /// The runs of this process.
    runs: NodeRuns,
    /// Nodes that were woken lately for runs that wait.
    woken: TimedCache<NodeId, ()>,
    /// The latest probe of each of the operator's nodes.
    probes: Probes,
    /// Held while a node is enrolled.
    enrolling: tokio::sync::Mutex<()>,
}

/// True if the caller may use a node: its owner, and the members whom it is shared with.
pub(crate) fn may_use(caller: &Caller, node: &NodeRecord) -> bool {
    node.owner == caller.user || node.sharing.includes(caller.user, &caller.teams)
}

/// True if the caller may change a node and remove its files: its owner, and the organisation's owners and admins.
pub(crate) fn may_manage(caller: &Caller, node: &NodeRecord) -> bool {
    node.owner == caller.user || matches!(caller.role, MemberRole::Owner | MemberRole::Admin)
}

impl Nodes {
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        http: reqwest::Client,
        allows_private: bool,
        background: Background,
        relay: Relay,
        direct_retry_interval: Duration,
    ) -> Self {
        Self {
            store,
            relay,
            keys,
            http,
            clients: TimedCache::new(CLIENT_TTL, NODE_MAX_COUNT),
            allows_private,
            background,
            in_process: OnceLock::new(),
            in_process_energy: OnceLock::new(),
            records: TimedCache::new(NODE_TTL, NODE_MAX_COUNT).stale_up_to(STALE_RECORDS_TTL),
            statuses: TimedCache::new(NODE_TTL, NODE_MAX_COUNT).stale_up_to(STALE_STATUS_TTL),
            failures: TimedCache::new(FAILURE_TTL, NODE_MAX_COUNT),
            reachability: Reachability::new(direct_retry_interval),
            runs: NodeRuns::default(),
            woken: TimedCache::new(wake::WAKE_INTERVAL, NODE_MAX_COUNT),
            probes: Probes::default(),
            enrolling: tokio::sync::Mutex::default(),
        }
    }

    /// The relay to nodes.
    pub(crate) fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Sends requests for `node` to the one in this process. A second one is ignored.
    pub(crate) fn attach(&self, node: LocalNode) {
        if let Err(second) = self.in_process.set(node) {
            tracing::error!(?second, "a second node in this process is ignored");
        }
    }

    /// Stores a node's record, with the changes that people have made to an earlier one.
    pub(crate) async fn register(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let nodes = self.store.nodes();
        let NodeRecord { name, sharing, is_draining, energy, created_at, .. } =
            match nodes.get(node.id).await? {
                Some(known) => known,
                None => return nodes.put(node).await,
            };
        nodes.put(&NodeRecord { name, sharing, is_draining, energy, created_at, ..node.clone() }).await
    }

    /// Reads the organisation's records again at the next request. Call it after a change of one.
    pub(crate) fn forget(&self, organisation: OrganisationId) {
        self.records.remove(&organisation);
    }

    /// A node's record, if it is the organisation's.
    pub(crate) async fn find(
        &self,
        organisation: OrganisationId,
        id: NodeId,
    ) -> Result<Option<Arc<NodeRecord>>, ApiError> {
        let records = self.read_records(organisation).await?;
        Ok(records.iter().find(|record| record.id == id).cloned())
    }

    /// The link to a node, over the transport that is chosen for it.
    ///
    /// # Errors
    /// `node_offline` if it can't be reached.
    pub(crate) async fn link(self: &Arc<Self>, node: &NodeRecord) -> Result<NodeLink, ApiError> {
        match self.choose_transport(node).await {
            (NodeTransport::InProcess, _) => {
                self.in_process_link(node).ok_or_else(|| offline(node, "it isn't here"))
            }
            (NodeTransport::Direct, _) => self.direct_link(node).await,
            (NodeTransport::Relay, reason) => self.relay_link(node, &reason),
        }
    }

    /// The link to the node in this process, if it is this one.
    fn in_process_link(&self, node: &NodeRecord) -> Option<NodeLink> {
        let local = self.in_process.get().filter(|local| local.id() == node.id)?;
        Some(NodeLink::local(local.clone()))
    }

    /// The link to a node at its address.
    async fn direct_link(&self, node: &NodeRecord) -> Result<NodeLink, ApiError> {
        let url = node.url.as_deref().ok_or_else(|| offline(node, "it has no address"))?;
        let http = self.http_client(node)?;
        Ok(NodeLink::new(node.id, url, http, self.keys.get().await?.link().clone()))
    }

    /// True if the gateway connects to this node at private addresses too.
    fn allows_private(&self, node: &NodeRecord) -> bool {
        self.allows_private && !node.is_public_only
    }

    /// The HTTP client for a node: one that accepts the pinned key alone, if there is one.
    fn http_client(&self, node: &NodeRecord) -> Result<reqwest::Client, ApiError> {
        let unreadable = || offline(node, "its certificate key can't be read");
        let key = node.certificate_key.as_deref().map(|key| PinnedKey::parse(key).ok_or_else(unreadable));
        let (key, is_public_only) = (key.transpose()?, !self.allows_private(node));
        if key.is_none() && is_public_only != self.allows_private {
            return Ok(self.http.clone());
        }
        if let Some(client) = self.clients.get(&(key, is_public_only)) {
            return Ok(client);
        }
        let allowed = if is_public_only { AllowedAddresses::Public } else { AllowedAddresses::All };
        let client = match key {
            Some(key) => pinned_http_client(allowed, key),
            None => http_client(allowed),
        };
        let client = client.map_err(|error| offline(node, &error.to_string()))?;
        self.clients.put((key, is_public_only), client.clone());
        Ok(client)
    }

    /// The link to a node that fetches its runs. A node without a key fetches none.
    fn relay_link(&self, node: &NodeRecord, reason: &str) -> Result<NodeLink, ApiError> {
        match node.public_key {
            Some(_) => Ok(NodeLink::over(node.id, self.relay.transport(node.id))),
            None => Err(offline(node, reason)),
        }
    }

    /// An organisation's node records. Stale ones serve while they are read again.
    async fn records_of(self: &Arc<Self>, organisation: OrganisationId) -> Result<Records, ApiError> {
        match self.records.get_or_stale(&organisation) {
            Some((records, Freshness::Fresh)) => Ok(records),
            Some((stale, Freshness::Stale)) => {
                let nodes = Arc::clone(self);
                let read = async move {
                    if let Err(error) = nodes.read_records(organisation).await {
                        tracing::warn!(%error, "an organisation's nodes can't be read again");
                    }
                };
                self.background.spawn_or_wait(read).await;
                Ok(self.records.get(&organisation).unwrap_or(stale))
            }
            None => self.read_records(organisation).await,
        }
    }

    /// An organisation's node records, as they are in the table.
    pub(crate) async fn read_records(&self, organisation: OrganisationId) -> Result<Records, ApiError> {
        let records = self.store.nodes().of(organisation).await.map_err(error::store)?;
        let records: Records = records.into_iter().map(Arc::new).collect();
        self.records.put(organisation, Arc::clone(&records));
        Ok(records)
    }
}

/// The error for a node that can't be reached.
fn offline(node: &NodeRecord, reason: &str) -> ApiError {
    ApiError::new(ErrorCode::NodeOffline, format!("the node {} can't be reached: {reason}", node.name))
}
