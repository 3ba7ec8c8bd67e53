//! Loads llama.cpp's backends into this process.

use std::path::PathBuf;

use llama_cpp_2::{LogOptions, llama_backend::LlamaBackend, send_logs_to_tracing};

/// Loads exactly these libraries, which [`super::select`] selected, and initializes llama.cpp. `libraries` is empty
/// for a build with linked backends.
///
/// # Errors
/// If a library can't be loaded, or llama.cpp is initialized already.
pub(crate) fn init(libraries: &[PathBuf]) -> Result<LlamaBackend, String> {
    // Otherwise llama.cpp logs to standard error.
    send_logs_to_tracing(LogOptions::default());
    super::ffi::load_all(libraries)?;
    LlamaBackend::init().map_err(|error| error.to_string())
}
