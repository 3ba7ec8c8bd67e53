//! The position in a trace.

use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::trace::SpanContext;

use super::{TRACER, headers};

/// The position in a trace: the trace's id, and the id of the span that further spans are children of. Empty where
/// nothing is traced.
#[derive(Debug, Clone, Default)]
pub struct TraceContext(Option<Arc<SpanContext>>);

impl TraceContext {
    pub(super) fn new(context: SpanContext) -> Self {
        Self(Some(Arc::new(context)))
    }

    /// Reads the position that a caller has sent; empty if it has sent none, or this process records no traces.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        match TRACER.get() {
            Some(tracer) => headers::read(headers, tracer.settings.propagation),
            None => Self::default(),
        }
    }

    /// Reads the value of `X-Amzn-Trace-Id`, as Lambda's runtime has it for an invocation; empty if the settings
    /// propagate no such ids.
    #[must_use]
    pub fn from_xray(header: &str) -> Self {
        match TRACER.get() {
            Some(tracer) => headers::read_xray(header, tracer.settings.propagation),
            None => Self::default(),
        }
    }

    /// Adds the headers by which another process continues the trace.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        if let (Some(tracer), Some(context)) = (TRACER.get(), &self.0) {
            headers::write(context, tracer.settings.propagation, headers);
        }
    }

    /// True if there is no trace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The trace's id for log lines, if its spans are recorded.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        self.sampled().map(|context| context.trace_id().to_string())
    }

    pub(super) fn get(&self) -> Option<&SpanContext> {
        self.0.as_deref()
    }

    /// The context, if its spans are recorded.
    pub(super) fn sampled(&self) -> Option<&SpanContext> {
        self.get().filter(|context| context.is_sampled())
    }
}
