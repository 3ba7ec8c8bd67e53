//! Compute backends: the shared libraries of llama.cpp that compute, and the proof that each one works here.
//!
//! A backend is a library such as `libggml-cpu-haswell.so`. It is used only after it has passed a self-test in a
//! child process ([`self_test`]). [`select`] tests the processor's variants in the order of ggml's own score and
//! takes the first that passes; [`cache`] keeps the results for the same machine and build.

mod cache;
mod child;
mod compare;
mod ffi;
mod libraries;
mod machine;
mod select;
pub mod self_test;
mod survey;
mod tested;

use std::path::{Path, PathBuf};

use hearth_wire::node::{BackendState, NodeBackend};

pub use select::{Selection, Selector};

/// Prints the score that ggml gives the library at `path` on this processor: the `engine score` command.
///
/// # Errors
/// If the library cannot be loaded.
pub fn score(path: &Path) -> Result<String, String> {
    self_test::end_with_parent();
    let answer = child::Score { score: ffi::score(path)? };
    serde_json::to_string(&answer).map_err(|error| error.to_string())
}

/// Loads exactly these libraries, in this order.
pub(crate) fn load(libraries: &[PathBuf]) -> Result<(), String> {
    libraries.iter().try_for_each(|library| ffi::load(library))
}

/// One line about a backend, for logs and `hearth doctor`.
#[must_use]
pub fn describe(backend: &NodeBackend) -> String {
    let NodeBackend { library, state, score, reason, milliseconds } = backend;
    let score = score.map(|score| format!(", score {score}")).unwrap_or_default();
    let reason = reason.as_deref().unwrap_or("no reason was given");
    match state {
        BackendState::InUse => match milliseconds {
            Some(took) => format!("{library} passed its self-test in {took} ms{score}"),
            None => format!("{library} is in use{score}"),
        },
        BackendState::Passed => format!("{library} passed its self-test{score}"),
        BackendState::Failed => format!("{library} failed its self-test: {reason}"),
        BackendState::Unsupported => format!("{library} does not support this processor"),
        BackendState::NoDevice => match &backend.reason {
            Some(reason) => format!("{library} finds no device: {reason}"),
            None => format!("{library} finds no device"),
        },
        BackendState::NotTested => format!("{library} was not needed{score}"),
    }
}
