//! Fields that a request must have although their Rust type is optional: which fields are required depends on the
//! `type` of the item, part or block around them.

use std::fmt;

use crate::ApiError;

/// Returns the value of the field `name` below `param`.
///
/// # Errors
/// `invalid_request`, naming the field, if it is missing.
pub(crate) fn required<T>(value: Option<T>, param: impl fmt::Display, name: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| missing(format!("{param}.{name}")))
}

/// The error for the field `param`, which is missing.
pub(crate) fn missing(param: String) -> ApiError {
    let message = format!("{param} is missing");
    ApiError::invalid(param, message)
}
