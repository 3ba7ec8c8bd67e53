//! The state of a node, as its users see it.

use std::sync::Arc;

use hearth_domain::NodeTransport;
use hearth_wire::{
    native::nodes::{NodeDeviceBody, NodeMemoryBody, NodeModelBody, NodeQueueBody, NodeStatusBody},
    node::{BackendState, NodeStatus},
};

use super::{NodeRecord, StatusAge};
use crate::Gateway;

impl Gateway {
    /// The state of a node: of its answer, or of its last report.
    pub(super) async fn describe_node(&self, record: &Arc<NodeRecord>) -> NodeStatusBody {
        let live = self.0.nodes.live_node(record, StatusAge::Listed).await;
        let (transport, transport_reason) = self.0.nodes.transport_of(record).await;
        let reported = self.0.relay.state(record.id).await.unwrap_or_else(|error| {
            tracing::warn!(node = %record.id, %error, "a node's state can't be read");
            None
        });
        let (status, reason) = match live {
            Ok(live) => (Some(live.status), None),
            Err(error) => (None, Some(error.message)),
        };
        let reported = reported.as_deref();
        let alive = status.is_some();
        let described = describe_status(&status.unwrap_or_default());
        let queue = self.runs_now(record, transport, described.queue).await;
        NodeStatusBody {
            alive,
            reason,
            seen_at: reported.and_then(|state| state.seen_at).map(|at| at.to_string()),
            transport,
            transport_reason,
            version: reported.and_then(|state| state.version.clone()),
            clock_skew_ms: reported.map(|state| state.clock_skew_ms),
            last_error: reported.and_then(|state| state.last_error.clone()),
            queue,
            ..described
        }
    }

    /// The runs of a node now. `answered`: those of its status. A node that reports does so too rarely for that, so its runs are
    /// those of this process and those that are assigned in the store.
    async fn runs_now(
        &self,
        record: &NodeRecord,
        transport: NodeTransport,
        answered: NodeQueueBody,
    ) -> NodeQueueBody {
        let nodes = &self.0.nodes;
        let here = nodes.runs.of_node(record.id);
        let total = match transport {
            NodeTransport::Relay => {
                let assigned = self.0.relay.assigned_runs(record.id).await.unwrap_or_else(|error| {
                    tracing::warn!(node = %record.id, %error, "the runs of a node can't be read");
                    0
                });
                here.max(assigned)
            }
            _ if here <= answered.active.saturating_add(answered.waiting) => return answered,
            _ => here,
        };
        let waiting = nodes.runs.waiting(record.id).min(total);
        NodeQueueBody { active: total - waiting, waiting }
    }
}

/// A body with a node's status, whose other fields are empty.
fn describe_status(status: &NodeStatus) -> NodeStatusBody {
    let in_use: Vec<&str> = status
        .backends
        .iter()
        .filter(|backend| backend.state == BackendState::InUse)
        .map(|backend| backend.library.as_str())
        .collect();
    let devices = status.backends.iter().map(|backend| NodeDeviceBody {
        library: backend.library.clone(),
        state: state_name(backend.state).to_owned(),
        reason: backend.reason.clone(),
    });
    let models = status.models.iter().map(|model| NodeModelBody {
        id: model.id.clone(),
        size_bytes: model.size_bytes,
        runtime: model.runtime.clone(),
    });
    let sum = |count: fn(&NodeModelBody) -> u32, models: &[NodeModelBody]| {
        models.iter().map(count).fold(0, u32::saturating_add)
    };
    let models: Vec<NodeModelBody> = models.collect();
    let active = sum(|model| model.runtime.active, &models);
    let waiting = sum(|model| model.runtime.queue_depth, &models);
    NodeStatusBody {
        backend: (!in_use.is_empty()).then(|| in_use.join(", ")),
        devices: devices.collect(),
        memory: status
            .memory
            .map(|memory| NodeMemoryBody { limit_bytes: memory.limit_bytes, used_bytes: memory.used_bytes }),
        storage_used_bytes: status.storage.map(|storage| storage.used_bytes),
        models,
        queue: NodeQueueBody { active, waiting },
        ..NodeStatusBody::unknown()
    }
}

fn state_name(state: BackendState) -> &'static str {
    match state {
        BackendState::InUse => "in_use",
        BackendState::Passed => "passed",
        BackendState::Failed => "failed",
        BackendState::Unsupported => "unsupported",
        BackendState::NoDevice => "no_device",
        BackendState::NotTested => "not_tested",
    }
}
