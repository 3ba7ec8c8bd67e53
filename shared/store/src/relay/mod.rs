//! The relay's items: the state of each node, the runs that are assigned to it, the events that it posts, and calls.
//!
//! A run's assignment has a fencing token, which each claim raises, and its events lie under that token. A batch of a claim that
//! was replaced is therefore never read, even if its write comes late. A batch lies under the seq of its *last* event: a batch
//! may be written if the one before it is there, and a batch that is written twice is the same item.
//!
//! The list of a node's open runs and calls is its own partition, so that one query reads its orders. An entry there is deleted
//! when its run has ended.

mod assignments;
mod calls;
mod events;
mod node_states;

use hearth_domain::{NodeCallId, NodeId, RunId};

use crate::{Store, Table, bucket::Bucket, database::Key};

pub use assignments::{Assignment, AssignmentEnd, AssignmentState, OpenRun};
pub use calls::StoredCall;
pub use events::RelayBatch;
pub use node_states::{NodeSighting, NodeState};

/// The relay's items.
#[derive(Debug, Clone, Copy)]
pub struct RelayItems<'a> {
    table: &'a Table,
    bucket: &'a dyn Bucket,
}

impl Store {
    /// The states of nodes, and the runs and calls that they fetch.
    #[must_use]
    pub fn relay(&self) -> RelayItems<'_> {
        RelayItems { table: &self.table, bucket: &*self.bucket }
    }
}

/// The partition of a node.
fn node_pk(node: NodeId) -> String {
    format!("NODE#{node}")
}

/// The entry of an open run in its node's partition.
fn open_run_key(node: NodeId, run: RunId) -> Key {
    Key::new(node_pk(node), format!("RUN#{run}"))
}

/// The entry of a call in its node's partition.
fn call_key(node: NodeId, call: NodeCallId) -> Key {
    Key::new(node_pk(node), format!("CALL#{call}"))
}

/// The partition of a run at a node: another node may get the run after this one.
fn run_pk(node: NodeId, run: RunId) -> String {
    format!("RELAY#{node}#{run}")
}
