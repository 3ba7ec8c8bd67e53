//! Nodes: who they are, and apart from that when they were last heard of.

use std::time::Duration;

use hearth_domain::{NodeId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort},
};

const VERSION: u32 = 1;
/// A heartbeat's item is deleted after this; whether a node is alive is decided by the reader.
const HEARTBEAT_TTL: Duration = Duration::from_secs(24 * 3600);

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
        let item = Item::new(key(node.id, META), VERSION, node)?;
        let item = item.in_gsi1(format!("USER#{}", node.owner), format!("NODE#{}", node.id));
        self.0.put(item, Condition::Always).await
    }

    /// A user's nodes, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, owner: UserId) -> Result<Vec<NodeRecord>, StoreError> {
        let query = Query::of(Index::Gsi1, format!("USER#{owner}"), Sort::Prefix("NODE#".to_owned()));
        self.0.query(query).await?.iter().map(Item::read).collect()
    }

    /// Notes that a node is there.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn beat(&self, id: NodeId, at: Timestamp) -> Result<(), StoreError> {
        let item = Item::new(key(id, "HB"), VERSION, &Heartbeat { at })?;
        self.0.put(item.expiring(at.plus(HEARTBEAT_TTL).unix()), Condition::Always).await
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
