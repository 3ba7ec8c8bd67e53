//! Errors of runs that end for the gateway's own reasons.

use hearth_domain::RunId;
use hearth_wire::{ApiError, ErrorCode};

/// The error of a run whose driver has panicked.
pub(crate) fn driver_died() -> ApiError {
    let message =
        "the gateway failed in the middle of the run; send the request again, and report this if it stays";
    ApiError::new(ErrorCode::Internal, message)
}

/// The error of a run that is cut short since the gateway is being stopped.
pub(super) fn gateway_stopped() -> ApiError {
    let message = "the gateway was stopped in the middle of the run; its record has the answer up to there. Send the request again";
    ApiError::new(ErrorCode::GatewayStopped, message)
}

/// The error of a run whose process is gone, and has written no end of it.
pub(crate) fn gateway_killed() -> ApiError {
    let message = "the gateway's process was killed, or lost its power, in the middle of the run; the record has the answer up \
                   to there. Send the request again for a whole one";
    ApiError::new(ErrorCode::GatewayStopped, message)
}

/// The error for the client of a run that goes on at its node while the gateway restarts.
pub(super) fn goes_on_elsewhere(run: RunId) -> ApiError {
    let message = format!(
        "the gateway is being restarted; the run goes on at its node, and GET /v1/requests/{run}/events has the answer then"
    );
    ApiError::new(ErrorCode::GatewayStopped, message)
}

/// The error of a run that reaches the time limit of its process.
pub(super) fn time_limit_reached() -> ApiError {
    let message = "the run has reached the time limit of its process, which is 15 minutes on Lambda, and was stopped; its record \
                   has the answer up to there. Ask for a shorter answer, or send the long request to a gateway without the limit";
    ApiError::new(ErrorCode::RunTimeout, message)
}

/// The error of a run that its node hasn't begun at the end of the time that it may wait.
pub(super) fn not_begun_in_time() -> ApiError {
    let message =
        "the node hadn't begun the run: it didn't fetch it, had it in its queue, or was loading the model";
    ApiError::new(ErrorCode::DeadlineExceeded, message)
}

/// The error of a request that comes while the gateway is being stopped.
pub(super) fn is_stopping() -> ApiError {
    ApiError::new(
        ErrorCode::Overloaded,
        "the gateway is being stopped, and takes no more requests; try again",
    )
}

/// The error of a request without a candidate.
pub(super) fn no_candidate() -> ApiError {
    ApiError::new(ErrorCode::NoModelAvailable, "no model can serve the request")
}
