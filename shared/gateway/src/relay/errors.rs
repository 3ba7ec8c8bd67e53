//! Errors of the relay.

use hearth_domain::NodeId;
use hearth_wire::{ApiError, ErrorCode};

/// The error for a node that isn't alive, or doesn't come for its work.
pub(super) fn offline(node: NodeId, problem: &str) -> ApiError {
    let message = format!("the node that has the model can't be reached: {problem}; is it running?");
    ApiError::new(ErrorCode::NodeOffline, message).with("node", node.to_string())
}

/// The error for a node that goes away in the middle of a run.
pub(super) fn lost(problem: &str) -> ApiError {
    ApiError::new(ErrorCode::NodeLost, format!("the node was lost in the middle of the run: {problem}"))
}

/// The error for a run that isn't assigned to the node.
pub(super) fn no_such_run() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "this node has no such run; ask for the orders again")
}

/// The error for a node whose claim isn't valid.
pub(super) fn fenced_off(reason: &str) -> ApiError {
    ApiError::new(ErrorCode::Conflict, format!("{reason}; stop the run"))
}
