//! The project's binaries.

use std::path::PathBuf;

/// The binary `name` of the build that this test belongs to.
///
/// # Panics
/// If it isn't built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("where this test is: {error}"));
    // The test is in `target/<profile>/deps`.
    let profile = test.ancestors().nth(2).unwrap_or_else(|| panic!("{} has no folder", test.display()));
    let path = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is not there: run `cargo build --workspace --bins` first", path.display());
    path
}
