//! Nodes, as they are registered with the gateway.

use hearth_domain::{NodeId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort},
};

const VERSION: u32 = 1;

/// The address of the node in the gateway's own process.
pub const IN_PROCESS_URL: &str = "in-process";

/// A registered node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its id.
    pub id: NodeId,
    /// Its owner.
    pub owner: UserId,
    /// The owner's name for it.
    pub name: String,
    /// Its address, as the gateway reaches it.
    pub url: String,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// The nodes.
#[derive(Debug, Clone, Copy)]
pub struct Nodes<'a>(pub(crate) &'a Table);

impl Nodes<'_> {
    /// Registers a node, or replaces its record.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let item = Item::new(key(node.id), VERSION, node)?;
        let item = item.in_gsi1(owner_key(node.owner), node.id.to_string());
        self.0.put(item, Condition::Always).await
    }

    /// A user's nodes, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, owner: UserId) -> Result<Vec<NodeRecord>, StoreError> {
        let query = Query::of(Index::Gsi1, owner_key(owner), Sort::All);
        self.0.query(query).await?.iter().map(Item::read).collect()
    }
}

/// The nodes' own partition of the index: a function's role allows whole partitions.
fn owner_key(owner: UserId) -> String {
    format!("NODES#{owner}")
}

fn key(id: NodeId) -> Key {
    Key::new(format!("NODE#{id}"), META)
}
