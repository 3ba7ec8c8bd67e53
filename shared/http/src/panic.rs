//! Responses to requests whose handler panicked or was aborted.

use std::any::Any;

use axum::response::{IntoResponse as _, Response};
use hearth_wire::{ApiError, ErrorCode};

use crate::error::HttpError;

/// Creates the response to a request whose handler panicked: 500. The panic's message is in the log only.
pub(crate) fn response(panic: &(dyn Any + Send)) -> Response {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text, "a handler panicked");
    HttpError(ApiError::new(ErrorCode::Internal, "the gateway failed; its log has the reason"))
        .into_response()
}

/// Creates the response to a request that the shutdown aborted: 503.
pub(crate) fn stopping() -> Response {
    HttpError(ApiError::new(ErrorCode::Overloaded, "the gateway is stopping; try again shortly"))
        .into_response()
}
