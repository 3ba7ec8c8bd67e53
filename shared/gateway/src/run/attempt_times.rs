//! The times of an attempt: for the strategies, and as metrics.

use std::time::Instant;

use hearth_domain::{Delivery, Usage};
use hearth_wire::{ErrorCode, RunEventBody};

use crate::{
    providers::{load::LoadGuard, model_metrics::OperationMetrics},
    stage::Stage,
};

/// The times of one attempt at a model. Those within an answer are known of streamed ones only: the events of an answer in
/// one piece come together, at its end.
#[derive(Debug)]
pub(super) struct AttemptTimes<'a> {
    load: &'a LoadGuard,
    metrics: &'a OperationMetrics,
    is_node: bool,
    delivery: Delivery,
    began: Instant,
    /// The time at which a node gave the run a slot.
    started: Option<Instant>,
    first_token: Option<Instant>,
    usage: Usage,
}

impl<'a> AttemptTimes<'a> {
    /// Begins an attempt, whose operation has these metrics.
    pub(super) fn begin(
        load: &'a LoadGuard,
        metrics: &'a OperationMetrics,
        is_node: bool,
        delivery: Delivery,
    ) -> Self {
        let (began, started, first_token) = (Instant::now(), None, None);
        Self { load, metrics, is_node, delivery, began, started, first_token, usage: Usage::default() }
    }

    /// Observes an event of the attempt.
    pub(super) fn observe(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Started { .. } if self.is_node && self.started.is_none() => {
                let now = Instant::now();
                self.started = Some(now);
                if self.delivery == Delivery::Stream {
                    Stage::Queue.record(now - self.began);
                }
            }
            RunEventBody::Usage { usage } => self.usage = *usage,
            event if self.first_token.is_none() && event.commits_to_candidate() => {
                let now = Instant::now();
                self.first_token = Some(now);
                let took = now - self.began;
                self.load.record_first_token(took);
                if self.delivery == Delivery::Stream {
                    self.metrics.first_token_seconds.record(took);
                    Stage::FirstByte.record(now - self.started.unwrap_or(self.began));
                }
            }
            _ => {}
        }
    }

    /// Records the attempt, which has ended well or with an error.
    pub(super) fn end(self, error: Option<ErrorCode>) {
        let now = Instant::now();
        self.metrics.record_duration(now - self.began, error);
        if self.delivery == Delivery::Whole {
            return Stage::Answer.record(now - self.began);
        }
        let Some(first) = self.first_token else { return };
        Stage::Stream.record(now - first);
        // The time of the first token is a metric of its own.
        if let Some(tokens @ 1..) = self.usage.completion_tokens.checked_sub(1) {
            self.metrics.output_token_seconds.record((now - first) / tokens);
        }
    }
}
