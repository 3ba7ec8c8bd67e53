//! The process' limit of file descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many are asked for at most. Where the hard limit is a thousand million, as in some containers, programs that walk
/// over all numbers take long.
const DESCRIPTORS_MAX_COUNT: u64 = 65_536;

/// Raises the soft limit of open files to the hard one: each connection takes one, and 1024, a usual soft limit, is soon
/// used up.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(DESCRIPTORS_MAX_COUNT).min(DESCRIPTORS_MAX_COUNT);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })
    {
        tracing::warn!(%error, wanted, "the limit of open files can't be raised");
    }
}

/// The soft limit of open files.
pub(super) fn descriptor_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS_MAX_COUNT)
}
