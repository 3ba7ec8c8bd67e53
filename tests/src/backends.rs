//! Backends that do something wrong, and the build's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use hearth_node::backends::Selector;
use tempfile::TempDir;

use crate::{backend_results, binary};

/// The source of a backend that wraps a real one.
const WRAPPER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/suites/node/backends/wrapper.c");

/// A selector of the build's own backends, with the stored results of other tests.
#[must_use]
pub fn own_selector() -> Selector {
    Selector::new(binary("hearth"), backend_results())
}

/// Compiles a backend at `path` that wraps the library `real`, with these definitions, which its source explains.
///
/// # Panics
/// If it can't be compiled.
pub fn wrap_backend(path: &Path, real: &Path, definitions: &[&str]) {
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(path)
        .arg(format!("-DREAL=\"{}\"", real.display()))
        .args(definitions.iter().map(|definition| format!("-D{definition}")))
        .args([WRAPPER, "-ldl"]);
    let built = compiler.output().unwrap_or_else(|error| panic!("{compiler:?}: {error}"));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// A folder with `hearth` and the libraries that it is linked with, and without a backend.
///
/// # Panics
/// If it can't be created.
#[must_use]
pub fn program_without_backends() -> (TempDir, PathBuf) {
    let hearth = binary("hearth");
    let built = hearth.parent().unwrap_or_else(|| panic!("{} has no folder", hearth.display()));
    // On the same disk, so that the program can be a hard link: a symbolic one is followed to the build's own backends.
    let folder = TempDir::new_in(built).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    let program = folder.path().join("hearth");
    fs::hard_link(&hearth, &program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    for entry in fs::read_dir(built).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_backend = name.starts_with("libggml-") && !name.starts_with("libggml-base");
        if name.contains(".so") && !is_backend {
            let link = folder.path().join(&name);
            std::os::unix::fs::symlink(entry.path(), &link)
                .unwrap_or_else(|error| panic!("{}: {error}", link.display()));
        }
    }
    (folder, program)
}
