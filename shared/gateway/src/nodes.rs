//! The users' nodes, and their status.
//!
//! - `probes`: whether the operator's nodes answer.

mod probes;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use hearth_domain::{NodeId, UserId};
use hearth_providers::{LocalNode, NodeLink};
use hearth_store::{Store, StoreError, nodes::NodeRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    node::{NodeModel, NodeStatus},
};

use crate::{
    background::Background,
    error,
    keys::GatewayKeys,
    public_address::is_public,
    timed_cache::{Freshness, TimedCache},
};
use probes::Probes;
pub(crate) use probes::{NodeProbe, NodeState};

/// Age at which a user's node records, and a node's status, are read again.
const NODE_TTL: Duration = Duration::from_secs(1);
/// Age up to which stale node records serve requests while they are read again.
const STALE_RECORDS_TTL: Duration = Duration::from_secs(30);
/// Age up to which a stale status is listed while it is read again.
const STALE_STATUS_TTL: Duration = Duration::from_secs(5);
/// Limit of the number of users whose node records are cached, and of nodes whose status is.
const NODE_MAX_COUNT: usize = 10_000;

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
    pub(crate) status: Arc<NodeStatus>,
}

impl LiveNode {
    /// Its model of this id.
    pub(crate) fn model(&self, id: &str) -> Option<&NodeModel> {
        self.status.models.iter().find(|model| model.id == id)
    }
}

/// The users' nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    store: Store,
    keys: Arc<GatewayKeys>,
    http: reqwest::Client,
    /// Allows private and loopback addresses.
    allows_private: bool,
    background: Background,
    /// The node in this process, if there is one.
    in_process: OnceLock<LocalNode>,
    records: TimedCache<UserId, Arc<[NodeRecord]>>,
    statuses: TimedCache<NodeId, Arc<NodeStatus>>,
    /// The latest probe of each of the operator's nodes.
    probes: Probes,
}

impl Nodes {
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        http: reqwest::Client,
        allows_private: bool,
        background: Background,
    ) -> Self {
        Self {
            store,
            keys,
            http,
            allows_private,
            background,
            in_process: OnceLock::new(),
            records: TimedCache::new(NODE_TTL, NODE_MAX_COUNT).stale_up_to(STALE_RECORDS_TTL),
            statuses: TimedCache::new(NODE_TTL, NODE_MAX_COUNT).stale_up_to(STALE_STATUS_TTL),
            probes: Probes::default(),
        }
    }

    /// Sends requests for `node` to the one in this process. A second one is ignored.
    pub(crate) fn attach(&self, node: LocalNode) {
        if let Err(second) = self.in_process.set(node) {
            tracing::error!(?second, "a second node in this process is ignored");
        }
    }

    /// Stores a node's record.
    pub(crate) async fn register(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.store.nodes().put(node).await
    }

    /// A user's nodes that answer, each with a status of this age at most.
    ///
    /// # Errors
    /// `node_offline` if there are nodes and none answers; `internal` if the store fails.
    pub(crate) async fn live(
        self: &Arc<Self>,
        user: UserId,
        age: StatusAge,
    ) -> Result<Vec<LiveNode>, ApiError> {
        let records = match age {
            StatusAge::Cached | StatusAge::Listed => self.records_of(user).await?,
            StatusAge::Current => self.read_records(user).await?,
        };
        let (mut live, mut failure) = (Vec::new(), None);
        for record in &*records {
            match self.live_node(record, age).await {
                Ok(node) => live.push(node),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if live.is_empty() => Err(error),
            _ => Ok(live),
        }
    }

    /// A node's record, if it is the user's.
    pub(crate) async fn find(&self, user: UserId, id: NodeId) -> Result<Option<NodeRecord>, ApiError> {
        let records = self.store.nodes().of(user).await.map_err(error::store)?;
        Ok(records.into_iter().find(|record| record.id == id))
    }

    /// The link to a node.
    ///
    /// # Errors
    /// `node_offline` if its address isn't allowed.
    pub(crate) async fn link(&self, node: &NodeRecord) -> Result<NodeLink, ApiError> {
        if let Some(local) = self.in_process.get().filter(|local| local.id() == node.id) {
            return Ok(NodeLink::local(local.clone()));
        }
        if !self.allows_private && !is_public(&node.url) {
            let message = "the node's address is private, and this gateway takes public ones only";
            return Err(ApiError::new(ErrorCode::NodeOffline, message));
        }
        Ok(NodeLink::new(node.id, &node.url, self.http.clone(), self.keys.get().await?.link().clone()))
    }

    async fn live_node(self: &Arc<Self>, record: &NodeRecord, age: StatusAge) -> Result<LiveNode, ApiError> {
        let link = self.link(record).await?;
        let is_in_process = || self.in_process.get().is_some_and(|local| local.id() == record.id);
        let cached = match age {
            StatusAge::Cached => self.statuses.get(&record.id),
            StatusAge::Listed if !is_in_process() => self.listed_status(&link).await,
            StatusAge::Listed | StatusAge::Current => None,
        };
        let status = match cached {
            Some(status) => status,
            None => self.read_status(&link).await?,
        };
        Ok(LiveNode { link, status })
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

    /// A user's node records. Stale ones serve while they are read again.
    async fn records_of(self: &Arc<Self>, user: UserId) -> Result<Arc<[NodeRecord]>, ApiError> {
        match self.records.get_or_stale(&user) {
            Some((records, Freshness::Fresh)) => Ok(records),
            Some((stale, Freshness::Stale)) => {
                let nodes = Arc::clone(self);
                let read = async move {
                    if let Err(error) = nodes.read_records(user).await {
                        tracing::warn!(%error, "a user's nodes can't be read again");
                    }
                };
                self.background.spawn_or_wait(read).await;
                Ok(self.records.get(&user).unwrap_or(stale))
            }
            None => self.read_records(user).await,
        }
    }

    async fn read_records(&self, user: UserId) -> Result<Arc<[NodeRecord]>, ApiError> {
        let records: Arc<[NodeRecord]> = self.store.nodes().of(user).await.map_err(error::store)?.into();
        self.records.put(user, Arc::clone(&records));
        Ok(records)
    }
}
