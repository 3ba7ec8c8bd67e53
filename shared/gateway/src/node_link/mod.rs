//! The gateway's side of the requests that nodes send.
//!
//! - `authentication`: the node that has signed a request.
//! - `leases`: the time for which a node counts as alive after a request; `presence`: the events of its beginning and end.
//! - `energy`: the bounds of the energy that a node states.

mod authentication;
mod energy;
mod leases;
mod presence;

pub(crate) use authentication::unknown_node;
pub use authentication::{ClaimedNode, NodeAuthentication};
pub(crate) use energy::check_energy;
pub(crate) use leases::NodeLeases;
pub(crate) use presence::NodePresence;
