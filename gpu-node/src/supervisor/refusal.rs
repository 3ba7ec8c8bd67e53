//! What a gateway is told when the node refuses.

use hearth_wire::{ApiError, ErrorCode};

use crate::scheduler::Refusal;

/// A model's file can't be loaded.
pub(super) fn load_failed(model: &str, reason: &str) -> ApiError {
    ApiError::new(ErrorCode::ModelLoadFailed, format!("the model {model:?} can't be loaded: {reason}"))
        .at("model")
}

/// The scheduler has no place for it.
pub(super) fn refused(model: &str, refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::QueueFull => {
            ApiError::new(ErrorCode::QueueFull, format!("the queue of {model:?} is full; try again later"))
        }
        Refusal::NoRoom(holders) => {
            let message = format!("there is no room for {model:?}: {} stay in memory", holders.join(", "));
            ApiError::new(ErrorCode::NoModelAvailable, message).with("holding", holders.clone())
        }
        Refusal::InUse => {
            let message = format!("{model:?} has requests; wait for them or cancel them");
            ApiError::new(ErrorCode::Conflict, message).at("model")
        }
    }
}
