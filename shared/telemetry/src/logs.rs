//! Structured logs: one JSON object a line.

use std::{io, path::Path};

use tracing_appender::{
    non_blocking::WorkerGuard,
    rolling::{InitError, RollingFileAppender, Rotation},
};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Days of log files that are kept.
const KEPT_DAYS: usize = 7;

/// Why logs can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level isn't one.
    #[error("the log level {0:?} can't be read: use error, warn, info, debug or trace")]
    Level(String),
    /// The folder can't be written.
    #[error("logs can't be written: {0}")]
    Folder(#[from] InitError),
    /// The folder can't be made.
    #[error("the log folder can't be made: {0}")]
    Create(#[from] io::Error),
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

/// Logs to a file a day in `folder`, as JSON, and errors to standard error too. Lines are written
/// while the guard lives.
///
/// # Errors
/// If `level` can't be read or `folder` can't be written.
pub fn to_folder(folder: &Path, level: &str) -> Result<WorkerGuard, LogError> {
    std::fs::create_dir_all(folder)?;
    let files = RollingFileAppender::builder().rotation(Rotation::DAILY).max_log_files(KEPT_DAYS);
    let files = files.filename_prefix("hearth").filename_suffix("log").build(folder)?;
    let (writer, guard) = tracing_appender::non_blocking(files);
    let json = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let errors =
        fmt::layer().compact().with_target(false).with_writer(io::stderr).with_filter(LevelFilter::ERROR);
    let registry = tracing_subscriber::registry().with(json.with_writer(writer).with_filter(filter(level)?));
    let _ = registry.with(errors).try_init();
    Ok(guard)
}
