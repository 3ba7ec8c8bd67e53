//! llama.cpp's backends: what computes in this process.

use std::path::PathBuf;

use llama_cpp_2::{LogOptions, llama_backend::LlamaBackend, send_logs_to_tracing};

/// Loads exactly these libraries, those that [`crate::backends`] chose, and readies llama.cpp. Once a process. A
/// build that has its backends inside is given none.
///
/// # Errors
/// If a library cannot be loaded, or it was done before.
pub(crate) fn init(libraries: &[PathBuf]) -> Result<LlamaBackend, String> {
    // llama.cpp tells everything on standard error unless it is given somewhere else to tell it.
    send_logs_to_tracing(LogOptions::default());
    crate::backends::load(libraries)?;
    LlamaBackend::init().map_err(|error| error.to_string())
}
