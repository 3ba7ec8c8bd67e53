//! DynamoDB's errors as the store's.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::{StoreError, clients::failed};

/// Converts an error of the SDK: `Conflict` if a write's condition didn't hold, else `Unavailable` with the reason.
pub(super) fn store_error<E, R>(operation: &'static str, error: &SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match code {
        Some("ConditionalCheckFailedException") => StoreError::Conflict,
        _ => failed(operation, error),
    }
}
