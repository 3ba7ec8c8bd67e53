//! Nodes: who they are, and apart from that when they were last heard of.

use std::time::Duration;

use hearth_domain::{NodeId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    item::{Item, Key, META, number, read},
    table::{Query, Sort},
};

const VERSION: u32 = 1;
/// A heartbeat's item is deleted after this; whether a node is alive is decided by the reader.
const HEARTBEAT_KEPT: Duration = Duration::from_secs(24 * 3600);

/// A node as it was enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its id.
    pub id: NodeId,
    /// Whose it is.
    pub owner: UserId,
    /// What its owner calls it.
    pub name: String,
    /// Where the gateway reaches it directly.
    pub url: String,
    /// When it was enrolled.
    pub created_at: Timestamp,
}

/// When a node was last heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The moment.
    pub at: Timestamp,
}

/// The nodes.
#[derive(Debug, Clone, Copy)]
pub struct Nodes<'a>(pub(crate) &'a Table);

impl Nodes<'_> {
    /// Enrols a node, or changes what is known of it.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let item = Item::new(&key(node.id, META), VERSION, node)?;
        self.0
            .put(item.indexed("gsi1", &format!("USER#{}", node.owner), &format!("NODE#{}", node.id)), None)
            .await
    }

    /// A user's nodes, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, owner: UserId) -> Result<Vec<NodeRecord>, StoreError> {
        let pk = format!("USER#{owner}");
        let query = Query { index: Some("gsi1"), pk, sort: Sort::Prefix("NODE#") };
        self.0.query(&query).await?.into_iter().map(read).collect()
    }

    /// Notes that a node is there.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn beat(&self, id: NodeId, at: Timestamp) -> Result<(), StoreError> {
        let item = Item::new(&key(id, "HB"), VERSION, &Heartbeat { at })?;
        self.0.put(item.with("ttl", number(at.plus(HEARTBEAT_KEPT).unix())), None).await
    }

    /// When a node was last heard of.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn heartbeat(&self, id: NodeId) -> Result<Option<Heartbeat>, StoreError> {
        self.0.get(&key(id, "HB")).await
    }
}

fn key(id: NodeId, sk: &str) -> Key {
    Key::new(format!("NODE#{id}"), sk)
}
