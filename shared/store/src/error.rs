//! The store's errors.

use std::fmt;

use crate::quota::QuotaExcess;

/// An error of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The write's condition doesn't hold: the item exists, is missing, or has ended.
    #[error("the item has changed meanwhile")]
    Conflict,
    /// The service can't be reached, or returned an error.
    #[error("{operation} failed: {reason}")]
    Unavailable {
        /// The operation.
        operation: &'static str,
        /// The service's message.
        reason: String,
    },
    /// The home stores can't read or write their files.
    #[error("{operation} failed: {reason}; {problem}")]
    Disk {
        /// The operation.
        operation: &'static str,
        /// The system's message.
        reason: String,
        /// The kind of failure, which shows what to do.
        problem: DiskProblem,
    },
    /// The object of an item isn't in the bucket any more.
    #[error("the object {0} is deleted")]
    Gone(String),
    /// A quota doesn't allow the write.
    #[error("the quota of {:?} is reached", .0.kind)]
    OverQuota(Box<QuotaExcess>),
    /// An item that this version can't read.
    #[error("an item can't be read: {0}")]
    Unreadable(String),
    /// A sealed secret that can't be opened, or a secret that can't be sealed.
    #[error("a sealed secret can't be used: {0}")]
    Unsealable(String),
    /// An import into the store was interrupted: this is the id of the export.
    #[error(
        "an import into this store was interrupted, so it has a part of the data only (export {0}); repeat \
         `hearth import FILE` with the same file, and with the same --data, or --table and --bucket"
    )]
    UnfinishedImport(String),
    /// The table doesn't exist in the region of the AWS environment.
    #[error(
        "there is no DynamoDB table {table} in the region {region}; check the name, an output of the stack, AWS_REGION and \
         AWS_PROFILE"
    )]
    NoTable {
        /// The name.
        table: String,
        /// The region.
        region: String,
    },
    /// The table was created by a newer version.
    #[error(
        "the data was written by a newer version (schema {found}; this version reads up to {known}); use that version"
    )]
    Newer {
        /// The table's version.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
}

/// A failure of the files of the home stores. Its `Display` is advice to the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskProblem {
    /// No room is left.
    Full,
    /// The folder or the file can't be written.
    ReadOnly,
    /// Another program holds the database's lock.
    Locked,
    /// The file isn't a database, or is damaged.
    Damaged,
    /// The disk fails.
    Failing,
    /// The process, or the system, has too many files open.
    TooManyFiles,
}

impl DiskProblem {
    /// All problems.
    pub const ALL: [Self; 6] =
        [Self::Full, Self::ReadOnly, Self::Locked, Self::Damaged, Self::Failing, Self::TooManyFiles];

    /// Parses a problem's name, as [`DiskProblem::as_str`] returns it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|problem| problem.as_str() == name)
    }

    /// The problem's name, as `GET /ready` shows it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "disk full",
            Self::ReadOnly => "read-only",
            Self::Locked => "locked",
            Self::Damaged => "damaged",
            Self::Failing => "disk failing",
            Self::TooManyFiles => "too many open files",
        }
    }
}

impl fmt::Display for DiskProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "make room on the disk of the data folder",
            Self::ReadOnly => "give the data folder, and the files in it, to the user that runs hearth",
            Self::Locked => "another program has locked the database; close that program",
            Self::Damaged => {
                "the database is damaged, or no SQLite database; put a copy of store.db back, together with the \
                 store.db-wal of the same copy, or move both away: then an empty database is created, with a new first token"
            }
            Self::Failing => "check whether the disk of the data folder is failing",
            Self::TooManyFiles => {
                "raise the limit of open files of the process that runs hearth (`ulimit -n`, or LimitNOFILE= of its service)"
            }
        })
    }
}

impl StoreError {
    /// Returns whether the disk of the home stores is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.disk_problem() == Some(DiskProblem::Full)
    }

    /// The failure of the home stores' files, if this is one.
    #[must_use]
    pub fn disk_problem(&self) -> Option<DiskProblem> {
        match self {
            Self::Disk { problem, .. } => Some(*problem),
            _ => None,
        }
    }

    /// The error of stored bytes that can't be read.
    pub fn unreadable(error: impl fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }

    /// Converts a failure of another kind.
    pub(crate) fn from_source(operation: &'static str, error: &dyn fmt::Display) -> Self {
        Self::Unavailable { operation, reason: error.to_string() }
    }

    /// Converts a failure to read or write a file.
    #[cfg(feature = "home")]
    pub(crate) fn from_io(operation: &'static str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let reason = error.to_string();
        let problem = match error.kind() {
            StorageFull | QuotaExceeded => DiskProblem::Full,
            PermissionDenied | ReadOnlyFilesystem => DiskProblem::ReadOnly,
            _ if hearth_files::open_files::is_limit(error) => DiskProblem::TooManyFiles,
            _ => return Self::Unavailable { operation, reason },
        };
        Self::Disk { operation, reason, problem }
    }
}
