//! SQLite's errors as the store's.

use rusqlite::{Error, ErrorCode};

use crate::{DiskProblem, StoreError};

/// Converts a failure of SQLite in `operation`.
#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
pub(crate) fn failed(operation: &'static str, error: Error) -> StoreError {
    let reason = error.to_string();
    match problem(&error) {
        Some(problem) => StoreError::Disk { operation, reason, problem },
        None => StoreError::Unavailable { operation, reason },
    }
}

fn problem(error: &Error) -> Option<DiskProblem> {
    Some(match error.sqlite_error_code()? {
        ErrorCode::DiskFull => DiskProblem::Full,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => DiskProblem::ReadOnly,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => DiskProblem::Locked,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => DiskProblem::Damaged,
        ErrorCode::SystemIoFailure => DiskProblem::Failing,
        _ => return None,
    })
}
