//! Parts of the system that some tests need: namespaces, root, or a tool.

use std::{fs, os::unix::fs::MetadataExt as _};

use tokio::process::Command;

use crate::within;

/// The capability to mount and to create namespaces: its bit in `/proc/self/status`.
const CAP_SYS_ADMIN: u32 = 21;

/// Prints the reason why a test isn't run here.
#[expect(clippy::print_stderr, reason = "a person reads which tests weren't run")]
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// Returns whether the tests run as root, which can write everywhere.
#[must_use]
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Returns the words before a command that start it in new namespaces, after the shell commands `script` as root in them.
/// `options` are those of `unshare`. `None` where the system doesn't let this user have such namespaces, with the reason
/// printed.
///
/// # Panics
/// If the user may have them, and the commands fail.
pub async fn in_namespaces(options: &[&str], script: &str) -> Option<Vec<String>> {
    let as_root: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
    let script = format!("PATH=$PATH:/usr/sbin:/sbin; {script} && exec \"$@\"");
    let words = [&["unshare"], as_root, options, &["sh", "-c", &script, "sh"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg("true");
    let reason = match within("namespaces", command.output()).await {
        Ok(output) if output.status.success() => return Some(words.into_iter().map(str::to_owned).collect()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(!can_administer(), "{command:?}: {reason}");
    skip(&format!("{}: {reason}", words.join(" ")));
    None
}

/// Returns whether this process may mount and create namespaces.
fn can_administer() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> CAP_SYS_ADMIN & 1 == 1)
}
