//! SQLite's errors as the store's.

use hearth_files::open_files;
use rusqlite::{Error, ErrorCode, ffi::SQLITE_IOERR_SHMSIZE};

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
        // The index of the log can't be made longer.
        ErrorCode::SystemIoFailure if extended_code(error) == Some(SQLITE_IOERR_SHMSIZE) => DiskProblem::Full,
        ErrorCode::CannotOpen if open_files::is_limit_reached() => DiskProblem::TooManyFiles,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => DiskProblem::ReadOnly,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => DiskProblem::Locked,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => DiskProblem::Damaged,
        ErrorCode::SystemIoFailure => DiskProblem::Failing,
        _ => return None,
    })
}

fn extended_code(error: &Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn log_without_room_is_a_full_disk_and_another_failure_a_failing_one() {
        for (code, problem) in [
            (ffi::SQLITE_FULL, DiskProblem::Full),
            (SQLITE_IOERR_SHMSIZE, DiskProblem::Full),
            (ffi::SQLITE_IOERR_READ, DiskProblem::Failing),
            (ffi::SQLITE_CANTOPEN, DiskProblem::ReadOnly),
        ] {
            let error = Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(failed("open", error).disk_problem(), Some(problem), "{code}");
        }
    }
}
