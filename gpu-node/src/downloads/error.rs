//! Errors of downloads.

use std::{error::Error, io::ErrorKind, path::Path};

use hearth_domain::{JobError, JobErrorCode};

/// An error that ends a download.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DownloadError {
    /// Its kind.
    pub code: JobErrorCode,
    /// The message, with advice.
    pub message: String,
}

/// A reason why all ranges of a download end.
#[derive(Debug)]
pub(super) enum Abort {
    /// The download fails.
    Failed(DownloadError),
    /// The server has sent more bytes than were listed.
    TooMuch,
    /// The bytes so far are of no use. `is_whole`: the server sends whole files only.
    Restart { cause: String, is_whole: bool },
}

impl From<DownloadError> for Abort {
    fn from(error: DownloadError) -> Self {
        Self::Failed(error)
    }
}

impl DownloadError {
    pub(super) fn new(code: JobErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn invalid_source(message: impl Into<String>) -> Self {
        Self::new(JobErrorCode::InvalidSource, message)
    }

    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(JobErrorCode::SourceUnreachable, message)
    }

    /// The error of a failed write to `path`.
    pub(super) fn write(path: &Path, error: &std::io::Error) -> Self {
        let (code, advice) = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
                JobErrorCode::DiskFull,
                "; the bytes so far are saved: make room (`hearth storage` shows the size of the models), and download again to \
                 continue from there",
            ),
            ErrorKind::FileTooLarge => (
                JobErrorCode::WriteFailed,
                "; the bytes so far are saved: the file system allows no file that large (FAT: 4 GiB), or the shell sets a limit \
                 (`ulimit -f`)",
            ),
            _ => (JobErrorCode::WriteFailed, ""),
        };
        Self::new(code, format!("{} can't be written: {error}{advice}", path.display()))
    }
}

impl From<DownloadError> for JobError {
    fn from(error: DownloadError) -> Self {
        Self::new(error.code, error.message)
    }
}

/// The innermost cause of an error, which says most.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
