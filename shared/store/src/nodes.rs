//! Nodes, as they are registered with the gateway.

use hearth_domain::{NodeId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort},
};

const VERSION: u32 = 1;

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
}

fn key(id: NodeId) -> Key {
    Key::new(format!("NODE#{id}"), META)
}
