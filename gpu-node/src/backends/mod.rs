//! Compute backends: the shared libraries of llama.cpp, and the self-tests that they must pass on this machine.
//!
//! A backend is a library such as `libggml-cpu-haswell.so`. It is used only after it has passed a self-test in a child
//! process ([`self_test`]). [`select`] tests the variants for the processor in the order of ggml's score and selects the
//! first that passes; [`cache`] stores the results for the same machine and build.

mod cache;
mod child;
mod compare;
mod description;
mod drivers;
pub(crate) mod ffi;
mod inventory;
mod libraries;
pub(crate) mod llama_cpp;
mod machine;
mod select;
pub mod self_test;
mod test_run;

use std::path::Path;

pub use description::describe;
pub use select::{Selection, Selector};

/// Prints ggml's score of the library at `path` on this processor: the command `engine score`.
///
/// # Errors
/// If the library cannot be loaded.
pub fn score(path: &Path) -> Result<String, String> {
    self_test::end_with_parent();
    let answer = child::Score { score: ffi::score(path)? };
    serde_json::to_string(&answer).map_err(|error| error.to_string())
}
