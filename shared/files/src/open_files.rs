//! The limit of open files, as the cause of a failure.

use std::{fs::File, io};

use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};

/// Files that a library opens together: SQLite opens a database, its log, and the index of the log.
const SPARE_FILES_COUNT: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    OfProcess,
    OfSystem,
}

/// Formats an error; one of too many open files with the limit and what to do.
#[must_use]
pub fn describe(error: &io::Error) -> String {
    match advice(error) {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    }
}

/// Returns whether an error says that this process, or the system, has too many files open.
#[must_use]
pub fn is_limit(error: &io::Error) -> bool {
    limit_of(error).is_some()
}

/// Returns whether this process can't open a few files at the moment, since it or the system has too many open. A library that
/// opens several files itself, such as SQLite, doesn't report that cause, and has closed the first ones when it fails.
#[must_use]
pub fn is_limit_reached() -> bool {
    reached_limit().is_some()
}

/// Returns what to do about an error of too many open files, with the limit; none for another error.
#[must_use]
pub fn advice(error: &io::Error) -> Option<String> {
    match limit_of(error)? {
        Limit::OfProcess => {
            let limit = getrlimit(Resource::Nofile).current;
            let limit = limit.map(|limit| format!("{limit} ")).unwrap_or_default();
            Some(format!(
                "this process may have {limit}files and sockets open: raise the limit (`ulimit -n`, or LimitNOFILE= of its \
                 service)"
            ))
        }
        Limit::OfSystem => {
            let advice = "the system has too many files open: raise its limit (`sysctl fs.file-max`), or end other programs";
            Some(advice.to_owned())
        }
    }
}

/// The limit that an error reports. One that a library has wrapped may have no code: then a try decides.
fn limit_of(error: &io::Error) -> Option<Limit> {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => Some(Limit::OfProcess),
        Some(Errno::NFILE) => Some(Limit::OfSystem),
        Some(_) => None,
        None => reached_limit(),
    }
}

fn reached_limit() -> Option<Limit> {
    let opened: io::Result<Vec<File>> = (0..SPARE_FILES_COUNT).map(|_| File::open("/dev/null")).collect();
    opened.err().filter(|error| error.raw_os_error().is_some()).and_then(|error| limit_of(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_too_many_files_has_the_limit_and_what_to_do() {
        let limit = getrlimit(Resource::Nofile).current.unwrap();
        let text = describe(&Errno::MFILE.into());
        assert!(text.contains(&format!("{limit} files")) && text.contains("ulimit -n"), "{text}");
        assert!(describe(&Errno::NFILE.into()).contains("fs.file-max"));
        let other = io::Error::from(Errno::NOENT);
        assert_eq!(describe(&other), other.to_string());
        assert!(!is_limit(&other) && is_limit(&Errno::MFILE.into()) && !is_limit_reached());
        assert!(!is_limit(&io::Error::other("without a code")));
    }
}
