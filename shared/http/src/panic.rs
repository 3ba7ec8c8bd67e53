//! What a client is answered when its handler has panicked.

use std::any::Any;

use axum::response::{IntoResponse as _, Response};
use hearth_wire::{ApiError, ErrorCode};

use crate::HttpError;

/// 500. The panic itself is in the log, and not in the answer.
pub(crate) fn response(panic: &(dyn Any + Send)) -> Response {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text, "a handler panicked");
    HttpError(ApiError::new(ErrorCode::Internal, "the gateway failed; its log says why")).into_response()
}

/// The answer to a request that the end of the process cut off.
pub(crate) fn stopping() -> Response {
    HttpError(ApiError::new(ErrorCode::Overloaded, "the gateway is stopping; try again shortly"))
        .into_response()
}
