//! Errors of opening the stores of a data folder.

use std::{io, path::PathBuf};

use crate::{StoreError, key_wrapper::master_key::MasterKeyError};

/// A reason why the stores can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder open.
    #[error(
        "the data folder {0} is in use by another hearth; stop that one, or choose another folder with --data"
    )]
    InUse(PathBuf),
    /// The folder can't be created or written.
    #[error("the data folder {path} can't be written: {reason}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The reason.
        #[source]
        reason: io::Error,
    },
    /// The master key can't be used.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The file of secrets can't be read.
    #[error(
        "the secrets in {path} can't be read: {reason}; put a copy of the file back, or move it away: then a new one is \
         created, and the providers' keys must be set again"
    )]
    Secrets {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The database of an earlier version can't be migrated.
    #[error(
        "the database {path} of an earlier version can't be migrated: {reason}; it is unchanged. Put a copy of it back, \
         or move it away: then an empty database is created, with a new first token"
    )]
    Earlier {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The database can't be opened.
    #[error("the database {path} can't be opened: {reason}")]
    Database {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: StoreError,
    },
}
