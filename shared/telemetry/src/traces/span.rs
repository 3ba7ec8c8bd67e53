//! A span: one piece of work, with its times and attributes.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue, Value,
    trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags},
};
use opentelemetry_sdk::trace::{IdGenerator as _, SpanData, SpanEvents, SpanLinks};

use super::{TRACER, Tracer, context::TraceContext};

/// Limit of the events of one span.
const EVENTS_MAX_COUNT: usize = 128;

/// A span. Dropping it ends it. Empty, and free, where nothing is traced; a trace that isn't recorded has its position
/// alone, which is passed on.
#[derive(Default)]
pub struct Span {
    context: TraceContext,
    data: Option<Box<SpanData>>,
}

impl Span {
    /// Starts the first span of a request in this process. `caller`: the position that the caller has sent; without one
    /// the request begins a trace.
    #[must_use]
    pub fn root(caller: &TraceContext, kind: SpanKind, name: impl Into<Cow<'static, str>>) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::default() };
        let parent = caller.get();
        let trace = match parent {
            Some(parent) => parent.trace_id(),
            None => tracer.sampler.complete(tracer.ids.new_trace_id()),
        };
        let is_recorded = tracer.sampler.records(trace, parent);
        let flags = if is_recorded { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let state = parent.map(|parent| parent.trace_state().clone()).unwrap_or_default();
        let context = SpanContext::new(trace, tracer.ids.new_span_id(), flags, false, state);
        let data = is_recorded.then(|| Box::new(new_data(context.clone(), parent, kind, name.into())));
        Self { context: TraceContext::new(context), data }
    }

    /// Starts a span below `parent`.
    #[must_use]
    pub fn child(parent: &TraceContext, kind: SpanKind, name: impl Into<Cow<'static, str>>) -> Self {
        let (Some(tracer), Some(above)) = (TRACER.get(), parent.sampled()) else {
            return Self { context: parent.clone(), data: None };
        };
        Self::below(tracer, above, kind, name.into())
    }

    fn below(tracer: &Tracer, parent: &SpanContext, kind: SpanKind, name: Cow<'static, str>) -> Self {
        let (id, state) = (tracer.ids.new_span_id(), parent.trace_state().clone());
        let context = SpanContext::new(parent.trace_id(), id, parent.trace_flags(), false, state);
        let data = Some(Box::new(new_data(context.clone(), Some(parent), kind, name)));
        Self { context: TraceContext::new(context), data }
    }

    /// The position of its children.
    #[must_use]
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// True if it is recorded. Attributes that take work to compute need this check.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.data.is_some()
    }

    /// Sets an attribute, or replaces it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let Some(data) = &mut self.data else { return };
        let value = value.into();
        match data.attributes.iter_mut().find(|attribute| attribute.key.as_str() == key) {
            Some(attribute) => attribute.value = value,
            None => data.attributes.push(KeyValue::new(key, value)),
        }
    }

    /// Adds an event, at the present time.
    pub fn event(&mut self, name: &'static str, attributes: Vec<KeyValue>) {
        let Some(data) = &mut self.data else { return };
        if data.events.events.len() < EVENTS_MAX_COUNT {
            data.events.events.push(Event::new(name, SystemTime::now(), attributes, 0));
        } else {
            data.events.dropped_count += 1;
        }
    }

    /// Marks it as failed, by the code of the error: messages may quote a prompt.
    pub fn fail(&mut self, code: impl Into<Cow<'static, str>>) {
        if let Some(data) = &mut self.data {
            data.status = Status::error("");
            self.set("error.type", code.into());
        }
    }

    /// Sets its end to now. It is still open for attributes, until it is dropped.
    pub fn stop(&mut self) {
        if let Some(data) = &mut self.data {
            data.end_time = SystemTime::now().max(data.start_time);
        }
    }

    /// The time since its start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let start = self.data.as_ref().map(|data| data.start_time);
        start.and_then(|start| start.elapsed().ok()).unwrap_or_default()
    }

    /// Sets its times, for work that another process has reported.
    pub fn set_times(&mut self, start: SystemTime, end: SystemTime) {
        if let Some(data) = &mut self.data {
            data.start_time = start;
            data.end_time = end.max(start);
        }
    }
}

fn new_data(
    span_context: SpanContext,
    parent: Option<&SpanContext>,
    span_kind: SpanKind,
    name: Cow<'static, str>,
) -> SpanData {
    let start_time = SystemTime::now();
    SpanData {
        span_context,
        parent_span_id: parent.map_or(SpanId::INVALID, SpanContext::span_id),
        parent_span_is_remote: parent.is_some_and(SpanContext::is_remote),
        span_kind,
        name,
        start_time,
        // Set when it ends.
        end_time: SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("hearth")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let (Some(mut data), Some(tracer)) = (self.data.take(), TRACER.get()) {
            if data.end_time == SystemTime::UNIX_EPOCH {
                // The clock may have been set back.
                data.end_time = SystemTime::now().max(data.start_time);
            }
            tracer.queue.push(*data);
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.data.as_ref().map(|data| &data.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_without_a_tracer_is_empty() {
        let mut span = Span::root(&TraceContext::default(), SpanKind::Server, "request");
        span.set("key", "value");
        span.fail("internal");
        assert!(!span.is_recorded() && span.context().is_empty());
        assert!(!Span::child(span.context(), SpanKind::Internal, "child").is_recorded());
    }
}
