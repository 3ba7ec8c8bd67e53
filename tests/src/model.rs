//! The model that the tests use, whole and broken.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The file of the small model that answers in every test.
#[must_use]
pub fn tiny_chat() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny-chat/tiny-chat.gguf")
}

/// Puts the first half of the model at `path`, as a download that was cut leaves it.
///
/// # Panics
/// If it can't be written.
pub fn truncated_copy(path: &Path) {
    let whole = read();
    write(path, &whole[..whole.len() / 2]);
}

/// Puts the model at `path` with its first byte changed, so that it is no GGUF file.
///
/// # Panics
/// If it can't be written.
pub fn corrupt_copy(path: &Path) {
    let mut bytes = read();
    bytes[0] ^= 0xff;
    write(path, &bytes);
}

fn read() -> Vec<u8> {
    let path = tiny_chat();
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
