//! `X-Amzn-Trace-Id`, the header of AWS X-Ray.
//!
//! <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Parses the header's value. Without a parent it names a trace, and no span to be a child of: it is none.
pub(super) fn parse(header: &str) -> Option<SpanContext> {
    let (mut root, mut parent, mut flags) = (None, None, TraceFlags::default());
    for (name, value) in header.split(';').filter_map(|field| field.trim().split_once('=')) {
        match name {
            "Root" => {
                let (time, random) = value.strip_prefix("1-")?.split_once('-')?;
                let is_whole = time.len() == 8 && random.len() == 24;
                root = is_whole.then(|| TraceId::from_hex(&[time, random].concat()).ok()).flatten();
            }
            "Parent" => parent = SpanId::from_hex(value).ok(),
            "Sampled" if value == "1" => flags = TraceFlags::SAMPLED,
            _ => {}
        }
    }
    let context = SpanContext::new(root?, parent?, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

/// Formats a position as the header's value.
pub(super) fn format(context: &SpanContext) -> String {
    let (trace, sampled) = (context.trace_id().to_string(), u8::from(context.is_sampled()));
    let (time, random) = trace.split_at(8);
    format!("Root=1-{time}-{random};Parent={};Sampled={sampled}", context.span_id())
}

/// Puts the time into a trace's id: X-Ray's ids begin with the seconds since 1970.
pub(super) fn with_time(id: TraceId) -> TraceId {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut bytes = id.to_bytes();
    let low = u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default();
    bytes[..4].copy_from_slice(&low.to_be_bytes());
    TraceId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_without_a_whole_root_and_parent_is_none() {
        for header in [
            "",
            "Root=1-5759e988-bd862e3fe1be46a994272793",
            "Parent=53995c3f42cd8ad8;Sampled=1",
            "Root=1-5759-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
        ] {
            assert!(parse(header).is_none(), "{header}");
        }
    }

    #[test]
    fn undecided_trace_is_not_sampled() {
        let header =
            "Self=1;Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?;Lineage=a:0";
        let context = parse(header).unwrap();
        assert!(!context.is_sampled());
        assert!(format(&context).ends_with(";Sampled=0"));
    }

    #[test]
    fn new_id_begins_with_the_time() {
        let id = with_time(TraceId::from_bytes([7; 16])).to_bytes();
        assert!(u32::from_be_bytes([id[0], id[1], id[2], id[3]]) > 1_700_000_000);
        assert_eq!(id[4..], [7; 12]);
    }
}
