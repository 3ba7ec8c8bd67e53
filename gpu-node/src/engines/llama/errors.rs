//! Errors that several parts of the engine report for a run.

use hearth_domain::RunId;
use hearth_wire::{ApiError, ErrorCode};

/// An error of the engine itself; it is logged with the run's id.
pub(super) fn engine_failure(run: RunId, reason: &str) -> ApiError {
    tracing::error!(%run, reason, "the engine failed a run");
    ApiError::new(ErrorCode::ProviderError, format!("the model's engine failed: {reason}"))
}

/// A conversation that makes no prompt.
pub(super) fn invalid_prompt(message: impl Into<String>) -> ApiError {
    ApiError::invalid("messages", message)
}
