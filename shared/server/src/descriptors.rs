//! The process' limit of file descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limit of file descriptors to set. In some containers the hard limit is a thousand million, and programs that iterate
/// over all descriptors would be slow.
const DESCRIPTORS_MAX_COUNT: u64 = 65_536;

/// Raises the soft limit of open files to the hard one: each connection needs a descriptor, and a usual soft limit is 1024.
pub fn raise_descriptor_limit() {
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
