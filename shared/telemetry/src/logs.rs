//! Structured logs: one JSON object a line.

use std::{
    io,
    path::{Path, PathBuf},
};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::log_files::LogFiles;
pub use crate::log_files::LogLimits;

/// Lines that wait for the disk; more are dropped.
const BUFFERED_LINES_MAX_COUNT: usize = 16 << 10;

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

/// Logs to files in `folder`, as JSON, within `limits`, and errors to standard error too. Lines are written
/// while the guard lives. On a full disk they are dropped, and nothing waits.
///
/// # Errors
/// If `level` can't be read or `folder` can't be written.
pub fn to_folder(folder: &Path, level: &str, limits: LogLimits) -> Result<WorkerGuard, LogError> {
    let files = std::fs::create_dir_all(folder).and_then(|()| LogFiles::open(folder, limits));
    let files = files.map_err(|source| LogError::Folder { folder: folder.to_owned(), source })?;
    let buffered = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(BUFFERED_LINES_MAX_COUNT);
    let (writer, guard) = buffered.finish(files);
    let json = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let errors =
        fmt::layer().compact().with_target(false).with_writer(io::stderr).with_filter(LevelFilter::ERROR);
    let registry = tracing_subscriber::registry().with(json.with_writer(writer).with_filter(filter(level)?));
    let _ = registry.with(errors).try_init();
    Ok(guard)
}
