//! Spans of a run: one for the run, and below it one for each attempt at a candidate, by OpenTelemetry's conventions
//! for generative AI (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>).
//!
//! The run's span has the cost that the client gets: the sum over the models, where one has resumed another's answer.
//! An attempt's span has the tokens and the cost of its model.

use hearth_domain::{Cost, FinishReason, Generation, RunId, Task, Usage};
use hearth_telemetry::traces::{self, KeyValue, Span, SpanKind, TraceContext, Value};
use hearth_wire::{ApiError, RunEventBody};

use super::trace_content::OutputContent;
use crate::{providers::model_metrics::operation_name, routing::Candidate};

/// Spans of one run. Without a recorded trace it is the caller's position alone.
#[derive(Debug, Default)]
pub(super) struct RunTrace {
    parent: TraceContext,
    recorded: Option<Box<RecordedRun>>,
}

#[derive(Debug)]
struct RecordedRun {
    run: Span,
    /// The latest attempt; empty before the first one.
    attempt: Span,
    attempts: i64,
    has_answered: bool,
    finish_reasons: Vec<&'static str>,
    /// The output of the attempt, if spans contain it.
    output: Option<OutputContent>,
}

impl RunTrace {
    /// Starts the span of the run `id`.
    pub(super) fn start(parent: TraceContext, id: RunId) -> Self {
        let mut run = Span::child(&parent, SpanKind::Internal, "run");
        let recorded = run.is_recorded().then(|| {
            run.set("hearth.run.id", id.to_string());
            Box::new(RecordedRun {
                run,
                attempt: Span::default(),
                attempts: 0,
                has_answered: false,
                finish_reasons: Vec::new(),
                output: None,
            })
        });
        Self { parent, recorded }
    }

    /// The position below which a candidate's spans lie.
    pub(super) fn context(&self) -> TraceContext {
        match &self.recorded {
            Some(recorded) => recorded.attempt.context().clone(),
            None => self.parent.clone(),
        }
    }

    /// The trace's id, for log lines.
    pub(super) fn id(&self) -> Option<String> {
        self.parent.trace_id()
    }

    /// Starts the span of an attempt at `candidate`, after the one before has ended.
    pub(super) fn begin_attempt(&mut self, candidate: &Candidate, generation: &Generation, id: RunId) {
        let Some(recorded) = &mut self.recorded else { return };
        recorded.end_attempt();
        recorded.attempts += 1;
        recorded.attempt = attempt_span(recorded.run.context(), candidate, generation, id);
        recorded.attempt.set("hearth.attempt", recorded.attempts);
        recorded.has_answered = false;
        recorded.output = traces::captures_content().then(OutputContent::default);
    }

    /// Marks the present attempt as failed. Its usage may still be charged.
    pub(super) fn fail_attempt(&mut self, error: &ApiError) {
        if let Some(recorded) = &mut self.recorded {
            recorded.fail_attempt(error);
            recorded.attempt.stop();
        }
    }

    /// Notes that another candidate is asked, for the reason `code`.
    pub(super) fn fall_back(&mut self, candidate: &Candidate, code: &'static str) {
        if let Some(recorded) = &mut self.recorded {
            let from = candidate.selected.model.to_string();
            let attributes = vec![KeyValue::new("error.type", code), KeyValue::new("hearth.model", from)];
            recorded.run.event("fallback", attributes);
        }
    }

    /// Adds the usage and the cost of the present attempt's model.
    pub(super) fn charge(&mut self, usage: &Usage, cost: Option<Cost>) {
        if let Some(recorded) = &mut self.recorded {
            let attempt = &mut recorded.attempt;
            attempt.set("gen_ai.usage.input_tokens", i64::from(usage.prompt_tokens));
            attempt.set("gen_ai.usage.output_tokens", i64::from(usage.completion_tokens));
            attempt.set("gen_ai.usage.cache_read.input_tokens", i64::from(usage.cached_tokens));
            if let Some(cost) = cost {
                attempt.set("hearth.cost_usd", cost.dollars());
            }
        }
    }

    /// Adds the cost of the images of the present attempt.
    pub(super) fn charge_images(&mut self, cost: Cost) {
        if let Some(recorded) = &mut self.recorded {
            recorded.attempt.set("hearth.cost_usd", cost.dollars());
        }
    }

    /// Observes an event that the client gets.
    pub(super) fn observe(&mut self, event: &RunEventBody) {
        let Some(recorded) = &mut self.recorded else { return };
        if event.commits_to_candidate() && !recorded.has_answered {
            recorded.has_answered = true;
            let elapsed = recorded.attempt.elapsed().as_secs_f64();
            recorded.attempt.set("gen_ai.response.time_to_first_chunk", elapsed);
            recorded.attempt.event("gen_ai.first_chunk", Vec::new());
        }
        if let Some(output) = &mut recorded.output {
            output.observe(event);
        }
        match event {
            RunEventBody::Waiting { reason, .. } => {
                recorded.run.event("waiting", vec![KeyValue::new("hearth.wait.reason", reason.as_str())]);
            }
            RunEventBody::Queued { position } => {
                let attributes = vec![KeyValue::new("hearth.queue.position", i64::from(*position))];
                recorded.attempt.event("queued", attributes);
            }
            RunEventBody::Cost { cost } => recorded.run.set("hearth.run.cost_usd", cost.dollars()),
            RunEventBody::ChoiceDone { finish_reason, .. } => {
                recorded.finish_reasons.push(name(*finish_reason))
            }
            RunEventBody::Done { finish_reason } => {
                if recorded.finish_reasons.is_empty() {
                    recorded.finish_reasons.push(name(*finish_reason));
                }
                recorded.end("completed");
            }
            RunEventBody::Cancelled => {
                recorded.finish_reasons.push(name(FinishReason::Cancelled));
                recorded.end("cancelled");
            }
            RunEventBody::Error { error } => {
                // An error that ends the run and no attempt, such as a limit of the gateway, is the run's alone.
                recorded.run.fail(error.code.as_str());
                recorded.end("failed");
            }
            _ => {}
        }
    }
}

impl RecordedRun {
    fn fail_attempt(&mut self, error: &ApiError) {
        self.attempt.fail(error.code.as_str());
        if let Some(status) = error.details.get("provider_status").and_then(serde_json::Value::as_i64) {
            self.attempt.set("http.response.status_code", status);
        }
    }

    /// Ends the present attempt.
    fn end_attempt(&mut self) {
        if let Some(output) = self.output.take() {
            self.attempt.set("gen_ai.output.messages", output.into_json(&self.finish_reasons));
        }
        if !self.finish_reasons.is_empty() {
            let reasons = std::mem::take(&mut self.finish_reasons);
            let reasons = reasons.into_iter().map(Into::into).collect();
            self.attempt.set("gen_ai.response.finish_reasons", Value::Array(traces::Array::String(reasons)));
        }
        self.attempt = Span::default();
    }

    /// Ends the attempt, and the run's time: the client's last event and the record's write aren't a part of it.
    fn end(&mut self, outcome: &'static str) {
        self.end_attempt();
        self.run.set("hearth.run.outcome", outcome);
        self.run.set("hearth.run.attempts", self.attempts);
        self.run.stop();
    }
}

/// The span of a request to a candidate.
fn attempt_span(parent: &TraceContext, candidate: &Candidate, generation: &Generation, id: RunId) -> Span {
    let operation = operation_name(&generation.task);
    let mut span = Span::child(parent, SpanKind::Client, format!("{operation} {}", candidate.model));
    let selected = &candidate.selected;
    span.set("gen_ai.operation.name", operation);
    span.set("gen_ai.provider.name", provider_name(candidate.provider.kind()).to_owned());
    span.set("gen_ai.request.model", candidate.model.to_string());
    span.set("gen_ai.response.model", selected.model.to_string());
    span.set("gen_ai.response.id", id.to_string());
    span.set("hearth.provider", selected.provider.clone());
    span.set("hearth.selection.reason", selected.reason.clone());
    if let Some(node) = selected.node {
        span.set("hearth.node.id", node.to_string());
    }
    if let Some(address) = candidate.provider.server_address() {
        span.set("server.address", address);
    }
    if let Task::Text(task) = &generation.task {
        let sampling = &task.sampling;
        if let Some(max_tokens) = sampling.max_tokens {
            span.set("gen_ai.request.max_tokens", i64::from(max_tokens));
        }
        if let Some(temperature) = sampling.temperature {
            span.set("gen_ai.request.temperature", f64::from(temperature));
        }
        if let Some(top_p) = sampling.top_p {
            span.set("gen_ai.request.top_p", f64::from(top_p));
        }
        if task.choices > 1 {
            span.set("gen_ai.request.choice.count", i64::from(task.choices));
        }
        if traces::captures_content() {
            span.set("gen_ai.input.messages", super::trace_content::input(&task.messages));
        }
    }
    span
}

/// The conventions' name for a vendor's kind.
fn provider_name(kind: &str) -> &str {
    match kind {
        "azure" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        "google" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        "local" => "hearth",
        kind => kind,
    }
}

/// The conventions' name for the reason why an answer ended.
fn name(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_call",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Cancelled => "cancelled",
    }
}
