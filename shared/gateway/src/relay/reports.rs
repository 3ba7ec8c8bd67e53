//! The states of nodes, by their reports, and their orders.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use hearth_domain::{NodeEnergy, NodeId, Timestamp};
use hearth_store::{
    StoreError,
    nodes::NodeRecord,
    relay::{NodeSighting, NodeState, OpenRun},
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::nodes::NodeEnergyBody,
    node::NodeStatus,
    node_limits::check_status,
    relay::{Doorbell, NodeOrders, NodeReport},
};
use tokio::time::{Instant, timeout_at};

use super::{NODE_MAX_COUNT, Relay, millis};
use crate::{
    error,
    node_link::{check_energy, unknown_node},
};

/// Limit of the time for which a request for orders waits.
const ORDERS_WAIT_MAX: Duration = Duration::from_secs(25);
/// Interval at which the lease of a node that waits for orders is checked.
const LEASE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Characters of a node's last error that are stored.
const LAST_ERROR_MAX_CHARS: usize = 500;
/// Characters of a node's version and address that are stored.
const NAME_MAX_CHARS: usize = 100;
/// The path of the socket of a process that has its sockets itself.
const OWN_SOCKET_PATH: &str = "/v1/socket";

impl Relay {
    /// Records a node's report; returns its orders.
    ///
    /// # Errors
    /// `invalid_request` or `payload_too_large` for a status with too many models, or too long ones; `unauthorized` if the node
    /// has ended; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn report(&self, node: &NodeRecord, report: NodeReport) -> Result<NodeOrders, ApiError> {
        let now = Timestamp::now();
        let (energy, energy_error) = believed_energy(report.energy);
        // One in its settings is the first to mend.
        let last_error = energy_error.or(report.last_error);
        let sighting = NodeSighting {
            seen_at: now,
            // A node that is shutting down gets nothing more.
            lease_until: if report.stopping { now } else { self.0.leases.end(now) },
            version: shortened(&report.version, NAME_MAX_CHARS),
            clock_skew_ms: millis(report.now).saturating_sub(millis(now)),
            runs_max_count: report.runs_max_count,
            last_error: last_error.map(|error| shortened(&error, LAST_ERROR_MAX_CHARS)),
            energy,
            mac: report.mac.map(|mac| shortened(&mac, NAME_MAX_CHARS)),
        };
        if let Some(status) = &report.status {
            check_status(status)?;
            if !self.0.store.relay().put_status(node.id, status).await.map_err(error::store)? {
                let message = "the status is larger than the gateway stores; report fewer models";
                return Err(ApiError::new(ErrorCode::PayloadTooLarge, message).at("status"));
            }
            self.0.statuses.remove(&node.id);
        }
        match self.0.store.relay().record_report(node.id, &sighting).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => {
                // It has ended since it was authenticated.
                self.0.store.relay().forget_node(node.id).await.map_err(error::store)?;
                return Err(unknown_node());
            }
            Err(failure) => return Err(error::store(failure)),
        }
        self.0.states.remove(&node.id);
        self.0.presence.note(node, report.stopping).await;
        self.read_orders(node).await.map(|(orders, _)| orders)
    }

    /// A node's orders. Waits for up to `wait` for new ones, where this process may.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn orders(&self, node: &NodeRecord, wait: Duration) -> Result<NodeOrders, ApiError> {
        self.renew_if_ending(node.id).await?;
        if !self.0.background.outlives_response() {
            return self.read_orders(node).await.map(|(orders, _)| orders);
        }
        let deadline = Instant::now() + wait.min(ORDERS_WAIT_MAX);
        let mut wakeup = self.0.orders.subscribe(node.id);
        let mut is_rung = false;
        loop {
            let (orders, names) = self.read_orders(node).await?;
            if self.has_new(node.id, names) || is_rung || Instant::now() >= deadline {
                return Ok(orders);
            }
            let next_check = deadline.min(Instant::now() + LEASE_CHECK_INTERVAL);
            is_rung = timeout_at(next_check, wakeup.changed()).await.is_ok();
            // The end of its socket may be noticed only while it waits here.
            self.renew_if_ending(node.id).await?;
        }
    }

    /// Renews the lease of a node that asks for its orders, if the lease wouldn't last until the next report.
    async fn renew_if_ending(&self, node: NodeId) -> Result<(), ApiError> {
        match self.state(node).await?.is_some_and(|state| !self.0.leases.is_ending(&state)) {
            true => Ok(()),
            false => self.heartbeat(node).await,
        }
    }

    /// Renews the lease of a node that was heard of.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn heartbeat(&self, node: NodeId) -> Result<(), ApiError> {
        self.0.leases.renew(node).await?;
        self.0.states.remove(&node);
        Ok(())
    }

    /// Ends the lease of a node that has lost a run, unless it was heard of meanwhile: the next runs needn't wait for it. If it
    /// is there after all, it asks for its orders, and is alive again.
    pub(super) async fn note_lost(&self, node: NodeId) {
        // A node posts something for each run at least each third of the time of a claim.
        let silence = self.0.times.lease * 2 / 3;
        let ended = async {
            let state = self.0.store.relay().state(node).await?;
            let seen_at = state.and_then(|state| state.seen_at);
            match seen_at.filter(|seen_at| seen_at.plus(silence) <= Timestamp::now()) {
                Some(seen_at) => self.0.store.relay().end_node_lease(node, seen_at).await,
                None => Ok(()),
            }
        };
        if let Err(error) = ended.await {
            tracing::warn!(%node, %error, "the lease of a node can't be ended");
        }
        self.0.states.remove(&node);
        self.ring(node, &Doorbell::Orders).await;
    }

    /// A node's state; none if it was never heard of.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn state(&self, node: NodeId) -> Result<Option<Arc<NodeState>>, ApiError> {
        if let Some(state) = self.0.states.get(&node) {
            return Ok(state);
        }
        let state = self.0.store.relay().state(node).await.map_err(error::store)?.map(Arc::new);
        self.0.states.put(node, state.clone());
        Ok(state)
    }

    /// A node's models, backends and storage, by its last report.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn status(&self, node: NodeId) -> Result<Option<Arc<NodeStatus>>, ApiError> {
        if let Some(status) = self.0.statuses.get(&node) {
            return Ok(status);
        }
        let status = self.0.store.relay().status(node).await.map_err(error::store)?.map(Arc::new);
        self.0.statuses.put(node, status.clone());
        Ok(status)
    }

    /// The number of runs that are assigned to a node and not ended, of all processes.
    pub(crate) async fn assigned_runs(&self, node: NodeId) -> Result<u32, ApiError> {
        let (runs, _) = self.0.store.relay().open_orders(node).await.map_err(error::store)?;
        Ok(u32::try_from(runs.len()).unwrap_or(u32::MAX))
    }

    /// A node's orders, and a name of each, which no later order has.
    async fn read_orders(&self, node: &NodeRecord) -> Result<(NodeOrders, HashSet<String>), ApiError> {
        let (runs, calls) = self.0.store.relay().open_orders(node.id).await.map_err(error::store)?;
        let transport = match self.state(node.id).await?.as_deref() {
            Some(NodeState { transport: Some(transport), transport_reason, .. }) => {
                let reason = transport_reason.as_deref().unwrap_or_default();
                format!("{}: {reason}", transport.as_str()).trim_end_matches([':', ' ']).to_owned()
            }
            _ => String::new(),
        };
        let mut names: HashSet<String> = calls.iter().map(|call| format!("call {}", call.id)).collect();
        for OpenRun { run, assigned_at_fence, is_cancelled } in &runs {
            names.insert(format!("run {run} {assigned_at_fence}"));
            if *is_cancelled {
                names.insert(format!("cancel {run} {assigned_at_fence}"));
            }
        }
        let cancelled = runs.iter().filter(|open| open.is_cancelled).map(|open| open.run).collect();
        let own_socket = self.0.sockets.hub().map(|_| OWN_SOCKET_PATH.to_owned());
        let orders = NodeOrders {
            runs: runs.iter().map(|open| open.run).collect(),
            calls,
            cancelled,
            report_seconds: seconds(self.0.leases.report_interval()),
            poll_seconds: seconds(self.0.times.orders_poll),
            socket: own_socket.or_else(|| self.0.sockets.url().map(str::to_owned)),
            socket_seconds: Some(seconds(self.0.times.socket_lifetime)),
            draining: node.is_draining,
            transport,
        };
        Ok((orders, names))
    }

    /// True if there are orders that the last answer from this process didn't have. Remembers their names.
    fn has_new(&self, node: NodeId, now: HashSet<String>) -> bool {
        let mut delivered = self.0.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let before = delivered.remove(&node);
        let has_new = now.iter().any(|name| before.as_ref().is_none_or(|before| !before.contains(name)));
        if delivered.len() >= NODE_MAX_COUNT {
            // A node that gets its orders again finds nothing new.
            delivered.clear();
        }
        // Only nodes with orders are remembered.
        if !now.is_empty() {
            delivered.insert(node, now);
        }
        has_new
    }
}

/// A node's energy, unless it is out of bounds: then an error for its owner. It is the cost of others' runs.
fn believed_energy(energy: Option<NodeEnergy>) -> (Option<NodeEnergy>, Option<String>) {
    let body = energy.map(|energy| NodeEnergyBody {
        idle_watts: energy.idle_watts,
        busy_watts: energy.busy_watts,
        price_per_kwh: energy.price_per_kwh,
    });
    match body.map(check_energy).transpose() {
        Ok(energy) => (energy.flatten(), None),
        Err(error) => {
            let message = format!("the energy of the node's settings isn't used: {}", error.message);
            (None, Some(message))
        }
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn shortened(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_out_of_bounds_is_not_used_and_its_owner_learns_why() {
        let energy = NodeEnergy { idle_watts: 20.0, busy_watts: 350.0, price_per_kwh: 0.3 };
        assert_eq!(believed_energy(Some(energy)), (Some(energy), None));
        assert_eq!(believed_energy(None), (None, None));
        for absurd in [
            NodeEnergy { busy_watts: 1e9, ..energy },
            NodeEnergy { price_per_kwh: 1e9, ..energy },
            NodeEnergy { idle_watts: -1e9, ..energy },
            NodeEnergy { price_per_kwh: f64::INFINITY, ..energy },
        ] {
            let (used, error) = believed_energy(Some(absurd));
            assert!(
                used.is_none() && error.is_some_and(|error| error.contains("must be 0 to")),
                "{absurd:?}"
            );
        }
    }
}
