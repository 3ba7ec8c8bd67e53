//! Spans of a run on the node: its wait in the queue, the load of its model, and the prefill and decode that its worker
//! has reported. The worker records none itself: it has no network.

use std::time::{Duration, SystemTime};

use hearth_domain::Usage;
use hearth_telemetry::traces::{Span, SpanKind};
use hearth_wire::RunEventBody;

use crate::frames::Timings;

/// The span of a run, below which its parts lie.
#[derive(Debug)]
pub(super) struct RunTrace {
    run: Span,
    /// The time at which the run was sent to its worker.
    dispatched_at: Option<SystemTime>,
}

impl RunTrace {
    pub(super) fn new(run: Span) -> Self {
        Self { run, dispatched_at: None }
    }

    /// The run has waited for its slot, and for its model, for `waited`.
    pub(super) fn end_wait(&mut self, waited: Duration) {
        if self.run.is_recorded() {
            let now = SystemTime::now();
            self.part("queue", before(now, waited), now);
            self.dispatched_at = Some(now);
        }
    }

    /// The run has waited for its model to be loaded for `took`, a part of its wait in the queue.
    pub(super) fn load(&self, model: &str, took: Duration) {
        if self.run.is_recorded() {
            let now = SystemTime::now();
            let mut span = self.part("model load", before(now, took), now);
            span.set("hearth.model", model.to_owned());
        }
    }

    /// The worker has ended the run, and reports how long its parts have taken.
    pub(super) fn compute(&mut self, usage: &Usage, timings: &Timings) {
        if !self.run.is_recorded() {
            return;
        }
        let end = SystemTime::now();
        let decode = before(end, timings.decode);
        let prefill = before(decode, timings.prefill);
        if let Some(dispatched) = self.dispatched_at {
            // The task is tokenized, and waits for a step.
            self.part("prepare", dispatched.min(prefill), prefill);
        }
        let mut span = self.part("prefill", prefill, decode);
        span.set("hearth.tokens", i64::from(timings.prefilled));
        span.set("hearth.cached_tokens", i64::from(usage.cached_tokens));
        drop(span);
        if timings.decoded > 0 {
            self.part("decode", decode, end).set("hearth.tokens", i64::from(timings.decoded));
        }
        self.run.set("gen_ai.usage.input_tokens", i64::from(usage.prompt_tokens));
        self.run.set("gen_ai.usage.output_tokens", i64::from(usage.completion_tokens));
    }

    /// The run has ended with `last`.
    pub(super) fn end(&mut self, last: &RunEventBody) {
        match last {
            RunEventBody::Error { error } => self.run.fail(error.code.as_str()),
            RunEventBody::Cancelled => self.run.set("hearth.run.outcome", "cancelled"),
            _ => self.run.set("hearth.run.outcome", "completed"),
        }
    }

    fn part(&self, name: &'static str, start: SystemTime, end: SystemTime) -> Span {
        let mut span = Span::child(self.run.context(), SpanKind::Internal, name);
        span.set_times(start, end);
        span
    }
}

/// The time that lies `duration` before `time`.
fn before(time: SystemTime, duration: Duration) -> SystemTime {
    time.checked_sub(duration).unwrap_or(time)
}
