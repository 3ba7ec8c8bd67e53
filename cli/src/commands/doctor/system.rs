//! Checks of the system around Hearth: certificates, clock, folder for temporary files, `/proc`.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use super::finding::Finding;

/// 2045 in seconds since 1970: a clock beyond it is wrong.
const LATEST_TIME: u64 = 2_366_841_600;
/// 2025 in seconds since 1970, before the first release.
const EARLIEST_TIME: u64 = 1_735_689_600;

/// Runs the checks; a complete system has no finding.
pub(super) fn findings() -> Vec<Finding> {
    let checks = [certificates(), clock(SystemTime::now()), proc(Path::new("/proc/self")), temporary()];
    checks.into_iter().flatten().collect()
}

/// Checks for CA certificates, which HTTPS to providers and Hugging Face needs.
fn certificates() -> Option<Finding> {
    let error = reqwest::Client::builder().build().err()?;
    Some(Finding::warning(
        "https",
        format!("no server can be trusted over HTTPS: {}", crate::client::error::root_cause(&error)),
        "install the package ca-certificates, or name a file of them in SSL_CERT_FILE; local models need none",
    ))
}

/// Checks the clock, by which tokens expire and certificates are valid.
fn clock(now: SystemTime) -> Option<Finding> {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let is_wrong = !(EARLIEST_TIME..LATEST_TIME).contains(&seconds);
    is_wrong.then(|| {
        let year = 1970 + seconds / 31_556_952;
        Finding::warning(
            "clock",
            format!("the clock is in the year {year}: tokens and certificates expire by it"),
            "set it, or turn on its synchronisation (`timedatectl set-ntp true`)",
        )
    })
}

/// Checks for `/proc`, in which Linux describes the process, the memory and the processor.
fn proc(path: &Path) -> Option<Finding> {
    (cfg!(target_os = "linux") && !path.exists()).then(|| {
        Finding::warning(
            "proc",
            "/proc isn't mounted: the memory of the machine and of models is unknown",
            "mount it (`mount -t proc proc /proc`), or set node.memory and node.context_length",
        )
    })
}

fn temporary() -> Option<Finding> {
    let error = tempfile::tempdir().err()?;
    Some(Finding::warning(
        "temporary",
        format!("there is no folder for temporary files: {error}"),
        "name one in TMPDIR; `hearth up` uses the data folder instead",
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn clock_far_from_today_is_a_warning() {
        let at = |seconds| clock(UNIX_EPOCH + Duration::from_secs(seconds)).map(|finding| finding.message);
        assert!(at(86_400).unwrap().contains("year 1970"));
        assert!(at(2_524_608_000).unwrap().contains("year 2050"));
        assert_eq!(at(1_800_000_000), None);
    }

    #[test]
    fn missing_proc_is_a_warning() {
        assert_eq!(proc(Path::new("/")), None);
        assert!(proc(Path::new("/no/such/folder")).unwrap().message.contains("/proc"));
    }
}
