//! llama.cpp's backends: what computes.

use llama_cpp_2::{LogOptions, llama_backend::LlamaBackend, send_logs_to_tracing};

/// Loads the backends that this machine can run, and readies llama.cpp. Once a process.
///
/// # Errors
/// If it was done before.
pub(in crate::engines) fn init() -> Result<LlamaBackend, String> {
    // llama.cpp tells everything on standard error unless it is given somewhere else to tell it.
    send_logs_to_tracing(LogOptions::default());
    #[cfg(feature = "dynamic-backends")]
    load();
    LlamaBackend::init().map_err(|error| error.to_string())
}

/// Of the CPU's builds, the best that the processor can run is taken. They lie beside the binary; one
/// that was built here and not yet copied anywhere finds them where they were built.
#[cfg(feature = "dynamic-backends")]
fn load() {
    use llama_cpp_2::llama_backend::{load_backends, load_backends_from_path};

    let is_backend = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libggml-cpu") || name.starts_with("ggml-cpu")
    };
    let beside = std::env::current_exe().ok().and_then(|binary| Some(binary.parent()?.to_owned()));
    let has_backends = |folder: &std::path::PathBuf| {
        std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_backend))
    };
    match beside.filter(has_backends) {
        // A path that is no UTF-8 can't be told to llama.cpp.
        Some(folder) if folder.to_str().is_some() => load_backends_from_path(&folder),
        _ => load_backends(),
    }
}
