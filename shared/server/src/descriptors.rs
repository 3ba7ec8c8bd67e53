//! The process' limit of file descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limit of file descriptors to set. In some containers the hard limit is a thousand million, and programs that iterate
/// over all descriptors would be slow.
const DESCRIPTORS_MAX_COUNT: u64 = 65_536;
/// Number of file descriptors below which a gateway with a node soon lacks one: about 60 for itself, and two for a request.
const DESCRIPTORS_MIN_COUNT: u64 = 256;

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

/// Returns a warning if this process may have fewer files open than a gateway needs. Without descriptors, parts fail that don't
/// report the cause.
#[must_use]
pub fn low_descriptor_limit() -> Option<String> {
    warning_of(descriptor_limit())
}

fn warning_of(limit: u64) -> Option<String> {
    (limit < DESCRIPTORS_MIN_COUNT).then(|| {
        format!(
            "this process may have {limit} files and sockets open, and needs {DESCRIPTORS_MIN_COUNT} or more: raise the limit \
             (`ulimit -n`, or LimitNOFILE= of its service), or models, connections and the store may fail"
        )
    })
}

/// The soft limit of open files.
pub(super) fn descriptor_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS_MAX_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_limit_is_named_with_what_to_do() {
        let warning = warning_of(24).unwrap();
        assert!(warning.contains("24 files") && warning.contains("ulimit -n"), "{warning}");
        assert_eq!(warning_of(DESCRIPTORS_MIN_COUNT), None);
    }
}
