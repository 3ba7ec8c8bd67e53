//! The relay: runs and calls for nodes that the gateway can't reach. A node fetches them, and posts what becomes of them.
//!
//! "Doorbell, pull, log": the gateway stores a run for the node and rings its doorbell, a message over the node's socket, which
//! is a hint only. The node claims the run and posts its events in batches under the fencing token of its claim. The process
//! that serves the client reads them from the log of the run, as they come.
//!
//! - `reports`: the states of nodes, and their orders.
//! - `claims`: a node claims a run, or refuses it; `batches`: it posts the events; `checks`: the rules for a batch.
//! - `transport`: the gateway's side, a [`LinkTransport`]; `tail`: follows the log of a run; `calls`: requests other than runs.
//! - `revocation`: ends what a node has.
//! - `wakeups`: wakes those who wait in this process, so that they needn't poll.

mod batches;
mod calls;
mod checks;
mod claims;
mod errors;
mod reports;
mod revocation;
mod tail;
mod transport;
mod wakeups;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use hearth_domain::{NodeCallId, NodeId, RunId, Timestamp};
use hearth_providers::LinkTransport;
use hearth_settings::GatewaySettings;
use hearth_store::{Store, relay::NodeState};
use hearth_wire::{node::NodeStatus, relay::Doorbell};

use crate::{
    background::Background,
    node_link::{NodeLeases, NodePresence},
    sockets::Sockets,
    timed_cache::TimedCache,
};
use transport::RelayTransport;
use wakeups::Wakeups;

/// Age at which a node's state and status are read again.
const STATE_TTL: Duration = Duration::from_secs(1);
/// Limit of the number of nodes whose state is cached.
const NODE_MAX_COUNT: usize = 10_000;
/// Time for which the length of a log is remembered after its last batch: a run has one each few seconds, if only an empty one.
const LENGTH_TTL: Duration = Duration::from_secs(600);
/// Limit of the number of logs whose length is remembered.
const LENGTH_MAX_COUNT: usize = 10_000;

/// Times of the relay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayTimes {
    /// Time for which a claim is valid without a batch.
    pub(crate) lease: Duration,
    /// Interval of the reads of a run's log where no other way wakes the reader: the shortest, and the longest.
    pub(crate) poll: (Duration, Duration),
    /// Time after which a socket is closed.
    pub(crate) socket_lifetime: Duration,
    /// Interval of a node's requests for orders where it has no socket and the gateway doesn't let it wait.
    pub(crate) orders_poll: Duration,
}

/// The relay. Clones share it.
#[derive(Debug, Clone)]
pub struct Relay(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    sockets: Arc<Sockets>,
    leases: NodeLeases,
    background: Background,
    times: RelayTimes,
    /// Limit of the bytes of the events of one run.
    run_max_bytes: u64,
    states: TimedCache<NodeId, Option<Arc<NodeState>>>,
    statuses: TimedCache<NodeId, Option<Arc<NodeStatus>>>,
    /// Wakes the readers of runs.
    runs: Wakeups<(NodeId, RunId)>,
    /// Wakes those who wait for the answers to calls.
    calls: Wakeups<NodeCallId>,
    /// Wakes the nodes that wait for orders.
    orders: Wakeups<NodeId>,
    /// The orders that each node has had in its last answer, from this process; of nodes with orders.
    delivered: Mutex<HashMap<NodeId, HashSet<String>>>,
    /// The last seq that this process knows of the log of a claim, which has a fencing token: others may have added to it.
    lengths: TimedCache<(NodeId, RunId, u64), u64>,
    /// Publishes that nodes come and go.
    presence: NodePresence,
}

impl Relay {
    /// `answer_max_bytes`: limit of the bytes of one answer.
    pub(crate) fn new(
        store: Store,
        (sockets, presence): (Arc<Sockets>, NodePresence),
        leases: NodeLeases,
        background: Background,
        times: RelayTimes,
        answer_max_bytes: u64,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            sockets,
            leases,
            background,
            times,
            run_max_bytes: checks::run_max_bytes(answer_max_bytes),
            states: TimedCache::new(STATE_TTL, NODE_MAX_COUNT),
            statuses: TimedCache::new(STATE_TTL, NODE_MAX_COUNT),
            runs: Wakeups::default(),
            calls: Wakeups::default(),
            orders: Wakeups::default(),
            delivered: Mutex::default(),
            lengths: TimedCache::new(LENGTH_TTL, LENGTH_MAX_COUNT),
            presence,
        }))
    }

    /// The transport to a node by the relay.
    #[must_use]
    pub fn transport(&self, node: NodeId) -> Arc<dyn LinkTransport> {
        Arc::new(RelayTransport::new(self.clone(), node))
    }

    /// Rings a node's doorbell: over its socket, and where it waits for orders in this process. A hint, which may be lost.
    async fn ring(&self, node: NodeId, doorbell: &Doorbell) {
        self.0.orders.wake(&node);
        if !self.0.sockets.ring(node, doorbell).await {
            tracing::debug!(%node, "a node has no socket; it will ask for its orders");
        }
    }

    fn lease_until_ms(&self) -> i64 {
        millis(Timestamp::now().plus(self.0.times.lease))
    }
}

impl RelayTimes {
    /// The times of a process that runs on after its responses, or of one that is frozen then.
    pub(crate) fn new(background: Background, settings: &GatewaySettings) -> Self {
        let is_home = background.outlives_response();
        // At home a reader is woken by each batch; it reads in intervals only in case that it isn't.
        let poll = if is_home { (1000, 2000) } else { (50, 500) };
        let poll = (Duration::from_millis(poll.0), Duration::from_millis(poll.1));
        let orders_poll = Duration::from_secs(if is_home { 0 } else { 5 });
        let (lease, socket_lifetime) = (settings.relay.lease(), settings.sockets.lifetime());
        Self { lease, poll, socket_lifetime, orders_poll }
    }
}

/// Milliseconds since 1970.
fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.unix_millis()).unwrap_or(i64::MAX)
}
