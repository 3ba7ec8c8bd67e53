//! Probes of the operator's nodes: whether they answer, for `GET /ready` and the metrics.
//!
//! A probe goes on in the background after the time that its caller waits. The next caller joins it, or has its result as
//! the last known state. So a distant node is not offline because it takes longer than a caller waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, join_all},
};
use hearth_domain::{NodeId, OrganisationId};
use hearth_store::nodes::NodeRecord;
use tokio::time::{Instant, timeout_at};

use super::{Nodes, StatusAge};
use crate::{background, moment::Moment};

/// Time after which a node that doesn't answer is slow, though it answered the probe before.
const SLOW_NODE_GRACE: Duration = Duration::from_secs(2);

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeState {
    Answers,
    /// It hasn't answered yet.
    Slow,
    Offline,
}

impl NodeState {
    /// The name in answers.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Answers => "ok",
            Self::Slow => "slow",
            Self::Offline => "offline",
        }
    }
}

/// The state of a node, by a probe.
#[derive(Debug, Clone)]
pub(crate) struct NodeProbe {
    /// The owner's name for the node.
    pub(crate) name: String,
    pub(crate) state: NodeState,
    /// It gets no further runs.
    pub(crate) is_draining: bool,
    /// Runs of this process.
    pub(crate) runs: u32,
    pub(crate) took: Duration,
}

/// The latest probe of each node.
#[derive(Debug, Default)]
pub(super) struct Probes(Mutex<HashMap<NodeId, Probe>>);

/// A request for a node's status, in progress or complete.
#[derive(Debug, Clone)]
struct Probe {
    began: Moment,
    /// True if the node answers.
    answers: Shared<BoxFuture<'static, bool>>,
    /// The result of the probe before.
    before: Option<bool>,
}

impl Probe {
    /// The state of the node, for which the caller waits until `deadline`.
    async fn state(&self, deadline: Instant) -> NodeState {
        match timeout_at(deadline, self.answers.clone()).await {
            Ok(true) => NodeState::Answers,
            Ok(false) => NodeState::Offline,
            Err(_) => self.last_known_state(self.began.age()),
        }
    }

    /// The state of a node that hasn't answered for this time.
    fn last_known_state(&self, waited: Duration) -> NodeState {
        match self.before {
            Some(false) => NodeState::Offline,
            Some(true) if waited < SLOW_NODE_GRACE => NodeState::Answers,
            Some(true) | None => NodeState::Slow,
        }
    }
}

impl Nodes {
    /// The state of the operator's own nodes, and of those that are shared with the whole organisation, all probed at once. Waits
    /// for `limit` at most; none if the list of nodes can't be read in that time.
    pub(crate) async fn probe(self: &Arc<Self>, limit: Duration) -> Option<Vec<NodeProbe>> {
        let began = Instant::now();
        let deadline = began + limit;
        let nodes = Arc::clone(self);
        let records = background::spawn(async move {
            let operator = nodes.store.operator().await.ok()?;
            let records = nodes.records_of(OrganisationId::of_operator(operator)).await.ok()?;
            // A node that a member has for themselves isn't a part of the gateway, and others don't see it.
            let is_gateways = |node: &&Arc<NodeRecord>| node.owner == operator || node.sharing.organisation;
            Some(records.iter().filter(is_gateways).cloned().collect::<Vec<_>>())
        });
        let records = timeout_at(deadline, records).await.ok()?.ok()??;
        self.probes.retain(&records);
        let probes = records.iter().map(async |record| {
            let (nodes, probed) = (Arc::clone(self), Arc::clone(record));
            let request = async move { nodes.live_node(&probed, StatusAge::Cached).await.is_ok() };
            let state = self.probes.start(record.id, request).state(deadline).await;
            NodeProbe {
                name: record.name.clone(),
                state,
                is_draining: record.is_draining,
                runs: self.runs.of_node(record.id),
                took: began.elapsed(),
            }
        });
        Some(join_all(probes).await)
    }
}

impl Probes {
    /// Starts a probe of a node in the background, or returns the one in progress. `request` returns whether the node answers.
    fn start(&self, node: NodeId, request: impl Future<Output = bool> + Send + 'static) -> Probe {
        let mut probes = self.latest();
        let before = match probes.get(&node).map(|latest| (latest, latest.answers.peek())) {
            Some((latest, None)) => return latest.clone(),
            Some((_, Some(answers))) => Some(*answers),
            None => None,
        };
        let answers = background::spawn(request).map(|answers| answers.unwrap_or(false)).boxed().shared();
        let probe = Probe { began: Moment::now(), answers, before };
        probes.insert(node, probe.clone());
        probe
    }

    /// Removes the probes of other nodes than these.
    fn retain(&self, records: &[Arc<NodeRecord>]) {
        self.latest().retain(|id, _| records.iter().any(|record| record.id == *id));
    }

    fn latest(&self) -> MutexGuard<'_, HashMap<NodeId, Probe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(10)
    }

    #[tokio::test]
    async fn hanging_node_is_slow_and_its_late_answer_serves_the_next_probe() {
        let (probes, node) = (Probes::default(), NodeId::new());
        let (answer, answered) = oneshot::channel::<()>();
        let first = probes.start(node, async { answered.await.is_ok() });
        assert_eq!(first.state(soon()).await, NodeState::Slow);
        let second = probes.start(node, pending());
        answer.send(()).unwrap();
        assert_eq!(second.state(Instant::now() + Duration::from_secs(10)).await, NodeState::Answers);
        // A node that answered the probe before has some seconds.
        let third = probes.start(node, pending());
        assert_eq!(third.state(soon()).await, NodeState::Answers);
        assert_eq!(third.last_known_state(SLOW_NODE_GRACE), NodeState::Slow);
    }

    #[tokio::test]
    async fn node_that_was_offline_stays_so_until_it_answers() {
        let (probes, node) = (Probes::default(), NodeId::new());
        let first = probes.start(node, async { false });
        assert_eq!(first.state(Instant::now() + Duration::from_secs(10)).await, NodeState::Offline);
        assert_eq!(probes.start(node, pending()).state(soon()).await, NodeState::Offline);
    }
}
