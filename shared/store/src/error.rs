//! What can go wrong.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The item isn't in the state that the write needs: it exists, doesn't, or has ended.
    #[error("the item has changed meanwhile")]
    Conflict,
    /// The service can't be reached, refused, or failed.
    #[error("{operation} failed: {reason}")]
    Unavailable {
        /// The service's operation.
        operation: &'static str,
        /// What it said.
        reason: String,
    },
    /// An item that this version can't read.
    #[error("an item can't be read: {0}")]
    Unreadable(String),
    /// The table was made by a newer version.
    #[error(
        "the data was written by a newer version (schema {found}, this one knows {known}); use that version"
    )]
    Newer {
        /// The table's version.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
}

impl StoreError {
    /// Whether the disk of the embedded stores has no room left: SQLite and the object files say so in words alone.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let Self::Unavailable { reason, .. } = self else { return false };
        ["disk is full", "No space left"].iter().any(|words| reason.contains(words))
    }

    /// An error of the SDK: a failed condition, or the reason in words. The SDK's `Display` hides the
    /// reason in its sources.
    pub(crate) fn unavailable<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
        if code == "ConditionalCheckFailedException" {
            return Self::Conflict;
        }
        let mut reason = error.to_string();
        // An error that the SDK has no type for shows its code alone.
        let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
        let mut source = error.source();
        while let Some(error) = source {
            reason = format!("{reason}: {error}");
            source = error.source();
        }
        if let Some(message) = message.filter(|message| !reason.contains(message)) {
            reason = format!("{reason}: {message}");
        }
        Self::Unavailable { operation, reason }
    }
}

impl From<serde_dynamo::Error> for StoreError {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_told_from_other_failures() {
        let failed =
            |reason: &str| StoreError::Unavailable { operation: "put_item", reason: reason.to_owned() };
        assert!(failed("service error: backend: database or disk is full").is_disk_full());
        assert!(failed("unhandled error (InternalError): the disk is full").is_disk_full());
        assert!(!failed("dispatch failure").is_disk_full() && !StoreError::Conflict.is_disk_full());
    }
}
