//! Errors of answers that can't be read, or that end too early.

use std::fmt::Display;

use hearth_wire::{ApiError, ErrorCode};

/// Maximum length of an unknown finish reason in an error message, in characters.
const FINISH_REASON_MAX_CHARS: usize = 60;

/// The error for an answer that breaks the rules of its dialect or framing.
pub(crate) fn unreadable(problem: impl Display) -> ApiError {
    ApiError::new(ErrorCode::ProviderError, format!("the provider's answer can't be read: {problem}"))
}

/// The error for a finish reason that no table has: such an answer may be truncated, so it is no success.
pub(crate) fn unknown_finish_reason(reason: &str) -> ApiError {
    let shown: String = reason.chars().take(FINISH_REASON_MAX_CHARS).collect();
    let message = format!("the provider ended the answer with the unknown finish reason {shown:?}");
    ApiError::new(ErrorCode::ProviderError, message)
}

/// The error for a stream that ended before the answer was complete.
pub(crate) fn broken_off() -> ApiError {
    ApiError::new(ErrorCode::ProviderError, "the provider's stream broke off before the end of the answer")
}
