//! Structured logs: one JSON object a line.

use std::{
    io::{self, IsTerminal as _},
    panic,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterExt as _, LevelFilter, Targets, filter_fn},
    fmt,
    layer::{Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

pub use crate::{emf::FunctionName, log_buffer::LogGuard, log_files::LogLimits};
use crate::{
    emf::{self, FunctionLines},
    json_lines::JsonLines,
    log_buffer::LogBuffer,
    log_files::LogFiles,
};

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

/// True for the target of one of Hearth's crates.
pub(crate) fn is_own(target: &str) -> bool {
    target.starts_with(OWN_CRATES)
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
/// CloudWatch, and are written at every level. A second call changes nothing.
///
/// # Errors
/// If `level` can't be read.
pub fn to_cloudwatch(level: &str, function: Option<FunctionName>) -> Result<(), LogError> {
    let filter = function_filter(filter(level)?, function.is_some());
    let layer = FunctionLines { function, output: io::stderr };
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    Ok(())
}

/// The filter of a function's lines. If they are metrics, it passes those of requests and runs at every level.
fn function_filter(filter: Targets, has_metrics: bool) -> impl Filter<Registry> + 'static {
    let level = if has_metrics { LevelFilter::INFO } else { LevelFilter::OFF };
    let passes = filter_fn(move |metadata| has_metrics && emf::has_metrics(metadata));
    filter.or(passes.with_max_level_hint(level))
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
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tracing::{Event, Level};
    use tracing_subscriber::layer::Context;

    use super::*;

    /// A layer that counts events.
    struct Counted(Arc<AtomicUsize>);

    impl Layer<Registry> for Counted {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, Registry>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn lines_with_metrics_are_written_at_every_level() {
        for (level, has_metrics, expected) in [("error", true, 2), ("warn", false, 0), ("info", false, 3)] {
            let lines = Arc::<AtomicUsize>::default();
            let layer =
                Counted(Arc::clone(&lines)).with_filter(function_filter(filter(level).unwrap(), has_metrics));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                tracing::info!(name: "request", target: "hearth_http", "request");
                tracing::info!(name: "run", target: "hearth_gateway", "run");
                tracing::info!(name: "request", target: "hyper", "another crate's");
                tracing::info!(target: "hearth_gateway", "another event");
            });
            assert_eq!(lines.load(Ordering::SeqCst), expected, "{level}");
        }
    }

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
