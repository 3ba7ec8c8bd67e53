//! Structured logs: one JSON object a line.

use std::{
    io::{self, IsTerminal as _},
    panic,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{emf::FunctionLines, json_lines::JsonLines, log_buffer::LogBuffer, log_files::LogFiles};
pub use crate::{emf::FunctionName, log_buffer::LogGuard, log_files::LogLimits};

/// The buffer of the process' log, if it is written to files.
static BUFFER: OnceLock<LogBuffer> = OnceLock::new();

/// Prefix of the names of Hearth's crates.
const OWN_CRATES: &str = "hearth";

/// A reason why logs can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level can't be parsed.
    #[error("the log level {0:?} can't be read: use error, warn, info, debug or trace")]
    Level(String),
    /// The folder can't be written.
    #[error("the log folder {folder} can't be written: {source}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// The filter of a level. It holds for Hearth's own crates. Other crates log warnings and errors only: below that, HTTP
/// clients log headers, with keys in them, and the clients of AWS most of all lines.
fn filter(level: &str) -> Result<Targets, LogError> {
    let level: LevelFilter = level.parse().map_err(|_| LogError::Level(level.to_owned()))?;
    Ok(Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(OWN_CRATES, level))
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

/// Logs to standard error, as JSON: for a Lambda function. With `function` the lines of requests and runs are metrics of
/// CloudWatch. A second call changes nothing.
///
/// # Errors
/// If `level` can't be read.
pub fn to_cloudwatch(level: &str, function: Option<FunctionName>) -> Result<(), LogError> {
    let layer = FunctionLines { function, output: io::stderr };
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter(level)?)).try_init();
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

/// Logs to files in `folder`, as JSON, within `limits`, and errors to standard error too. Lines are buffered and written
/// together; when the guard is dropped or a thread panics, the remaining ones are written at once. On a full disk they are
/// dropped.
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

/// Writes the buffered lines, before the process exits. Waits a second at most.
pub fn flush() {
    if let Some(buffer) = BUFFER.get() {
        buffer.flush();
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn other_crates_never_log_below_warn() {
        let enabled =
            |level: &str, target: &str, event: Level| filter(level).unwrap().would_enable(target, &event);
        assert!(enabled("trace", "hearth_gateway::run", Level::TRACE));
        assert!(enabled("debug", "hearth", Level::DEBUG));
        assert!(!enabled("trace", "hyper::proto", Level::INFO));
        assert!(enabled("trace", "aws_smithy_runtime", Level::WARN));
        assert!(!enabled("error", "aws_smithy_runtime", Level::WARN));
        assert!(!enabled("info", "hearth_store", Level::DEBUG));
        assert!(filter("hyper=trace").is_err());
    }
}
