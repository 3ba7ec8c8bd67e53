//! The summary of a run: its outcome, times, tokens and cost, for the metrics, and in the cloud for a log line.

use std::time::{Duration, Instant};

use hearth_domain::{Cost, Delivery, Payer, RunId, Selection, StructuredStatus, Usage};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{ErrorCode, RunEventBody};
use metrics::{Counter, Histogram};

use crate::routing::OWN_PROVIDER;

/// The metrics of runs.
#[derive(Debug)]
pub(super) struct RunMetrics {
    completed_seconds: Histogram,
    failed_seconds: Histogram,
    cancelled_seconds: Histogram,
    valid_answers: Counter,
    relaxed_answers: Counter,
    invalid_answers: Counter,
    unchecked_answers: Counter,
}

impl RunMetrics {
    pub(super) fn new() -> Self {
        let seconds = |outcome: &'static str| metrics::histogram!("hearth_run_seconds", "outcome" => outcome);
        let structured =
            |result: &'static str| metrics::counter!("hearth_structured_answers_total", "result" => result);
        Self {
            completed_seconds: seconds("completed"),
            failed_seconds: seconds("failed"),
            cancelled_seconds: seconds("cancelled"),
            valid_answers: structured("valid"),
            relaxed_answers: structured("relaxed"),
            invalid_answers: structured("invalid"),
            unchecked_answers: structured("bypassed"),
        }
    }
}

/// The summary of a run, up to now.
#[derive(Debug)]
pub(super) struct RunSummary {
    began: Instant,
    /// Write a log line at the run's end: in a process whose metrics nobody reads, since it is frozen between requests.
    is_logged: bool,
    /// The request's trace, if it is recorded and the run is logged.
    trace_id: Option<String>,
    /// None of an answer in one piece.
    first_token: Option<Duration>,
    delivery: Delivery,
    /// The candidate that serves the run, if the run is logged.
    selection: Option<Selection>,
    usage: Usage,
    cost: Option<Cost>,
}

impl RunSummary {
    pub(super) fn new(is_logged: bool, trace: &TraceContext) -> Self {
        let trace_id = if is_logged { trace.trace_id() } else { None };
        let (first_token, selection, usage, cost) = (None, None, Usage::default(), None);
        let (began, delivery) = (Instant::now(), Delivery::Whole);
        Self { began, is_logged, trace_id, first_token, delivery, selection, usage, cost }
    }

    /// Sets the delivery of the answer.
    pub(super) fn set_delivery(&mut self, delivery: Delivery) {
        self.delivery = delivery;
    }

    /// Observes an event of the run. The terminal one ends the summary.
    pub(super) fn observe(&mut self, event: &RunEventBody, id: RunId, metrics: &RunMetrics) {
        match event {
            RunEventBody::Selected(selection) if self.is_logged => self.selection = Some(selection.clone()),
            RunEventBody::Structured { structured, .. } => {
                let counter = match structured.status() {
                    StructuredStatus::Passed => &metrics.valid_answers,
                    StructuredStatus::Relaxed => {
                        tracing::info!(run = %id, "an answer is accepted by its relaxed schema");
                        &metrics.relaxed_answers
                    }
                    StructuredStatus::Failed => &metrics.invalid_answers,
                    StructuredStatus::Bypassed => &metrics.unchecked_answers,
                };
                counter.increment(1);
            }
            RunEventBody::Usage { usage } => self.usage = *usage,
            RunEventBody::Cost { cost } => self.cost = Some(*cost),
            RunEventBody::Done { .. } => self.end("completed", None, id, &metrics.completed_seconds),
            RunEventBody::Cancelled => self.end("cancelled", None, id, &metrics.cancelled_seconds),
            RunEventBody::Error { error } => {
                self.end("failed", Some(error.code), id, &metrics.failed_seconds);
            }
            event if self.is_logged && self.awaits_first_token() && event.commits_to_candidate() => {
                self.first_token = Some(self.began.elapsed());
            }
            _ => {}
        }
    }

    fn awaits_first_token(&self) -> bool {
        self.delivery == Delivery::Stream && self.first_token.is_none()
    }

    fn end(&self, outcome: &'static str, code: Option<ErrorCode>, id: RunId, seconds: &Histogram) {
        let took = self.began.elapsed();
        seconds.record(took);
        if self.is_logged {
            self.log(outcome, code, id, took, false);
        }
    }

    /// Logs a run that the cache has served.
    pub(super) fn log_cached(selection: &Selection, id: RunId, trace: &TraceContext) {
        let selection = Some(selection.clone());
        Self { selection, ..Self::new(true, trace) }.log("completed", None, id, Duration::ZERO, true);
    }

    /// Writes the run's line. In the cloud `telemetry` adds metrics to it, which it knows by the event's name.
    fn log(
        &self,
        outcome: &'static str,
        code: Option<ErrorCode>,
        id: RunId,
        took: Duration,
        is_cached: bool,
    ) {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        // As for a request: a failure by the request's own fault isn't the gateway's.
        let is_own_failure = code.is_some_and(|code| code.status() >= 500);
        tracing::info!(
            name: "run",
            request_id = %id,
            trace_id = self.trace_id,
            provider = self.selection.as_ref().map(provider_dimension),
            model = self.selection.as_ref().map(|selection| selection.model.as_str()),
            outcome,
            code = code.map(ErrorCode::as_str),
            failed = u8::from(is_own_failure),
            cached = u8::from(is_cached),
            duration_ms = millis(took),
            first_token_ms = self.first_token.map(millis),
            input_tokens = self.usage.prompt_tokens,
            output_tokens = self.usage.completion_tokens,
            cost_dollars = self.cost.map(Cost::dollars),
            "run"
        );
    }
}

/// The provider in a run's line. It is a dimension of metrics, of which each value costs money, and users name the
/// providers of their own keys.
fn provider_dimension(selection: &Selection) -> &str {
    match selection.payer {
        None | Some(Payer::Operator) => &selection.provider,
        Some(Payer::User | Payer::Team | Payer::Organisation) => OWN_PROVIDER,
    }
}
