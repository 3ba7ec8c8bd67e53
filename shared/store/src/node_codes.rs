//! Codes by which a node is enrolled once. A code is stored as its hash.
//!
//! A code is used once: the transaction that stores the node's record deletes it.

use hearth_domain::{OrganisationId, Owner, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, META, Write},
    nodes::{self, NodeRecord},
};

const VERSION: u32 = 1;

/// A code's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCodeRecord {
    /// SHA-256 of the code, hexadecimal.
    pub hash: String,
    /// The user who made it, and who will own the node.
    pub owner: UserId,
    /// The organisation of the node.
    pub organisation: OrganisationId,
    /// The node's name, if the maker chose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl NodeCodeRecord {
    /// The user who made it, and the organisation.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { user: self.owner, organisation: self.organisation }
    }
}

/// The codes.
#[derive(Debug, Clone, Copy)]
pub struct NodeCodes<'a>(&'a Table);

impl Store {
    /// Codes by which a node is enrolled once.
    #[must_use]
    pub fn node_codes(&self) -> NodeCodes<'_> {
        NodeCodes(&self.table)
    }
}

impl NodeCodes<'_> {
    /// Stores a new code.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn create(&self, code: &NodeCodeRecord) -> Result<(), StoreError> {
        let item = Item::new(key(&code.hash), VERSION, code)?;
        self.0.put(item.expiring(code.expires_at.unix()), Condition::Absent).await
    }

    /// The code with this hash, if it can still be used.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn by_hash(&self, hash: &str) -> Result<Option<NodeCodeRecord>, StoreError> {
        let code = self.0.get::<NodeCodeRecord>(&key(hash)).await?;
        // The database deletes expired items late.
        Ok(code.filter(|code| Timestamp::now() < code.expires_at))
    }

    /// Uses a code: deletes it, and stores the new node. Both or nothing.
    ///
    /// # Errors
    /// `Conflict` if the code is used, or there is a node with this id.
    pub async fn redeem(&self, code: &NodeCodeRecord, node: &NodeRecord) -> Result<(), StoreError> {
        let writes = vec![
            Write::Delete(key(&code.hash), Condition::Exists),
            Write::Put(nodes::item(node)?, Condition::Absent),
        ];
        self.0.transact(writes).await
    }
}

fn key(hash: &str) -> Key {
    Key::new(format!("NODECODE#{hash}"), META)
}
