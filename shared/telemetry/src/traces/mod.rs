//! Traces: spans of requests, sent to an OpenTelemetry collector.
//!
//! - [`Span`] is a span that is being recorded; dropping it ends it. [`TraceContext`] is its position in the trace,
//!   which child spans need, also in other processes.
//! - Both are carried explicitly, in the structures of a request. Without a collector in the settings both are empty: a
//!   request allocates nothing for them.
//! - `queue` holds ended spans, within a limit, and `export` sends them in batches. A slow collector loses spans, which
//!   are counted, and delays no request.

mod collector;
mod context;
mod export;
mod headers;
mod queue;
mod sampler;
mod span;
mod xray;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use hearth_settings::TraceSettings;
use opentelemetry_sdk::trace::RandomIdGenerator;

pub use context::TraceContext;
pub use opentelemetry::{Array, KeyValue, Value, trace::SpanKind};
pub use span::Span;

use queue::SpanQueue;
use sampler::TraceSampler;

/// The tracer of the process, if it has a collector.
static TRACER: OnceLock<Tracer> = OnceLock::new();

/// State that all spans of the process share.
#[derive(Debug)]
struct Tracer {
    queue: Arc<SpanQueue>,
    ids: RandomIdGenerator,
    sampler: TraceSampler,
    settings: TraceSettings,
}

/// A reason why traces can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A header can't be read. The message doesn't contain its value.
    #[error("traces.headers can't be read: {0}; write name=value,name=value")]
    Headers(&'static str),
    /// The HTTP client can't be built.
    #[error("the HTTP client for traces can't be built: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter refuses its options.
    #[error("traces can't be sent to traces.endpoint: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Starts to record traces, if the settings name a collector. A task of the current runtime sends them. Later calls
/// change nothing.
///
/// # Errors
/// If a setting can't be used.
pub fn install(settings: &TraceSettings) -> Result<(), TraceError> {
    let Some(endpoint) = settings.endpoint.as_deref().filter(|_| TRACER.get().is_none()) else {
        return Ok(());
    };
    let exporter = collector::exporter(endpoint, settings)?;
    let queue = Arc::new(SpanQueue::default());
    let sampler = TraceSampler::new(settings);
    let tracer = Tracer {
        queue: Arc::clone(&queue),
        ids: RandomIdGenerator::default(),
        sampler,
        settings: settings.clone(),
    };
    if TRACER.set(tracer).is_ok() {
        drop(tokio::spawn(export::run(queue, exporter)));
    }
    Ok(())
}

/// True if the process records traces.
#[must_use]
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// True if spans may contain prompts and outputs.
#[must_use]
pub fn captures_content() -> bool {
    TRACER.get().is_some_and(|tracer| tracer.settings.capture_content)
}

/// True if requests to vendors have the trace's headers.
#[must_use]
pub fn reaches_vendors() -> bool {
    TRACER.get().is_some_and(|tracer| tracer.settings.propagate_to_vendors)
}

/// Waits until the spans that have ended are sent or lost, for the time of the settings at most. Returns false if the
/// time was too short.
pub async fn flush() -> bool {
    match TRACER.get() {
        Some(tracer) => flush_within(tracer, tracer.settings.flush_timeout()).await,
        None => true,
    }
}

async fn flush_within(tracer: &Tracer, timeout: Duration) -> bool {
    tokio::time::timeout(timeout, tracer.queue.drained()).await.is_ok()
}
