//! The choice of the traces to record.

use hearth_settings::{Propagation, Sampler, TraceSettings};
use opentelemetry::trace::{SpanContext, TraceId};

use super::xray;

/// The choice for traces that begin here, and for those of callers.
#[derive(Debug)]
pub(super) struct TraceSampler {
    follows_parent: bool,
    /// Ids whose lower half is below this are recorded.
    bound: u64,
    is_xray: bool,
}

impl TraceSampler {
    pub(super) fn new(settings: &TraceSettings) -> Self {
        use Sampler::{AlwaysOff, AlwaysOn, ParentAlwaysOff, ParentAlwaysOn, ParentRatio, Ratio};
        let ratio = match settings.sampler {
            AlwaysOn | ParentAlwaysOn => 1.0,
            AlwaysOff | ParentAlwaysOff => 0.0,
            Ratio | ParentRatio => settings.sample_ratio,
        };
        Self {
            follows_parent: matches!(settings.sampler, ParentAlwaysOn | ParentAlwaysOff | ParentRatio),
            bound: bound(ratio),
            is_xray: settings.propagation == Propagation::Xray,
        }
    }

    /// True if a trace is recorded. `parent`: the caller's position.
    pub(super) fn records(&self, id: TraceId, parent: Option<&SpanContext>) -> bool {
        match parent {
            Some(parent) if self.follows_parent => parent.is_sampled(),
            _ => {
                let [.., a, b, c, d, e, f, g, h] = id.to_bytes();
                // As OpenTelemetry's SDKs choose, so that all services choose the same traces.
                (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1) < self.bound
            }
        }
    }

    /// Completes the id of a new trace.
    pub(super) fn complete(&self, id: TraceId) -> TraceId {
        if self.is_xray { xray::with_time(id) } else { id }
    }
}

/// The bound of a ratio, for numbers of 63 bits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a ratio from 0 to 1 of 2^63"
)]
fn bound(ratio: f64) -> u64 {
    (ratio.clamp(0.0, 1.0) * (1u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceState};

    use super::*;

    fn sampler(sampler: Sampler, sample_ratio: f64) -> TraceSampler {
        TraceSampler::new(&TraceSettings { sampler, sample_ratio, ..TraceSettings::default() })
    }

    fn id(low: u64) -> TraceId {
        TraceId::from(u128::from(low))
    }

    fn parent(flags: TraceFlags) -> SpanContext {
        SpanContext::new(id(1), SpanId::from(1), flags, true, TraceState::default())
    }

    #[test]
    fn ratio_divides_new_traces() {
        let records = |ratio, low| sampler(Sampler::ParentRatio, ratio).records(id(low), None);
        assert!(records(1.0, u64::MAX) && records(0.25, u64::MAX / 4 - 1));
        assert!(!records(0.0, 0) && !records(0.25, u64::MAX / 4 + 2));
    }

    #[test]
    fn parent_based_sampler_follows_the_caller() {
        for (kind, flags, expected) in [
            (Sampler::ParentRatio, TraceFlags::SAMPLED, true),
            (Sampler::ParentAlwaysOff, TraceFlags::SAMPLED, true),
            (Sampler::ParentAlwaysOn, TraceFlags::default(), false),
            (Sampler::AlwaysOn, TraceFlags::default(), true),
            (Sampler::AlwaysOff, TraceFlags::SAMPLED, false),
        ] {
            assert_eq!(sampler(kind, 0.0).records(id(1), Some(&parent(flags))), expected, "{kind:?}");
        }
    }
}
