//! The project's binaries.

use std::path::{Path, PathBuf};

/// The binary `name` of the build that this test belongs to.
///
/// # Panics
/// If it isn't built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("where this test is: {error}"));
    let folder = test.parent().unwrap_or_else(|| panic!("{} has no folder", test.display()));
    // A test is in `target/<profile>/deps`, and a program of the tests beside the others.
    let profile = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is not there: run `cargo build --workspace --all-targets` first",
        path.display()
    );
    path
}

/// The file of backends' test results that all suites share: else each node would test them anew.
///
/// # Panics
/// If the binaries' folder is not there.
#[must_use]
pub fn backend_results() -> PathBuf {
    binary("hearth").with_file_name("backends-of-suites.json")
}

/// Gives a new data folder what other tests found out about the backends.
pub(crate) fn share_backend_results(data: &Path) {
    let _ = std::fs::create_dir_all(data).and_then(|()| std::fs::copy(backend_results(), data.join(RESULTS)));
}

/// Keeps what a process found out about the backends.
pub(crate) fn keep_backend_results(data: &Path) {
    let (shared, found) = (backend_results(), data.join(RESULTS));
    // The binaries' folder stays when they are built anew: what is known of older ones is replaced.
    if std::fs::read(&shared).ok() != std::fs::read(&found).ok() {
        let part = shared.with_extension(format!("{}.part", std::process::id()));
        let _ = std::fs::copy(found, &part).and_then(|_| std::fs::rename(part, shared));
    }
}

/// Where `hearth up` keeps it in its data folder.
const RESULTS: &str = "backends.json";
