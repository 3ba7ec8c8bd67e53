//! The gateway's own operation: its state, its metrics, and the runs at its start and end.

use std::{sync::Arc, time::Duration};

use hearth_domain::NodeEnergy;
use hearth_providers::LocalNode;
use hearth_settings::CorsOrigins;
use hearth_store::{StoreError, nodes::NodeRecord};
use hearth_wire::ApiError;

use crate::{
    Gateway, gauges,
    limits::{LimitAccess, UsageAccess},
    readiness::{self, ReadinessReport},
};

impl Gateway {
    /// Sends requests for the node `node` to the one in this process, whatever its address. There can be one: a second
    /// is ignored.
    pub fn attach(&self, node: LocalNode) {
        self.0.nodes.attach(node);
    }

    /// Sets the energy of the node in this process, by its settings.
    pub fn set_node_energy(&self, energy: NodeEnergy) {
        self.0.nodes.set_in_process_energy(energy);
    }

    /// Stores a node, or replaces its record.
    ///
    /// # Errors
    /// If the store fails.
    #[crate::boxed_future]
    pub async fn register_node(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.0.nodes.register(node).await
    }

    /// The state of all that the gateway depends on, two seconds old at most. Takes 100 ms at most; in the cloud, where the
    /// first check of a process opens its connections, three seconds. A process that runs on after its responses, with a
    /// store of its own, also writes: a function may lack the right to.
    #[crate::boxed_future]
    pub async fn readiness(&self) -> Arc<ReadinessReport> {
        readiness::report(&self.0).await
    }

    /// Time since the start.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.readiness.uptime()
    }

    /// True if a probe may ask for the readiness without a token.
    #[must_use]
    pub fn has_public_readiness(&self) -> bool {
        self.0.has_public_readiness
    }

    /// Pages that may read responses in a browser.
    #[must_use]
    pub fn cors_origins(&self) -> &CorsOrigins {
        &self.0.cors_origins
    }

    /// Sets the gauges. Call it before metrics are read.
    #[crate::boxed_future]
    pub async fn update_metrics(&self) {
        gauges::update(&self.0).await;
    }

    /// Ends the runs that an earlier process of this gateway left open; returns their number. Only where there is one
    /// process: at home, before it serves.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn end_interrupted_runs(&self) -> Result<usize, ApiError> {
        self.0.lost_runs.end_interrupted().await
    }

    /// Ends the open runs whose processes have died; returns their number. For a store that processes share, as on Lambda:
    /// each has a time limit, and a run that is open after it has no process.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn sweep_runs(&self) -> Result<usize, ApiError> {
        self.0.lost_runs.sweep().await
    }

    /// Limits: set, shown, removed.
    #[must_use]
    pub fn limits(&self) -> LimitAccess<'_> {
        LimitAccess(&self.0.limits)
    }

    /// Reports of usage.
    #[must_use]
    pub fn usage(&self) -> UsageAccess<'_> {
        UsageAccess(&self.0.limits)
    }

    /// Starts no more runs, waits for those in progress for `grace` at most, and then ends them. Their records have the
    /// answer up to there.
    #[crate::boxed_future]
    pub async fn stop_runs(&self, grace: Duration) {
        self.0.runs.stop_all(grace).await;
    }

    /// Waits until the records of all runs that have ended are stored; returns false if the time was too short.
    #[crate::boxed_future]
    pub async fn settle(&self, timeout: Duration) -> bool {
        let settled = self.0.records.settle(timeout).await;
        self.0.limits.flush().await;
        self.0.store.flush().await;
        settled
    }
}
