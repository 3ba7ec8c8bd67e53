//! The runs of this process at nodes: their number, which a node limits, and their speed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::StreamExt as _;
use hearth_domain::{NodeId, RunId};
use hearth_providers::{Call, EventStream, NodeLink, Provider};
use hearth_wire::{
    ApiError, ErrorCode, RunEventBody,
    node::{NodeCountBody, NodeTokenCount},
};

/// Weight of the latest speed in the mean: with 0.3 the last five or so make it.
const LATEST_WEIGHT: f64 = 0.3;
/// Tokens, and the time, from which on the speed of an answer counts. The events of a whole answer come together.
const MEASURED_MIN: (u32, Duration) = (16, Duration::from_millis(200));
/// Above this number of nodes, those without a run are removed.
const NODE_MAX_COUNT: usize = 10_000;
/// Limit of the models of a node whose speed is remembered.
const MODEL_MAX_COUNT: usize = 1000;

/// The runs of this process at nodes. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeRuns(Arc<Mutex<HashMap<NodeId, RunsOfNode>>>);

#[derive(Debug, Default)]
struct RunsOfNode {
    in_progress: u32,
    /// Runs that have no slot yet.
    waiting: u32,
    models: HashMap<String, RunsOfModel>,
}

#[derive(Debug, Default)]
struct RunsOfModel {
    in_progress: u32,
    tokens_per_second: Option<f64>,
}

impl NodeRuns {
    /// The number of runs at a node.
    pub(crate) fn of_node(&self, node: NodeId) -> u32 {
        self.nodes().get(&node).map_or(0, |runs| runs.in_progress)
    }

    /// The number of runs at a node that have no slot yet.
    pub(super) fn waiting(&self, node: NodeId) -> u32 {
        self.nodes().get(&node).map_or(0, |runs| runs.waiting)
    }

    /// The number of runs of a model at a node, and the exponentially weighted moving average of their tokens a second.
    pub(crate) fn of_model(&self, node: NodeId, model: &str) -> (u32, Option<f64>) {
        let nodes = self.nodes();
        let runs = nodes.get(&node).and_then(|runs| runs.models.get(model));
        runs.map_or((0, None), |runs| (runs.in_progress, runs.tokens_per_second))
    }

    /// Counts a run until the guard is dropped; none if the node has `max_count` runs of this process.
    pub(super) fn begin(&self, node: NodeId, model: &str, max_count: Option<u32>) -> Option<RunGuard> {
        let mut nodes = self.nodes();
        if nodes.len() > NODE_MAX_COUNT {
            nodes.retain(|_, runs| runs.in_progress > 0);
        }
        let runs = nodes.entry(node).or_default();
        if max_count.is_some_and(|max_count| runs.in_progress >= max_count) {
            return None;
        }
        if runs.models.len() > MODEL_MAX_COUNT {
            runs.models.retain(|_, runs| runs.in_progress > 0);
        }
        runs.in_progress += 1;
        runs.waiting += 1;
        runs.models.entry(model.to_owned()).or_default().in_progress += 1;
        Some(RunGuard { runs: self.clone(), node, model: model.to_owned(), is_waiting: true })
    }

    fn record_speed(&self, node: NodeId, model: &str, latest: f64) {
        if let Some(runs) = self.nodes().get_mut(&node).and_then(|runs| runs.models.get_mut(model)) {
            let mean = |before: f64| before * (1.0 - LATEST_WEIGHT) + latest * LATEST_WEIGHT;
            runs.tokens_per_second = Some(runs.tokens_per_second.map_or(latest, mean));
        }
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<NodeId, RunsOfNode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run at a node.
#[derive(Debug)]
pub(super) struct RunGuard {
    runs: NodeRuns,
    node: NodeId,
    model: String,
    is_waiting: bool,
}

impl RunGuard {
    /// Notes that the run has a slot, or has ended.
    fn end_wait(&mut self) {
        if std::mem::take(&mut self.is_waiting)
            && let Some(runs) = self.runs.nodes().get_mut(&self.node)
        {
            runs.waiting = runs.waiting.saturating_sub(1);
        }
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.end_wait();
        if let Some(runs) = self.runs.nodes().get_mut(&self.node) {
            runs.in_progress = runs.in_progress.saturating_sub(1);
            if let Some(model) = runs.models.get_mut(&self.model) {
                model.in_progress = model.in_progress.saturating_sub(1);
            }
        }
    }
}

/// Measures the speed of a run, and counts it until it is dropped.
struct RunMeter {
    guard: RunGuard,
    first_token: Option<Instant>,
}

impl RunMeter {
    fn observe(&mut self, event: &RunEventBody) {
        if event.commits_to_candidate() || matches!(event, RunEventBody::Started { .. }) {
            self.guard.end_wait();
        }
        match event {
            RunEventBody::Usage { usage } => {
                let (min_tokens, min_time) = MEASURED_MIN;
                let took = self.first_token.map(|first| first.elapsed()).filter(|took| *took >= min_time);
                if let Some(took) = took
                    && usage.completion_tokens >= min_tokens
                {
                    // The first token's time is that of the prompt.
                    let speed = f64::from(usage.completion_tokens - 1) / took.as_secs_f64();
                    self.guard.runs.record_speed(self.guard.node, &self.guard.model, speed);
                }
            }
            event if self.first_token.is_none() && event.commits_to_candidate() => {
                self.first_token = Some(Instant::now());
            }
            _ => {}
        }
    }
}

/// A node as the provider of a run: its link, within the number of runs that it takes.
#[derive(Debug, Clone)]
pub(crate) struct PlacedNode {
    pub(super) link: NodeLink,
    pub(super) runs: NodeRuns,
    /// The owner's name for the node.
    pub(super) node_name: String,
    /// Runs that it takes.
    pub(super) runs_max_count: Option<u32>,
    /// The relay, if the node is reached directly, reports to the gateway, and no other node has the model: its address may have
    /// stopped answering since the last probe.
    pub(super) relay: Option<NodeLink>,
    /// The run was started by the relay.
    pub(super) is_relayed: Arc<AtomicBool>,
}

#[async_trait]
impl Provider for PlacedNode {
    fn name(&self) -> &str {
        self.link.name()
    }

    fn kind(&self) -> &str {
        self.link.kind()
    }

    fn server_address(&self) -> Option<String> {
        self.link.server_address()
    }

    fn outlives_gateway(&self) -> bool {
        self.link.outlives_gateway()
    }

    async fn generate(&self, call: Call) -> Result<EventStream, ApiError> {
        let guard = self.runs.begin(self.link.id(), call.model.as_str(), self.runs_max_count);
        let guard = guard.ok_or_else(|| full(&self.node_name, self.runs_max_count.unwrap_or_default()))?;
        let mut meter = RunMeter { guard, first_token: None };
        let events = match &self.relay {
            None => self.link.generate(call).await?,
            Some(relay) => match self.link.generate(call.clone()).await {
                // The node carries out a run of one id once, if both requests reach it.
                Err(error) if error.code == ErrorCode::NodeOffline => {
                    tracing::warn!(node = %self.link.id(), "a run falls back to the relay");
                    self.is_relayed.store(true, Ordering::Relaxed);
                    relay.generate(call).await?
                }
                result => result?,
            },
        };
        Ok(events.inspect(move |event| meter.observe(event)).boxed())
    }

    async fn count_tokens(&self, body: &NodeCountBody) -> Result<Option<NodeTokenCount>, ApiError> {
        self.link.count_tokens(body).await
    }

    async fn count_prompt(&self, call: &Call) -> Result<Option<u32>, ApiError> {
        self.link.count_prompt(call).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        match &self.relay {
            Some(relay) if self.is_relayed.load(Ordering::Relaxed) => relay.cancel(run).await,
            _ => self.link.cancel(run).await,
        }
    }
}

/// The error for a run that a node has no place for.
pub(super) fn full(node: &str, runs_max_count: u32) -> ApiError {
    let message =
        format!("the node {node} has all the runs that it takes ({runs_max_count}); try again later");
    ApiError::new(ErrorCode::QueueFull, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_until_their_end_and_limited() {
        let (runs, node) = (NodeRuns::default(), NodeId::new());
        let first = runs.begin(node, "a", Some(2)).unwrap();
        let second = runs.begin(node, "b", Some(2)).unwrap();
        assert!(runs.begin(node, "a", Some(2)).is_none());
        assert_eq!((runs.of_node(node), runs.of_model(node, "a").0), (2, 1));
        drop(second);
        let third = runs.begin(node, "a", Some(2)).unwrap();
        assert_eq!((runs.of_node(node), runs.of_model(node, "a").0, runs.of_model(node, "b").0), (2, 2, 0));
        drop((first, third));
        assert_eq!((runs.of_node(node), runs.of_node(NodeId::new())), (0, 0));
        assert!(runs.begin(node, "a", Some(0)).is_none());
    }

    #[test]
    fn run_waits_until_it_has_a_slot() {
        let (runs, node) = (NodeRuns::default(), NodeId::new());
        let mut first = runs.begin(node, "a", None).unwrap();
        let second = runs.begin(node, "a", None).unwrap();
        assert_eq!((runs.of_node(node), runs.waiting(node)), (2, 2));
        first.end_wait();
        first.end_wait();
        assert_eq!((runs.of_node(node), runs.waiting(node)), (2, 1));
        drop((first, second));
        assert_eq!((runs.of_node(node), runs.waiting(node)), (0, 0));
    }

    #[test]
    fn speed_is_averaged_for_each_node_and_model() {
        let (runs, node) = (NodeRuns::default(), NodeId::new());
        let _run = runs.begin(node, "a", None);
        runs.record_speed(node, "a", 100.0);
        runs.record_speed(node, "a", 200.0);
        let speed = runs.of_model(node, "a").1.unwrap();
        assert!((speed - 130.0).abs() < 1e-9, "{speed}");
        assert_eq!((runs.of_model(node, "b").1, runs.of_model(NodeId::new(), "a").1), (None, None));
    }
}
