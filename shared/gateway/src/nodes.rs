//! The nodes, and what they say of themselves.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hearth_domain::{NodeId, UserId};
use hearth_providers::{LocalNode, NodeLink};
use hearth_store::nodes::NodeRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    node::{NodeModel, NodeStatus},
};
use url::{Host, Url};

use crate::{Gateway, background, error};

/// A user's nodes are looked for, and a node's status is asked for, again after this.
const CACHED: Duration = Duration::from_secs(1);
/// Nodes that were found serve a request while they are looked for again, unless it is so long ago.
const KEPT: Duration = Duration::from_secs(30);

/// A node that answers, and what it said.
#[derive(Debug, Clone)]
pub struct LiveNode {
    /// The link to it.
    pub link: NodeLink,
    /// What it has and does.
    pub status: NodeStatus,
}

impl LiveNode {
    /// Its model of this id.
    #[must_use]
    pub fn model(&self, id: &str) -> Option<&NodeModel> {
        self.status.models.iter().find(|model| model.id == id)
    }
}

/// What nodes said lately.
#[derive(Debug, Default)]
pub(crate) struct StatusCache(Mutex<HashMap<NodeId, (Instant, NodeStatus)>>);

impl StatusCache {
    fn get(&self, id: NodeId) -> Option<NodeStatus> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(&id).filter(|(at, _)| at.elapsed() < CACHED).map(|(_, status)| status.clone())
    }

    fn put(&self, id: NodeId, status: &NodeStatus) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (Instant::now(), status.clone()));
    }
}

/// Users' nodes, as they were found lately.
#[derive(Debug, Default)]
pub(crate) struct RecordCache(Mutex<HashMap<UserId, (Instant, Vec<NodeRecord>)>>);

impl RecordCache {
    /// A user's nodes, and whether it is time to look for them again. Whoever is told so does it: for the others
    /// they are then as if just found.
    fn get(&self, user: UserId) -> Option<(Vec<NodeRecord>, bool)> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, nodes) = cache.get_mut(&user).filter(|(at, _)| at.elapsed() < KEPT)?;
        let old = at.elapsed() >= CACHED;
        if old {
            *at = Instant::now();
        }
        Some((nodes.clone(), old))
    }

    fn put(&self, user: UserId, nodes: &[NodeRecord]) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, (at, _)| at.elapsed() < KEPT);
        cache.insert(user, (Instant::now(), nodes.to_vec()));
    }
}

impl Gateway {
    /// A user's nodes that answer. `fresh` asks them again, however lately they were asked.
    ///
    /// # Errors
    /// `node_offline` if there are nodes and none answers; `internal` if the store fails.
    pub async fn live_nodes(&self, user: UserId, fresh: bool) -> Result<Vec<LiveNode>, ApiError> {
        let cached = if fresh { None } else { self.0.nodes.get(user) };
        let nodes = match cached {
            Some((nodes, false)) => nodes,
            Some((nodes, true)) if self.outlives_answers() => {
                let gateway = self.clone();
                background::spawn(async move {
                    if let Err(error) = gateway.find_nodes(user).await {
                        tracing::warn!(%error, "a user's nodes can't be looked for again");
                    }
                });
                nodes
            }
            _ => self.find_nodes(user).await?,
        };
        let (mut live, mut failure) = (Vec::new(), None);
        for node in nodes {
            let answer = async {
                let link = self.link(&node).await?;
                let cached = if fresh { None } else { self.0.statuses.get(node.id) };
                let status = match cached {
                    Some(status) => status,
                    None => {
                        let status = link.status().await?;
                        self.0.statuses.put(node.id, &status);
                        status
                    }
                };
                Ok(LiveNode { link, status })
            };
            match answer.await {
                Ok(node) => live.push(node),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if live.is_empty() => Err(error),
            _ => Ok(live),
        }
    }

    async fn find_nodes(&self, user: UserId) -> Result<Vec<NodeRecord>, ApiError> {
        let nodes = self.store().nodes().of(user).await.map_err(error::store)?;
        self.0.nodes.put(user, &nodes);
        Ok(nodes)
    }

    /// Has calls of this node go to the one in this process, whatever its address. A process has one at most: a
    /// second is left out.
    pub fn attach(&self, node: LocalNode) {
        if let Err(second) = self.0.local.set(node) {
            tracing::error!(?second, "a second node in this process is left out");
        }
    }

    /// The link to a node.
    ///
    /// # Errors
    /// `node_offline` if its address isn't allowed.
    pub(crate) async fn link(&self, node: &NodeRecord) -> Result<NodeLink, ApiError> {
        if let Some(local) = self.0.local.get().filter(|local| local.id() == node.id) {
            return Ok(NodeLink::local(local.clone()));
        }
        if !self.0.options.private_nodes && !is_public(&node.url) {
            let message = "the node's address is private, and this gateway takes public ones only";
            return Err(ApiError::new(ErrorCode::NodeOffline, message));
        }
        Ok(NodeLink::new(node.id, &node.url, self.0.http.clone(), self.keys().await?.link().clone()))
    }
}

/// Whether an address is one that the gateway may be made to call: none of its own network.
fn is_public(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4),
        Some(Host::Domain(name)) => {
            return url.scheme() == "https" && name.contains('.') && !name.ends_with(".local");
        }
        None => return false,
    };
    let private = match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
    };
    url.scheme() == "https" && !private
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_https_addresses_pass() {
        for good in ["https://203.0.113.7:8443", "https://node.example.org", "https://[2001:db8::1]"] {
            assert!(is_public(good), "{good} was refused");
        }
        let bad = [
            "http://203.0.113.7",
            "https://127.0.0.1",
            "https://10.1.2.3",
            "https://169.254.169.254",
            "https://[::1]",
            "https://[::ffff:10.0.0.1]",
            "https://localhost",
            "https://box.local",
            "https://100.64.0.1",
            "file:///etc",
            "x",
        ];
        for url in bad {
            assert!(!is_public(url), "{url} passed");
        }
    }
}
