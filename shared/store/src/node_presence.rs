//! The nodes that count as online. A node's entry is there from the event that it is online to the event that it is offline, so
//! that of several processes one publishes each.

use hearth_domain::{NodeId, Timestamp};
use serde_json::json;

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, Query, Sort, Write},
};

const VERSION: u32 = 1;
/// The partition: there are as many entries as nodes online.
const PARTITION: &str = "NODESONLINE";

/// The nodes that count as online.
#[derive(Debug, Clone, Copy)]
pub struct NodePresence<'a>(&'a Table);

impl Store {
    /// The nodes that count as online.
    #[must_use]
    pub fn node_presence(&self) -> NodePresence<'_> {
        NodePresence(&self.table)
    }
}

impl NodePresence<'_> {
    /// True if a node counts as online.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn contains(&self, node: NodeId) -> Result<bool, StoreError> {
        Ok(self.0.get_item(&key(node)).await?.is_some())
    }

    /// Adds a node. Returns false if it is there: of several writers one has true.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn add(&self, node: NodeId) -> Result<bool, StoreError> {
        let item = Item::new(key(node), VERSION, &json!({ "since": Timestamp::now() }))?;
        changed(self.0.put(item, Condition::Absent).await)
    }

    /// Removes a node. Returns false if it isn't there: of several writers one has true.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn remove(&self, node: NodeId) -> Result<bool, StoreError> {
        changed(self.0.transact(vec![Write::Delete(key(node), Condition::Exists)]).await)
    }

    /// All nodes that count as online.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn all(&self) -> Result<Vec<NodeId>, StoreError> {
        let items = self.0.query(Query::partition(PARTITION, Sort::All)).await?;
        Ok(items.iter().filter_map(|item| item.key.sk.parse().ok()).collect())
    }
}

fn changed(result: Result<(), StoreError>) -> Result<bool, StoreError> {
    match result {
        Ok(()) => Ok(true),
        Err(StoreError::Conflict) => Ok(false),
        Err(error) => Err(error),
    }
}

fn key(node: NodeId) -> Key {
    Key::new(PARTITION, node.to_string())
}
