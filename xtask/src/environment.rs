//! Environment variables of the process. Only this module reads them.

#![expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) fn var(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folders of a variable that is written like `PATH`.
pub(crate) fn folders(name: &str) -> Vec<PathBuf> {
    var(name).map(|value| std::env::split_paths(&value).collect()).unwrap_or_default()
}

/// The first program of this name on `PATH`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    folders("PATH").into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Returns whether this processor has AMX, by `/proc/cpuinfo`. False where there is no such file.
pub(crate) fn processor_has_amx() -> bool {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut flags = text.lines().filter(|line| line.starts_with("flags"));
    flags.next().is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "amx_int8"))
}

/// `PATH` with one more folder in front.
pub(crate) fn path_with(folder: &Path) -> OsString {
    let folders = std::iter::once(folder.to_path_buf()).chain(folders("PATH"));
    // A folder whose name holds the separator cannot be expressed; the plain PATH is then the best there is.
    std::env::join_paths(folders).unwrap_or_else(|_| var("PATH").unwrap_or_default())
}

/// The variables that `cargo run` set for this process about the crate `xtask`.
///
/// A build script that watches one of them (ring's does) would see it change between `cargo build` and
/// `cargo xtask`, and rebuild half the workspace each time.
pub(crate) fn set_by_cargo_run() -> Vec<OsString> {
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| is_about_a_crate(&name.to_string_lossy()))
        .collect()
}

fn is_about_a_crate(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(name, "CARGO_CRATE_NAME" | "CARGO_BIN_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_about_the_crate_are_removed() {
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "OUT_DIR"] {
            assert!(is_about_a_crate(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "CARGO_BUILD_JOBS", "PATH"] {
            assert!(!is_about_a_crate(name), "{name}");
        }
    }
}
