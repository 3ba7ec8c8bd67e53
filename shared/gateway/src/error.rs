//! From inner errors to the API's: the reason goes to the log, the client learns what it can act on.

use std::fmt::Display;

use hearth_store::StoreError;
use hearth_wire::{ApiError, ErrorCode};

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn store(error: StoreError) -> ApiError {
    tracing::error!(%error, "the store failed");
    let message = match error.disk_problem() {
        Some(problem) => format!(
            "the gateway's store can't be read or written ({}); its operator must help",
            problem.as_str()
        ),
        None => "the gateway's store can't be read or written; try again, then look at its log".to_owned(),
    };
    ApiError::new(ErrorCode::Internal, message)
}

pub(crate) fn internal(error: &dyn Display) -> ApiError {
    tracing::error!(%error, "the gateway failed");
    ApiError::new(ErrorCode::Internal, "the gateway failed; its log says why")
}

/// The error of a request whose run must be found later, and can't be stored.
pub(crate) fn not_recorded() -> ApiError {
    ApiError::new(
        ErrorCode::Internal,
        "the run can't be recorded, and could not be found later; GET /ready says why",
    )
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn no_conversation(error: StoreError) -> ApiError {
    tracing::error!(%error, "a conversation can't be stored");
    let message = "the answer is complete, and GET /v1/requests/{id} has it, but the conversation can't be stored for a \
                   next request; send the request again, or with store: false";
    ApiError::new(ErrorCode::Internal, message)
}

/// What somebody else's conversation is told as, and one that was never kept.
pub(crate) fn no_such_response() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no stored response with this id")
}

/// What somebody else's run is told as: it isn't there.
pub(crate) fn no_such_request() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no request with this id")
}
