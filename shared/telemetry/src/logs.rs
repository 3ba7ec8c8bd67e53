//! Structured logs: one JSON object a line.

use std::{
    io::{self, IsTerminal as _},
    panic,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tracing_subscriber::{
    EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{json_lines::JsonLines, log_buffer::LogBuffer, log_files::LogFiles};
pub use crate::{log_buffer::LogGuard, log_files::LogLimits};

/// The buffer of the process' log, if it goes to files.
static BUFFER: OnceLock<LogBuffer> = OnceLock::new();

/// Why logs can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level isn't one.
    #[error("the log level {0:?} can't be read: use error, warn, info, debug or trace")]
    Level(String),
    /// The folder can't be written.
    #[error("the log folder {folder} can't be written: {source}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(level).map_err(|_| LogError::Level(level.to_owned()))
}

/// Logs to standard error, as JSON. A second call changes nothing.
///
/// # Errors
/// If `level` can't be read.
pub fn to_stderr(level: &str) -> Result<(), LogError> {
    let layer = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let _ =
        tracing_subscriber::registry().with(filter(level)?).with(layer.with_writer(io::stderr)).try_init();
    Ok(())
}

/// Logs as plain lines to standard error: for worker processes, whose supervisor reads them.
///
/// # Errors
/// If `level` can't be read.
pub fn to_supervisor(level: &str) -> Result<(), LogError> {
    let layer = fmt::layer().without_time().with_target(false).with_ansi(false).with_writer(io::stderr);
    let _ = tracing_subscriber::registry().with(filter(level)?).with(layer).try_init();
    Ok(())
}

/// Logs to files in `folder`, as JSON, within `limits`, and errors to standard error too. Lines are written together,
/// a moment later; those that are left when the guard is dropped, or a thread panics, are written at once. On a full disk
/// they are dropped, and nothing waits.
///
/// # Errors
/// If `level` can't be read or `folder` can't be written.
pub fn to_folder(folder: &Path, level: &str, limits: LogLimits) -> Result<LogGuard, LogError> {
    let filter = filter(level)?;
    let files = std::fs::create_dir_all(folder).and_then(|()| LogFiles::open(folder, limits));
    let started = files.and_then(LogBuffer::start);
    let (buffer, guard) = started.map_err(|source| LogError::Folder { folder: folder.to_owned(), source })?;
    let _ = BUFFER.set(buffer.clone());
    let errors = fmt::layer().compact().with_target(false).with_ansi(io::stderr().is_terminal());
    let errors = errors.with_writer(io::stderr).with_filter(LevelFilter::ERROR);
    let registry = tracing_subscriber::registry().with(JsonLines(buffer).with_filter(filter));
    let _ = registry.with(errors).try_init();
    let earlier = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        earlier(panic);
        flush();
    }));
    Ok(guard)
}

/// Writes the lines that are buffered, before the process is ended; waits a second at most.
pub fn flush() {
    if let Some(buffer) = BUFFER.get() {
        buffer.flush();
    }
}
