//! The store's errors.

use std::fmt;

/// An error of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The item isn't in the state that the write needs: it exists, doesn't, or has ended.
    #[error("the item has changed meanwhile")]
    Conflict,
    /// The service can't be reached, refused, or failed.
    #[error("{operation} failed: {reason}")]
    Unavailable {
        /// The operation.
        operation: &'static str,
        /// The service's words.
        reason: String,
    },
    /// The home stores can't read or write their files.
    #[error("{operation} failed: {reason}; {problem}")]
    Disk {
        /// The operation.
        operation: &'static str,
        /// The system's words.
        reason: String,
        /// The kind of failure, which shows what to do.
        problem: DiskProblem,
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

/// A failure of the files of the home stores. Displayed as what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskProblem {
    /// No room is left.
    Full,
    /// The folder or the file takes no writes.
    ReadOnly,
    /// Another program holds the database's lock.
    Locked,
    /// The file isn't a database, or is damaged.
    Damaged,
    /// The disk fails.
    Failing,
}

impl DiskProblem {
    /// A word for it, as `GET /ready` shows it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "disk full",
            Self::ReadOnly => "read-only",
            Self::Locked => "locked",
            Self::Damaged => "damaged",
            Self::Failing => "disk failing",
        }
    }
}

impl fmt::Display for DiskProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "make room on the disk of the data folder",
            Self::ReadOnly => "give the data folder, and the files in it, to the user that runs hearth",
            Self::Locked => "another program has the database open and locks it; close that program",
            Self::Damaged => {
                "the database is damaged, or no SQLite database; put a copy of store.db back, together with the \
                 store.db-wal of the same copy, or move both away: then an empty one is made, with a new first token"
            }
            Self::Failing => "look whether the disk of the data folder is failing",
        })
    }
}

impl StoreError {
    /// Whether the disk of the home stores has no room left.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.disk_problem() == Some(DiskProblem::Full)
    }

    /// The failure of the home stores' files, if it is one.
    #[must_use]
    pub fn disk_problem(&self) -> Option<DiskProblem> {
        match self {
            Self::Disk { problem, .. } => Some(*problem),
            _ => None,
        }
    }

    pub(crate) fn unreadable(error: impl fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }

    /// A failure to read or write a file.
    #[cfg(feature = "home")]
    pub(crate) fn from_io(operation: &'static str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let reason = error.to_string();
        let problem = match error.kind() {
            StorageFull | QuotaExceeded => DiskProblem::Full,
            PermissionDenied | ReadOnlyFilesystem => DiskProblem::ReadOnly,
            _ => return Self::Unavailable { operation, reason },
        };
        Self::Disk { operation, reason, problem }
    }
}
