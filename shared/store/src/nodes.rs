//! Nodes, as they are registered with the gateway.

use hearth_domain::{NodeEnergy, NodeId, NodeSharing, OrganisationId, Owner, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Update, Write},
};

const VERSION: u32 = 1;

/// The address of the node in the gateway's own process.
pub const IN_PROCESS_URL: &str = "in-process";

/// A registered node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its id.
    pub id: NodeId,
    /// The user who registered it.
    pub owner: UserId,
    /// The organisation whose members use it; none in records from before there were organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OrganisationId>,
    /// The region in which it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The owner's name for it.
    pub name: String,
    /// Its address, if the gateway may reach it at one. Else it is reached by the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its Ed25519 public key in base64, by which its requests are verified; none of a node that sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// SHA-256 of the public key of the certificate at its address, hexadecimal: a connection to another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_key: Option<String>,
    /// The members who may use it beside its owner. Nodes from before there was sharing serve the organisation.
    #[serde(default = "NodeSharing::with_organisation")]
    pub sharing: NodeSharing,
    /// True if it gets no further runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_draining: bool,
    /// The power that it draws, and the price of the energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<NodeEnergy>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// True if the gateway connects to it at public addresses only: its owner may not name others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_public_only: bool,
    /// The number of changes: one that is decided by an earlier state is refused.
    #[serde(default)]
    pub revision: i64,
}

impl NodeRecord {
    /// The record of the node `id` without an address, which `owner` registers now for the whole organisation.
    #[must_use]
    pub fn new(id: NodeId, owner: Owner, name: impl Into<String>) -> Self {
        Self {
            id,
            owner: owner.user,
            organisation: Some(owner.organisation),
            region: None,
            name: name.into(),
            url: None,
            public_key: None,
            certificate_key: None,
            sharing: NodeSharing::with_organisation(),
            is_draining: false,
            energy: None,
            created_at: Timestamp::now(),
            is_public_only: false,
            revision: 0,
        }
    }

    /// The user who registered it, and the organisation that it belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner::of_record(self.owner, self.organisation)
    }
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
        self.0.put(item(node)?, Condition::Always).await
    }

    /// Stores `node` in place of the record that it was made of.
    ///
    /// # Errors
    /// `Conflict` if the node was changed or deleted meanwhile.
    pub async fn change(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let unchanged = Condition::NumberAtMost("revision", node.revision);
        let changed = NodeRecord { revision: node.revision + 1, ..node.clone() };
        self.0.put(item(&changed)?, Condition::All(vec![Condition::Exists, unchanged])).await
    }

    /// Deletes a node's record, without which no request of the node is accepted.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete_record(&self, id: NodeId) -> Result<(), StoreError> {
        self.0.delete(key(id)).await
    }

    /// Deletes a node, with its state and what is assigned to it. A repetition deletes what is left.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn delete(&self, id: NodeId) -> Result<(), StoreError> {
        self.delete_record(id).await?;
        let items = self.0.query(Query::partition(key(id).pk, Sort::All)).await?;
        let deletions = items.into_iter().map(|item| Write::Delete(item.key, Condition::Always));
        self.0.write_in_order(deletions.collect()).await
    }

    /// The node with this id.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: NodeId) -> Result<Option<NodeRecord>, StoreError> {
        self.0.get(&key(id)).await
    }

    /// An organisation's nodes, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, organisation: OrganisationId) -> Result<Vec<NodeRecord>, StoreError> {
        let query = Query::of(Index::Gsi1, partition(organisation), Sort::All);
        self.0.query(query).await?.iter().map(Item::read).collect()
    }
}

/// The item of a record.
pub(crate) fn item(node: &NodeRecord) -> Result<Item, StoreError> {
    let item = Item::new(key(node.id), VERSION, node)?;
    Ok(item.in_gsi1(partition(node.owner().organisation), node.id.to_string()))
}

/// A write that changes nothing and fails without the node, for a transaction.
pub(crate) fn while_it_exists(node: NodeId) -> Write {
    let update = Update { add: vec![("revision", 0)], ..Update::default() };
    Write::Update(key(node), update, Condition::Always)
}

/// The nodes' own partition of the index: a function's role allows whole partitions. It has the organisation's id with the
/// prefix of a user's: the operator's organisation has the operator's id, whose nodes were under it before there were
/// organisations.
fn partition(organisation: OrganisationId) -> String {
    format!("NODES#{}", organisation.with_prefix_of_users())
}

fn key(id: NodeId) -> Key {
    Key::new(format!("NODE#{id}"), META)
}
