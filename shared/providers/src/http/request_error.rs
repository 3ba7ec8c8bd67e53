//! Errors of requests without a response, and of responses that take too long.

use hearth_wire::{ApiError, ErrorCode};

use crate::{transport::SendError, transport_error};

/// The error for an exceeded timeout; `problem` follows the provider's name.
pub(super) fn timed_out(provider: &str, problem: &str) -> ApiError {
    ApiError::new(ErrorCode::ProviderTimeout, format!("the provider {provider} {problem}"))
}

/// The error for a request without a response. It shows the innermost cause, which has no address.
pub(super) fn unreachable(provider: &str, error: &SendError) -> ApiError {
    let reason = transport_error::reason(&**error);
    tracing::warn!(provider, reason, "a provider can't be reached");
    let code = if transport_error::is_timeout(&**error) {
        ErrorCode::ProviderTimeout
    } else {
        ErrorCode::ProviderError
    };
    ApiError::new(code, format!("the provider {provider} can't be reached: {reason}"))
}
