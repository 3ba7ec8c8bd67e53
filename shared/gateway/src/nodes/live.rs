//! The nodes that a member may use and that answer.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use hearth_domain::{NodeId, NodeTransport, RuntimeState, Timestamp};
use hearth_providers::NodeLink;
use hearth_store::relay::NodeState;
use hearth_wire::{
    ApiError, ErrorCode,
    node::{NodeModel, NodeStatus},
};
use tokio::time::timeout;

use super::{
    NodeRecord, Nodes, PlacedNode,
    absent::{listed, none_answers},
    may_manage, may_use, offline,
    placement::NodeOption,
};
use crate::{access::Caller, timed_cache::Freshness};

/// Time for which a request waits for further nodes when one has answered, and the same where the present status matters.
const SLOW_NODE_TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));

/// Limit of the age of a node's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusAge {
    /// Up to a second: for requests, of which there are many.
    Cached,
    /// Up to five seconds: for lists. A node in this process, which costs nothing to ask, is always asked.
    Listed,
    /// None: for what depends on the present status.
    Current,
}

/// A node that answers, and its status.
#[derive(Debug, Clone)]
pub(crate) struct LiveNode {
    pub(crate) link: NodeLink,
    pub(crate) record: Arc<NodeRecord>,
    pub(crate) status: Arc<NodeStatus>,
    /// The state that it has reported last, if it reports.
    pub(crate) state: Option<Arc<NodeState>>,
    /// Runs that the gateway's processes have assigned to it, if this process doesn't have all of them.
    pub(crate) assigned_runs: u32,
}

impl LiveNode {
    /// True if it has the model; without an id, true.
    pub(crate) fn serves(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.model(id).is_some())
    }

    /// Runs that it takes; none for no limit of its own.
    pub(crate) fn runs_max_count(&self) -> Option<u32> {
        self.state.as_ref()?.runs_max_count
    }

    /// Its model of this id.
    pub(crate) fn model(&self, id: &str) -> Option<&NodeModel> {
        self.status.models.iter().find(|model| model.id == id)
    }

    /// True if one of its models is in memory or on its way there.
    pub(crate) fn has_loaded(&self, id: &str) -> bool {
        self.model(id).is_some_and(|model| {
            matches!(model.runtime.state, RuntimeState::Loading | RuntimeState::Loaded | RuntimeState::Busy)
        })
    }
}

impl Nodes {
    /// The nodes that the caller may use and that answer, oldest first, each with a status of this age at most.
    ///
    /// # Errors
    /// `node_offline` if there are nodes and none answers; `internal` if the store fails.
    pub(crate) async fn live(
        self: &Arc<Self>,
        caller: &Caller,
        age: StatusAge,
    ) -> Result<Vec<LiveNode>, ApiError> {
        self.live_where(caller, age, may_use).await
    }

    /// The nodes that the caller may use or manage and that answer, oldest first, with their present status.
    ///
    /// # Errors
    /// As for [`Nodes::live`].
    pub(crate) async fn live_or_managed(
        self: &Arc<Self>,
        caller: &Caller,
    ) -> Result<Vec<LiveNode>, ApiError> {
        let is_included =
            |caller: &Caller, node: &NodeRecord| may_use(caller, node) || may_manage(caller, node);
        self.live_where(caller, StatusAge::Current, is_included).await
    }

    /// The records of the caller's organisation; those of nodes that the caller may not use among them.
    pub(crate) async fn records_for(
        self: &Arc<Self>,
        caller: &Caller,
    ) -> Result<Arc<[Arc<NodeRecord>]>, ApiError> {
        self.records_of(caller.organisation).await
    }

    /// True if a node that the caller may use doesn't answer.
    pub(crate) async fn has_absent(self: &Arc<Self>, caller: &Caller) -> bool {
        let Ok(records) = self.records_of(caller.organisation).await else { return false };
        let usable = records.iter().filter(|record| may_use(caller, record)).count();
        let live = self.live(caller, StatusAge::Cached).await.map_or(0, |live| live.len());
        live < usable
    }

    /// The nodes that the caller may use and that aren't among `answering`, for an error; none if there is none.
    pub(crate) async fn describe_absent(
        self: &Arc<Self>,
        caller: &Caller,
        answering: &[NodeId],
    ) -> Option<String> {
        let records = self.records_of(caller.organisation).await.ok()?;
        let is_absent = |node: &NodeRecord| may_use(caller, node) && !answering.contains(&node.id);
        let names = records.iter().filter(|node| is_absent(node)).map(|node| node.name.as_str());
        let names: Vec<&str> = names.collect();
        (!names.is_empty()).then(|| format!("can't be reached: {}", listed(&names)))
    }

    async fn live_where(
        self: &Arc<Self>,
        caller: &Caller,
        age: StatusAge,
        is_included: impl Fn(&Caller, &NodeRecord) -> bool,
    ) -> Result<Vec<LiveNode>, ApiError> {
        let records = match age {
            StatusAge::Cached | StatusAge::Listed => self.records_of(caller.organisation).await?,
            StatusAge::Current => self.read_records(caller.organisation).await?,
        };
        let included = records.iter().filter(|record| is_included(caller, record)).cloned();
        // A node that didn't answer a moment ago would delay each request.
        let has_failed = |record: &Arc<NodeRecord>| self.failures.get(&record.id).is_some();
        let (failed, others): (Vec<_>, Vec<_>) =
            included.partition(|record| age != StatusAge::Current && has_failed(record));
        let (mut live, mut failures) = self.ask(others, age).await;
        if live.is_empty() && !failed.is_empty() {
            let (late, late_failures) = self.ask(failed, age).await;
            live = late;
            failures.extend(late_failures);
        }
        match none_answers(failures) {
            Some(error) if live.is_empty() => Err(error),
            _ => Ok(live),
        }
    }

    /// Asks nodes for their status, all at once; returns those that answer, in order, and the failures of the others.
    async fn ask(
        self: &Arc<Self>,
        records: Vec<Arc<NodeRecord>>,
        age: StatusAge,
    ) -> (Vec<LiveNode>, Vec<(String, ApiError)>) {
        let results = match &records[..] {
            [one] => vec![self.ask_one(one, age).await],
            _ => self.ask_several(records.clone(), age).await,
        };
        let (mut live, mut failures) = (Vec::new(), Vec::new());
        for (result, record) in results.into_iter().zip(records) {
            match result {
                Ok(node) => live.push(node),
                Err(error) => failures.push((record.name.clone(), error)),
            }
        }
        (live, failures)
    }

    async fn ask_one(
        self: &Arc<Self>,
        record: &Arc<NodeRecord>,
        age: StatusAge,
    ) -> Result<LiveNode, ApiError> {
        let result = self.live_node(record, age).await;
        match &result {
            Ok(_) => self.failures.remove(&record.id),
            Err(error) => self.failures.put(record.id, error.clone()),
        }
        result
    }

    /// Asks nodes for their status. When one has answered the others have a limited time.
    async fn ask_several(
        self: &Arc<Self>,
        records: Vec<Arc<NodeRecord>>,
        age: StatusAge,
    ) -> Vec<Result<LiveNode, ApiError>> {
        let mut results = vec![None; records.len()];
        let mut requests = FuturesUnordered::new();
        for (index, record) in records.iter().cloned().enumerate() {
            let nodes = Arc::clone(self);
            requests.push(async move { (index, nodes.ask_one(&record, age).await) });
        }
        let limit = if age == StatusAge::Cached { SLOW_NODE_TIMEOUT.0 } else { SLOW_NODE_TIMEOUT.1 };
        let mut has_answer = false;
        loop {
            let next = match has_answer {
                false => requests.next().await,
                true => timeout(limit, requests.next()).await.unwrap_or_default(),
            };
            let Some((index, result)) = next else { break };
            has_answer |= result.is_ok();
            results[index] = Some(result);
        }
        let slow = |record: &NodeRecord| offline(record, "it is slow to answer");
        let results = results.into_iter().zip(&records).map(|(result, record)| {
            result.unwrap_or_else(|| {
                self.failures.put(record.id, slow(record));
                Err(slow(record))
            })
        });
        results.collect()
    }

    /// A node with its status, if it answers.
    pub(super) async fn live_node(
        self: &Arc<Self>,
        record: &Arc<NodeRecord>,
        age: StatusAge,
    ) -> Result<LiveNode, ApiError> {
        if let Some(link) = self.in_process_link(record) {
            let cached = if age == StatusAge::Cached { self.statuses.get(&record.id) } else { None };
            return self.with_status(record, link, cached).await;
        }
        let (transport, mut reason) = self.choose_transport(record).await;
        if transport == NodeTransport::Direct {
            let link = self.direct_link(record).await?;
            let cached = match age {
                StatusAge::Cached => self.statuses.get(&record.id),
                StatusAge::Listed => self.listed_status(&link).await,
                StatusAge::Current => None,
            };
            match self.with_status(record, link, cached).await {
                Err(error) if error.code == ErrorCode::NodeOffline && record.public_key.is_some() => {
                    reason = self.note_unreachable(record, &error);
                }
                result => return result,
            }
        }
        self.relayed_node(record, &reason).await
    }

    async fn with_status(
        &self,
        record: &Arc<NodeRecord>,
        link: NodeLink,
        cached: Option<Arc<NodeStatus>>,
    ) -> Result<LiveNode, ApiError> {
        let status = match cached {
            Some(status) => status,
            None => self.read_status(&link).await?,
        };
        // A node without a key reports nothing.
        let state = match record.public_key {
            Some(_) => self.relay.state(record.id).await?,
            None => None,
        };
        self.live_with(record, link, status, state).await
    }

    /// A node that fetches its runs, with the status that it reported last, while the lease of its reports holds.
    async fn relayed_node(&self, record: &Arc<NodeRecord>, reason: &str) -> Result<LiveNode, ApiError> {
        let link = self.relay_link(record, reason)?;
        let state = self.relay.state(record.id).await?;
        let never = || offline(record, &format!("it has never connected to the gateway ({reason})"));
        let state = state.ok_or_else(never)?;
        if !state.is_alive(Timestamp::now()) {
            let seen_at = state.seen_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
            return Err(offline(record, &format!("it was last heard of at {seen_at}; is it running?")));
        }
        let status = self.relay.status(record.id).await?;
        let status = status.ok_or_else(|| offline(record, "it hasn't reported its models yet"))?;
        self.live_with(record, link, status, Some(state)).await
    }

    async fn live_with(
        &self,
        record: &Arc<NodeRecord>,
        link: NodeLink,
        status: Arc<NodeStatus>,
        state: Option<Arc<NodeState>>,
    ) -> Result<LiveNode, ApiError> {
        let is_limited = state.as_ref().is_some_and(|state| state.runs_max_count.is_some());
        // At home this process has all runs of the gateway.
        let is_shared = !self.background.outlives_response() && link.transport() == NodeTransport::Relay;
        let assigned_runs = match is_limited && is_shared {
            true => self.relay.assigned_runs(record.id).await?,
            false => 0,
        };
        Ok(LiveNode { link, record: Arc::clone(record), status, state, assigned_runs })
    }

    /// The cached status, read again in the background if it is stale.
    async fn listed_status(self: &Arc<Self>, link: &NodeLink) -> Option<Arc<NodeStatus>> {
        if !self.background.outlives_response() {
            return None;
        }
        let (status, freshness) = self.statuses.get_or_stale(&link.id())?;
        if freshness == Freshness::Stale {
            let (nodes, link) = (Arc::clone(self), link.clone());
            let read = async move {
                if let Err(error) = nodes.read_status(&link).await {
                    nodes.statuses.remove(&link.id());
                    tracing::debug!(%error, "a node's status can't be read");
                }
            };
            self.background.spawn_or_skip(read);
        }
        Some(status)
    }

    async fn read_status(&self, link: &NodeLink) -> Result<Arc<NodeStatus>, ApiError> {
        let status = Arc::new(link.status().await?);
        self.statuses.put(link.id(), Arc::clone(&status));
        Ok(status)
    }

    /// The facts of a node that placement compares, for a run of `model`. The runs of this process are counted as they begin. A node that is
    /// asked for its status says how many it has of others, as of a second ago; a report is too old for that, and the
    /// gateway's other processes are counted by their assignments.
    pub(crate) fn option(&self, caller: &Caller, node: &LiveNode, model: &NodeModel) -> NodeOption {
        let runtime = &model.runtime;
        let (model_runs, tokens_per_second) = self.runs.of_model(node.record.id, &model.id);
        let reported = |model: &NodeModel| model.runtime.active.saturating_add(model.runtime.queue_depth);
        let is_reporting = node.link.transport() == NodeTransport::Relay;
        let (of_model, of_node) = match is_reporting {
            true => (node.assigned_runs, node.assigned_runs),
            false => {
                let of_node = node.status.models.iter().map(reported).fold(0, u32::saturating_add);
                (reported(model), of_node)
            }
        };
        let free = node.status.memory.map(|memory| memory.limit_bytes.saturating_sub(memory.used_bytes));
        let needed = runtime.memory_predicted_bytes;
        NodeOption {
            is_own: node.record.owner == caller.user,
            is_draining: node.record.is_draining,
            state: runtime.state,
            model_runs: model_runs.max(of_model),
            slots: runtime.slots,
            node_runs: self.runs.of_node(node.record.id).max(of_node),
            runs_max_count: node.runs_max_count(),
            has_memory: free.zip(needed).map(|(free, needed)| needed <= free),
            tokens_per_second,
        }
    }

    /// The node as the provider of a run. `is_only`: no other node has the model.
    pub(crate) fn provider(&self, node: &LiveNode, is_only: bool) -> PlacedNode {
        let is_direct = node.link.transport() == NodeTransport::Direct;
        let reports = node.state.as_ref().is_some_and(|state| state.is_alive(Timestamp::now()));
        let relay =
            (is_only && is_direct && reports).then(|| self.relay_link(&node.record, "").ok()).flatten();
        PlacedNode {
            relay,
            is_relayed: Arc::default(),
            link: node.link.clone(),
            runs: self.runs.clone(),
            node_name: node.record.name.clone(),
            runs_max_count: node.runs_max_count(),
        }
    }
}
