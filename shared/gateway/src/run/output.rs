//! The output of a run: sends its events to the client, the record and the cache, and counts usage and cost.
//!
//! A client gets usage and cost once. If no other model may resume the answer, they are sent when the provider reports the
//! usage. If one may ([`RunOutput::partial`] is set), they are summed over the models first:
//!
//! ```text
//! usage of a model ──▶ stored in the partial answer, not sent
//! the model breaks off ──▶ its usage, or an estimate, is charged and added to the sum; the next model goes on
//! terminal event ──▶ the last model's usage is charged and added; the sum is sent, then the terminal event
//! ```

use std::sync::Arc;

use hearth_domain::{Generation, RunId, Usage};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{RunEvent, RunEventBody};

use super::{
    active::{ActiveRun, StopSignal},
    context::RunContext,
    errors::goes_on_elsewhere,
    pricing::CostMeter,
    readers::Readers,
    resume::{PartialAnswer, UsageAndCost},
    schema_retry::SchemaRetry,
    stream::EventSender,
    summary::RunSummary,
    trace::RunTrace,
    unreported::UnreportedUsage,
};
use crate::{cache::Capture, limits::RunAccount, record::Recording};

/// The output of one run.
pub(super) struct RunOutput {
    pub(super) context: Arc<RunContext>,
    pub(super) id: RunId,
    /// The request, which changes when another model resumes the answer.
    pub(super) generation: Arc<Generation>,
    /// None for a client that no longer reads.
    pub(super) client: Option<EventSender>,
    pub(super) recording: Recording,
    /// Stores the answer in the cache, if it is cacheable.
    pub(super) capture: Option<Capture>,
    /// Stops the run: it is cancelled by its id, or its process ends.
    pub(super) stop: Arc<StopSignal>,
    /// The readers of its events.
    pub(super) readers: Arc<Readers>,
    /// The answer so far, if another model may resume it.
    pub(super) partial: Option<PartialAnswer>,
    /// Prices of the provider that serves the run now.
    pub(super) cost_meter: CostMeter,
    pub(super) trace: RunTrace,
    pub(super) summary: RunSummary,
    /// The reservation of the run, and what it has used.
    pub(super) account: RunAccount,
    /// The attempts at an answer with a schema, if it may be requested again.
    pub(super) schema_retry: Option<SchemaRetry>,
    pub(super) unreported: UnreportedUsage,
    seq: u64,
}

impl RunOutput {
    pub(super) fn new(
        context: &Arc<RunContext>,
        account: RunAccount,
        generation: Generation,
        client: EventSender,
        recording: Recording,
        capture: Option<Capture>,
        trace: &TraceContext,
    ) -> Self {
        let id = account.run();
        let (ActiveRun { stop, readers }, partial) =
            (context.active.enter(id), PartialAnswer::new(&generation));
        Self {
            context: Arc::clone(context),
            id,
            generation: Arc::new(generation),
            client: Some(client),
            recording,
            capture,
            stop,
            readers,
            partial,
            cost_meter: CostMeter::default(),
            trace: RunTrace::start(trace.clone(), id),
            summary: RunSummary::new(context.records.are_shared(), trace),
            account,
            schema_retry: None,
            unreported: UnreportedUsage::default(),
            seq: 0,
        }
    }

    /// Sends an event, and before a run's end its usage and cost.
    pub(super) async fn emit(&mut self, body: RunEventBody) {
        self.unreported.observe(&body);
        match &body {
            // The partial answer has it.
            RunEventBody::Usage { .. } if self.partial.is_some() => return,
            RunEventBody::Usage { usage } => {
                let spent = self.charge(*usage);
                let spent = self.with_earlier_attempts(spent);
                return self.send_usage(spent).await;
            }
            end if end.is_terminal() => {
                // A provider that is cut off reports no usage, and charges what it has made.
                let is_cut = !matches!(end, RunEventBody::Done { .. }) && self.unreported.has_output();
                if self.partial.as_ref().is_some_and(|partial| partial.has_usage() || is_cut) {
                    self.charge_partial();
                }
                let estimate = self.unreported.estimate(&self.generation).filter(|_| self.partial.is_none());
                if let Some(spent) = self.partial.take().and_then(|partial| partial.total()) {
                    self.send_usage(spent).await;
                } else if let Some(usage) = estimate {
                    if is_cut || self.has_earlier_attempts() {
                        let spent = self.charge(usage);
                        let spent = self.with_earlier_attempts(spent);
                        self.send_usage(spent).await;
                    } else {
                        self.account.estimate(usage, self.cost_meter.cost_of(&usage));
                    }
                } else if let Some(spent) = self.schema_retry.as_mut().and_then(SchemaRetry::take_spent) {
                    self.send_usage(spent).await;
                }
            }
            _ => {}
        }
        if body.is_terminal()
            && let Some(cost) = self.cost_meter.charge_images()
        {
            self.trace.charge_images(cost);
            self.send(RunEventBody::Cost { cost }).await;
        }
        self.cost_meter.count(&body);
        self.send(body).await;
    }

    /// Charges the usage of the present model, if another one may resume its answer.
    pub(super) fn charge_partial(&mut self) {
        let usage = self.partial.as_ref().and_then(|partial| partial.usage(&self.generation));
        let spent = usage.map(|usage| self.charge(usage));
        if let (Some(partial), Some(spent)) = (&mut self.partial, spent) {
            partial.end_model(spent);
        }
    }

    fn has_earlier_attempts(&self) -> bool {
        self.schema_retry.as_ref().is_some_and(SchemaRetry::has_spent)
    }

    /// Adds the usage and cost of earlier attempts at the answer.
    fn with_earlier_attempts(&mut self, spent: UsageAndCost) -> UsageAndCost {
        let earlier = self.schema_retry.as_mut().and_then(SchemaRetry::take_spent);
        earlier.map_or(spent, |earlier| earlier.and(spent))
    }

    /// Counts the usage, and computes its cost.
    pub(super) fn charge(&mut self, usage: Usage) -> UsageAndCost {
        let cost = self.cost_meter.charge_tokens(&self.generation.task, &usage);
        self.trace.charge(&usage, cost);
        UsageAndCost { usage, cost }
    }

    pub(super) async fn send_usage(&mut self, UsageAndCost { usage, cost }: UsageAndCost) {
        self.send(RunEventBody::Usage { usage }).await;
        if let Some(cost) = cost {
            self.send(RunEventBody::Cost { cost }).await;
        }
    }

    /// Sends an event to the cache, the record and the client. The terminal event waits for its record, where that is late
    /// or the process may be frozen when the client has the event.
    async fn send(&mut self, body: RunEventBody) {
        self.seq += 1;
        if let Some(capture) = &mut self.capture {
            capture.add(&body);
        }
        self.account.observe(&body);
        self.trace.observe(&body);
        self.summary.observe(&body, self.id, &self.context.metrics);
        let event = RunEvent { seq: self.seq, body };
        if event.body.is_terminal() {
            self.record_end(event.clone()).await;
        } else if !matches!(event.body, RunEventBody::Embedding { .. }) {
            // Vectors aren't recorded: those of one request fill hundreds of items.
            self.recording.record(event.clone());
            self.recording.wait_for_room().await;
        }
        self.send_to_client(event).await;
    }

    /// Leaves the run open: its client gets an error, and the record none. The next process of the gateway records the rest.
    pub(super) async fn leave(&mut self) {
        self.account.leave();
        let body = RunEventBody::Error { error: goes_on_elsewhere(self.id) };
        self.send_to_client(RunEvent { seq: self.seq + 1, body }).await;
    }

    async fn record_end(&self, event: RunEvent) {
        let waits = self.context.records.end_waits();
        let Some(receipt) = self.recording.end(event) else { return };
        if waits && !receipt.wait().await {
            tracing::error!(run = %self.id, trace_id = self.trace.id(), "the run's record is late; its client gets the answer before");
        }
    }

    /// Sends an event to the client. One that doesn't read it counts as gone.
    async fn send_to_client(&mut self, event: RunEvent) {
        let Some(client) = &self.client else { return };
        let is_ending = event.body.is_terminal();
        let stopped = async {
            if is_ending {
                std::future::pending::<()>().await;
            }
            self.stop.received().await;
            self.stop.put_back();
        };
        if !client.send(event, stopped).await {
            tracing::info!(run = %self.id, trace_id = self.trace.id(), "the client doesn't read the answer");
            self.client = None;
        }
    }
}
