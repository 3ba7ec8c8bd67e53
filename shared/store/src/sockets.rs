//! The open sockets of nodes and clients: read by the socket's id, and listed by owner.
//!
//! A socket that closes without a notice leaves its record until the record expires, so a record is no proof that the socket is
//! open.

use hearth_domain::{NodeId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, META, Query, Sort, Write},
};

const VERSION: u32 = 1;
/// Seconds for which a record is stored: longer than any socket is open.
const TTL_SECONDS: i64 = 130 * 60;

/// Owner of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketOwner {
    /// A node.
    Node(NodeId),
    /// A user.
    User(UserId),
}

/// An open socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketRecord {
    /// Its id: of API Gateway, or of the process that has it.
    pub id: String,
    /// Its owner.
    pub owner: SocketOwner,
    /// When it was opened.
    pub connected_at: Timestamp,
}

/// The open sockets.
#[derive(Debug, Clone, Copy)]
pub struct Sockets<'a>(&'a Table);

impl Store {
    /// The open sockets.
    #[must_use]
    pub fn sockets(&self) -> Sockets<'_> {
        Sockets(&self.table)
    }
}

impl Sockets<'_> {
    /// Stores an open socket.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put(&self, socket: &SocketRecord) -> Result<(), StoreError> {
        let ttl = socket.connected_at.unix().saturating_add(TTL_SECONDS);
        let item = |key| Ok::<_, StoreError>(Item::new(key, VERSION, socket)?.expiring(ttl));
        let (own, listed) = (item(key(&socket.id))?, item(list_key(socket.owner, &socket.id))?);
        let writes = vec![Write::Put(own, Condition::Always), Write::Put(listed, Condition::Always)];
        self.0.0.write_in_order(writes).await
    }

    /// The socket with this id.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: &str) -> Result<Option<SocketRecord>, StoreError> {
        let socket: Option<SocketRecord> = self.0.get(&key(id)).await?;
        Ok(socket.filter(SocketRecord::is_current))
    }

    /// An owner's sockets.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, owner: SocketOwner) -> Result<Vec<SocketRecord>, StoreError> {
        let items = self.0.query(Query::partition(partition(owner), Sort::All)).await?;
        let sockets: Vec<SocketRecord> = items.iter().map(Item::read).collect::<Result<_, _>>()?;
        Ok(sockets.into_iter().filter(SocketRecord::is_current).collect())
    }

    /// Removes a socket that has closed.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn remove(&self, socket: &SocketRecord) -> Result<(), StoreError> {
        let listed = Write::Delete(list_key(socket.owner, &socket.id), Condition::Always);
        self.0.0.write_in_order(vec![listed, Write::Delete(key(&socket.id), Condition::Always)]).await
    }
}

impl SocketRecord {
    /// False if it has expired: the table deletes it some time later.
    fn is_current(&self) -> bool {
        Timestamp::now().unix() < self.connected_at.unix().saturating_add(TTL_SECONDS)
    }
}

fn key(id: &str) -> Key {
    Key::new(format!("SOCKET#{id}"), META)
}

fn list_key(owner: SocketOwner, id: &str) -> Key {
    Key::new(partition(owner), id)
}

fn partition(owner: SocketOwner) -> String {
    match owner {
        SocketOwner::Node(id) => format!("SOCKETS#{id}"),
        SocketOwner::User(id) => format!("SOCKETS#{id}"),
    }
}
