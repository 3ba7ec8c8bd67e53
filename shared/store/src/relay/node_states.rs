//! The state of a node: when it was last heard of, and its models.

use hearth_domain::{NodeEnergy, NodeId, NodeTransport, Timestamp};
use hearth_wire::node::NodeStatus;
use serde::{Deserialize, Serialize};

use super::{RelayItems, node_pk};
use crate::{
    StoreError,
    database::{Condition, Created, Item, Key, Update, Write},
    nodes,
};

const STATE: &str = "STATE";
const STATE_VERSION: u32 = 1;
const STATUS: &str = "STATUS";
const STATUS_VERSION: u32 = 1;
/// zstd's default level.
const COMPRESSION_LEVEL: i32 = 3;
/// Bytes of a decompressed status. Larger ones are never written.
const STATUS_MAX_BYTES: usize = 8 << 20;
/// Bytes of a compressed status: an item of DynamoDB has at most 400 KiB.
const STATUS_PACKED_MAX_BYTES: usize = 350 << 10;

/// A node's state, by its reports, its socket and the gateway's probes. A field that was never written has its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// When it was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// The time up to which it counts as alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// Version of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Milliseconds by which its clock is ahead of the gateway's; negative if it is behind.
    #[serde(default)]
    pub clock_skew_ms: i64,
    /// Runs at a time that it takes; none for no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_max_count: Option<u32>,
    /// The last error of its link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Power and price by its own settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<NodeEnergy>,
    /// Address of its network card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// The transport that the gateway has chosen, by its last probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<NodeTransport>,
    /// The reason of that choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport_reason: Option<String>,
    /// When it was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed_at: Option<Timestamp>,
    /// Id of its socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

impl NodeState {
    /// True if the node counts as alive at `now`.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.lease_until.is_some_and(|until| now < until)
    }
}

/// The part of a node's state that its report contains.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSighting {
    /// When the report came.
    pub seen_at: Timestamp,
    /// The time up to which the node counts as alive.
    pub lease_until: Timestamp,
    /// Version of its program.
    pub version: String,
    /// Milliseconds by which its clock is ahead.
    pub clock_skew_ms: i64,
    /// Runs at a time that it takes.
    pub runs_max_count: Option<u32>,
    /// The last error of its link.
    pub last_error: Option<String>,
    /// Power and price by its own settings.
    pub energy: Option<NodeEnergy>,
    /// Address of its network card.
    pub mac: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StatusFields {
    plain_bytes: usize,
}

impl RelayItems<'_> {
    /// A node's state; none if it was never heard of.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn state(&self, node: NodeId) -> Result<Option<NodeState>, StoreError> {
        self.table.get(&state_key(node)).await
    }

    /// Records a report of a node.
    ///
    /// # Errors
    /// `Conflict` if there is no such node; else if the table can't be written.
    pub async fn record_report(&self, node: NodeId, report: &NodeSighting) -> Result<(), StoreError> {
        let mut update = sighting(report.seen_at, report.lease_until);
        update.set.push(("version", report.version.clone().into()));
        update.set.push(("clock_skew_ms", report.clock_skew_ms.into()));
        let energy = report.energy.map(|energy| serde_json::to_value(energy).map_err(StoreError::unreadable));
        let optional = [
            ("runs_max_count", report.runs_max_count.map(Into::into)),
            ("last_error", report.last_error.clone().map(Into::into)),
            ("energy", energy.transpose()?),
            ("mac", report.mac.clone().map(Into::into)),
        ];
        for (field, value) in optional {
            match value {
                Some(value) => update.set.push((field, value)),
                None => update.remove.push(field),
            }
        }
        self.change_state(node, update).await
    }

    /// Records that a node was heard of, and is alive until `lease_until`.
    ///
    /// # Errors
    /// `Conflict` if there is no such node; else if the table can't be written.
    pub async fn record_sighting(
        &self,
        node: NodeId,
        seen_at: Timestamp,
        lease_until: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_state(node, sighting(seen_at, lease_until)).await
    }

    /// Ends a node's lease, unless the node was heard of after `seen_at`.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn end_node_lease(&self, node: NodeId, seen_at: Timestamp) -> Result<(), StoreError> {
        let update = Update { remove: vec!["lease_until"], ..Update::default() };
        self.change_unheard(node, seen_at, update).await
    }

    /// Ends a node's lease at `until`, unless the node was heard of after `seen_at`.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn shorten_node_lease(
        &self,
        node: NodeId,
        seen_at: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let set = vec![("lease_until", until.to_string().into())];
        self.change_unheard(node, seen_at, Update { set, ..Update::default() }).await
    }

    /// Records the transport that the gateway has chosen for a node.
    ///
    /// # Errors
    /// `Conflict` if there is no such node; else if the table can't be written.
    pub async fn set_transport(
        &self,
        node: NodeId,
        transport: NodeTransport,
        reason: &str,
    ) -> Result<(), StoreError> {
        let set = vec![
            ("transport", transport.as_str().into()),
            ("transport_reason", reason.into()),
            ("probed_at", Timestamp::now().to_string().into()),
        ];
        self.change_state(node, Update { set, ..Update::default() }).await
    }

    /// Records the socket of a node.
    ///
    /// # Errors
    /// `Conflict` if there is no such node; else if the table can't be written.
    pub async fn set_socket(&self, node: NodeId, socket: &str) -> Result<(), StoreError> {
        let set = vec![("socket", socket.into())];
        self.change_state(node, Update { set, ..Update::default() }).await
    }

    /// Removes the socket of a node, unless it has another one.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn remove_socket(&self, node: NodeId, socket: &str) -> Result<(), StoreError> {
        let update = Update { remove: vec!["socket"], ..Update::default() };
        let same = Condition::AttributeEquals("socket", socket.to_owned());
        match self.table.0.write(Write::Update(state_key(node), update, same)).await {
            Err(StoreError::Conflict) => Ok(()),
            result => result,
        }
    }

    /// Stores a node's models, backends and storage. Record the report after it: a `Conflict` there says that the node has
    /// ended, and [`RelayItems::forget_node`] then deletes this. Returns false if they are too large to be stored.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put_status(&self, node: NodeId, status: &NodeStatus) -> Result<bool, StoreError> {
        let json = serde_json::to_vec(status).map_err(StoreError::unreadable)?;
        if json.len() > STATUS_MAX_BYTES {
            return Ok(false);
        }
        let packed = zstd::bulk::compress(&json, COMPRESSION_LEVEL).map_err(StoreError::unreadable)?;
        if packed.len() > STATUS_PACKED_MAX_BYTES {
            return Ok(false);
        }
        let fields = StatusFields { plain_bytes: json.len() };
        let item = Item::new(status_key(node), STATUS_VERSION, &fields)?.with_bytes(packed);
        self.table.put(item, Condition::Always).await.map(|()| true)
    }

    /// A node's models, backends and storage, as it has last reported them.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn status(&self, node: NodeId) -> Result<Option<NodeStatus>, StoreError> {
        let Some(item) = self.table.get_item(&status_key(node)).await? else { return Ok(None) };
        let StatusFields { plain_bytes } = item.read()?;
        let packed = item.bytes.unwrap_or_default();
        let json = zstd::bulk::decompress(&packed, plain_bytes.min(STATUS_MAX_BYTES));
        let json = json.map_err(StoreError::unreadable)?;
        serde_json::from_slice(&json).map(Some).map_err(StoreError::unreadable)
    }

    /// Deletes the state and the status of a node.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn forget_node(&self, node: NodeId) -> Result<(), StoreError> {
        // In this order: a status that is written after its deletion belongs to a report that finds no state.
        self.table.delete(state_key(node)).await?;
        self.table.delete(status_key(node)).await
    }

    /// Changes the state of a node that wasn't heard of after `seen_at`.
    async fn change_unheard(
        &self,
        node: NodeId,
        seen_at: Timestamp,
        update: Update,
    ) -> Result<(), StoreError> {
        let unheard = Condition::AttributeEquals("seen_at", seen_at.to_string());
        match self.table.0.write(Write::Update(state_key(node), update, unheard)).await {
            Err(StoreError::Conflict) => Ok(()),
            result => result,
        }
    }

    /// Changes the state, which the first write creates, if the node exists. A write after the node's end creates nothing,
    /// and the later writes of a node cost no transaction.
    async fn change_state(&self, node: NodeId, update: Update) -> Result<(), StoreError> {
        match self.table.update(state_key(node), update.clone()).await {
            Err(StoreError::Conflict) => {}
            result => return result,
        }
        let created = Update { create: Some(Created { version: STATE_VERSION, ttl: None }), ..update };
        let state = Write::Update(state_key(node), created, Condition::Always);
        self.table.transact(vec![nodes::while_it_exists(node), state]).await
    }
}

fn sighting(seen_at: Timestamp, lease_until: Timestamp) -> Update {
    let set = vec![("seen_at", seen_at.to_string().into()), ("lease_until", lease_until.to_string().into())];
    Update { set, ..Update::default() }
}

fn state_key(node: NodeId) -> Key {
    Key::new(node_pk(node), STATE)
}

fn status_key(node: NodeId) -> Key {
    Key::new(node_pk(node), STATUS)
}
