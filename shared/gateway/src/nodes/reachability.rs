//! Direct or relay: the gateway asks a node at its address to sign a nonce with its own key. Where the node answers so, it is
//! reached directly; else it fetches its runs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_auth::verify_challenge;
use hearth_domain::{NodeId, NodeTransport, Timestamp};
use hearth_store::StoreError;
use hearth_wire::{ApiError, ErrorCode};
use tokio::time::timeout;

use super::{NodeRecord, Nodes};
use crate::{moment::Moment, public_address::is_public};

/// Timeout of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Age at which a node that is reached directly is probed again.
const DIRECT_PROBE_TTL: Duration = Duration::from_secs(30);
/// The reason for the relay after any failed probe. The cause is in the log alone: by the reasons of many addresses, a node's owner
/// could learn which ports of the gateway's network are open.
const UNREACHABLE: &str = "it can't be reached at its address";
/// Above this number of nodes, the oldest probes are removed.
const NODE_MAX_COUNT: usize = 10_000;

/// The latest probe of each node that has an address and a key.
#[derive(Debug)]
pub(super) struct Reachability {
    latest: Mutex<HashMap<NodeId, Probe>>,
    /// Time after which a node that wasn't reached is probed again.
    retry_interval: Duration,
}

#[derive(Debug, Clone)]
struct Probe {
    at: Moment,
    /// The address and the certificate's key that were probed.
    address: (Option<String>, Option<String>),
    /// The reason why the node isn't reached directly, if it isn't.
    failure: Option<String>,
}

impl Probe {
    fn transport(&self) -> (NodeTransport, String) {
        match &self.failure {
            None => (NodeTransport::Direct, "it answers at its address".to_owned()),
            Some(reason) => (NodeTransport::Relay, reason.clone()),
        }
    }
}

impl Reachability {
    pub(super) fn new(retry_interval: Duration) -> Self {
        Self { latest: Mutex::default(), retry_interval }
    }

    /// Age at which a probe is repeated.
    fn ttl(&self, probe: &Probe) -> Duration {
        if probe.failure.is_none() { DIRECT_PROBE_TTL } else { self.retry_interval }
    }

    fn is_stale(&self, probe: &Probe) -> bool {
        probe.at.age() >= self.ttl(probe)
    }

    /// The latest probe of the node at its present address; true if the caller has to probe it again. Other callers use the
    /// latest one meanwhile.
    fn latest(&self, node: &NodeRecord) -> Option<(Probe, bool)> {
        let mut probes = self.probes();
        let probe = probes.get_mut(&node.id).filter(|probe| probe.address == address(node))?;
        let is_stale = self.is_stale(probe);
        if is_stale {
            probe.at = Moment::now();
        }
        Some((probe.clone(), is_stale))
    }

    fn put(&self, node: &NodeRecord, failure: Option<String>) -> Probe {
        let probe = Probe { at: Moment::now(), address: address(node), failure };
        let mut probes = self.probes();
        if probes.len() >= NODE_MAX_COUNT {
            probes.retain(|_, probe| !self.is_stale(probe));
        }
        probes.insert(node.id, probe.clone());
        probe
    }

    fn probes(&self) -> MutexGuard<'_, HashMap<NodeId, Probe>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(node: &NodeRecord) -> (Option<String>, Option<String>) {
    (node.url.clone(), node.certificate_key.clone())
}

impl Nodes {
    /// The transport that is chosen for a node, and the reason, for its owner.
    pub(crate) async fn transport_of(self: &Arc<Self>, node: &NodeRecord) -> (NodeTransport, String) {
        self.choose_transport(node).await
    }

    /// The transport for a node. The first call for an address probes it; later ones use the latest probe, which is repeated in
    /// the background.
    pub(super) async fn choose_transport(self: &Arc<Self>, node: &NodeRecord) -> (NodeTransport, String) {
        if self.in_process_link(node).is_some() {
            return (NodeTransport::InProcess, "it is in the gateway's process".to_owned());
        }
        if let Some(reason) = self.no_address(node) {
            return (NodeTransport::Relay, reason.to_owned());
        }
        if node.public_key.is_none() {
            return (NodeTransport::Direct, "it is registered with an address and without a key".to_owned());
        }
        let latest = match self.reachability.latest(node) {
            None => self.stored_probe(node).await.map(|probe| (probe, false)),
            latest => latest,
        };
        let probe = match latest {
            None => self.probe_address(node).await,
            Some((latest, false)) => latest,
            Some((latest, true)) => {
                let (nodes, record) = (Arc::clone(self), node.clone());
                let probe = async move { drop(nodes.probe_address(&record).await) };
                self.background.spawn_or_wait(probe).await;
                self.reachability.latest(node).map_or(latest, |(probe, _)| probe)
            }
        };
        probe.transport()
    }

    /// The probe of another process, if it is fresh: a function's first request needn't wait for one of its own.
    async fn stored_probe(&self, node: &NodeRecord) -> Option<Probe> {
        if self.background.outlives_response() {
            return None;
        }
        let state = self.relay.state(node.id).await.ok()??;
        let failure = match state.transport? {
            NodeTransport::Direct => None,
            _ => Some(state.transport_reason.clone().unwrap_or_default()),
        };
        let probe = Probe { at: Moment::now(), address: address(node), failure };
        (state.probed_at?.until(Timestamp::now()) < self.reachability.ttl(&probe)).then_some(probe)
    }

    /// Stores the result of a probe, if it is another one, or other processes need it.
    async fn store_probe(&self, node: &NodeRecord, probe: &Probe) {
        let (transport, reason) = probe.transport();
        let state = self.relay.state(node.id).await.unwrap_or_default();
        let is_same = state.is_some_and(|state| {
            state.transport == Some(transport) && state.transport_reason.as_deref() == Some(&*reason)
        });
        if is_same && self.background.outlives_response() {
            return;
        }
        match self.store.relay().set_transport(node.id, transport, &reason).await {
            // It has ended meanwhile.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(error) => tracing::warn!(node = %node.id, %error, "the transport to a node can't be stored"),
        }
    }

    /// The reason why the gateway doesn't connect to a node, if it doesn't.
    fn no_address(&self, node: &NodeRecord) -> Option<&'static str> {
        let Some(url) = &node.url else { return Some("it has no address") };
        if !self.allows_private(node) && !is_public(url) {
            return Some("its address is private, and the gateway connects to this node at public ones only");
        }
        if node.certificate_key.is_some() && !url.starts_with("https://") {
            return Some("it has a certificate key, and its address isn't https");
        }
        None
    }

    /// Notes that a node wasn't reached at its address; returns the reason for the relay.
    pub(super) fn note_unreachable(&self, node: &NodeRecord, error: &ApiError) -> String {
        tracing::warn!(node = %node.id, "a node isn't reached directly any more");
        tracing::debug!(node = %node.id, %error, "the node's address failed");
        self.reachability.put(node, Some(UNREACHABLE.to_owned()));
        UNREACHABLE.to_owned()
    }

    /// Asks the node at its address to sign a nonce.
    async fn probe_address(&self, node: &NodeRecord) -> Probe {
        let result = timeout(PROBE_TIMEOUT, self.challenge(node)).await;
        tracing::debug!(node = %node.id, ?result, "a node's address was probed");
        let failure = if matches!(result, Ok(Ok(()))) { None } else { Some(UNREACHABLE.to_owned()) };
        let probe = self.reachability.put(node, failure);
        self.store_probe(node, &probe).await;
        probe
    }

    async fn challenge(&self, node: &NodeRecord) -> Result<(), ApiError> {
        let nonce = hearth_domain::hex(rand::random::<[u8; 16]>());
        let signature = self.direct_link(node).await?.challenge(&nonce).await?;
        let key = node.public_key.as_deref().unwrap_or_default();
        verify_challenge(&node.id.to_string(), key, &nonce, &signature)
            .map_err(|_| ApiError::new(ErrorCode::ProviderAuth, "another node answers at its address"))
    }
}
