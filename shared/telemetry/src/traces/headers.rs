//! The headers by which a trace is continued in another process.

use hearth_settings::Propagation;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::{context::TraceContext, xray};

/// Limit of a `tracestate`, which every span of the trace has. A longer one is dropped; W3C asks for this much to be passed on.
const STATE_MAX_BYTES: usize = 512;
/// Header of AWS X-Ray.
const XRAY_HEADER: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Header of a caller's state, by W3C.
const STATE_HEADER: HeaderName = HeaderName::from_static("tracestate");

/// Reads a caller's position; empty if there is none that can be read.
pub(super) fn read(headers: &HeaderMap, propagation: Propagation) -> TraceContext {
    let xray = headers.get(XRAY_HEADER).and_then(|value| value.to_str().ok());
    if let Some(header) = xray.filter(|_| propagation == Propagation::Xray) {
        let context = read_xray(header, propagation);
        if !context.is_empty() {
            return context;
        }
    }
    let propagator = TraceContextPropagator::new();
    let context = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let mut context = context.span().span_context().clone();
    let state = headers.get_all(STATE_HEADER).iter().map(HeaderValue::len).sum::<usize>();
    if state > STATE_MAX_BYTES {
        let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
        context = SpanContext::new(trace, span, flags, context.is_remote(), TraceState::NONE);
    }
    if context.is_valid() { TraceContext::new(context) } else { TraceContext::default() }
}

/// Reads a value of X-Ray's header.
pub(super) fn read_xray(header: &str, propagation: Propagation) -> TraceContext {
    match propagation {
        Propagation::Xray => xray::parse(header).map(TraceContext::new).unwrap_or_default(),
        Propagation::W3c => TraceContext::default(),
    }
}

/// Writes the headers of a position.
pub(super) fn write(context: &SpanContext, propagation: Propagation, headers: &mut HeaderMap) {
    let position = Context::new().with_remote_span_context(context.clone());
    TraceContextPropagator::new().inject_context(&position, &mut HeaderInjector(headers));
    if propagation == Propagation::Xray
        && let Ok(value) = HeaderValue::from_str(&xray::format(context))
    {
        headers.insert(XRAY_HEADER, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn w3c_position_and_state_are_passed_on() {
        let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
        let received = headers(&[("traceparent", traceparent.as_str()), ("tracestate", "vendor=1,other=2")]);
        let position = read(&received, Propagation::W3c);
        assert_eq!(position.trace_id().as_deref(), Some(TRACE));
        let mut sent = HeaderMap::new();
        write(position.get().unwrap(), Propagation::W3c, &mut sent);
        assert_eq!(sent, received);
    }

    #[test]
    fn state_above_its_limit_is_dropped_and_the_position_passed_on() {
        let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
        for (length, is_kept) in [(STATE_MAX_BYTES, true), (STATE_MAX_BYTES + 1, false)] {
            // W3C limits a value to 256 characters.
            let entry = |key: &str, length: usize| format!("{key}={}", "x".repeat(length - 2));
            let state = format!("{},{}", entry("a", 255), entry("b", length - 256));
            let received = headers(&[("traceparent", traceparent.as_str()), ("tracestate", state.as_str())]);
            let position = read(&received, Propagation::W3c);
            assert_eq!(position.trace_id().as_deref(), Some(TRACE));
            let state = position.get().unwrap().trace_state().header();
            assert_eq!(state.len(), if is_kept { length } else { 0 });
        }
    }

    #[test]
    fn unreadable_position_is_none() {
        for traceparent in ["", "00-0-0-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"] {
            assert!(read(&headers(&[("traceparent", traceparent)]), Propagation::W3c).is_empty());
        }
    }

    #[test]
    fn xray_comes_first_only_where_it_is_enabled() {
        let w3c = format!("00-{TRACE}-b7ad6b7169203331-01");
        let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let both = headers(&[("traceparent", w3c.as_str()), ("x-amzn-trace-id", xray)]);
        let id = |propagation| read(&both, propagation).trace_id().unwrap();
        assert_eq!(id(Propagation::W3c), TRACE);
        assert_eq!(id(Propagation::Xray), "5759e988bd862e3fe1be46a994272793");
        let mut sent = HeaderMap::new();
        write(read(&both, Propagation::Xray).get().unwrap(), Propagation::Xray, &mut sent);
        assert_eq!(sent[XRAY_HEADER], xray);
        assert_eq!(sent["traceparent"], "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
    }
}
