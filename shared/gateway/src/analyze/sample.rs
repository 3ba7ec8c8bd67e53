//! One answer of an analysis: the run that makes it, and the parts of its events.

use hearth_domain::{
    Cost, Delivery, Generation, ResponseFormat, RunId, SchemaViolation, Selection, Structured, StructuredHow,
    StructuredStatus, Task, TextTask, Usage,
};
use hearth_schema::AnswerSchema;
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{
    ApiError, RunEvent, RunEventBody,
    answer::{Answer, Answers, final_outcome},
    native::analyze::ValidationStatus,
    structured::ViolationBody,
};
use serde_json::Value;

use crate::{
    access::Caller, cache::CacheOutcome, components::Components, generate::generate, limits::RateStatus,
};

/// An answer to an analysis.
#[derive(Debug)]
pub(super) struct SampleAnswer {
    pub(super) answer: Answer,
    /// The answer as JSON; none if it isn't.
    pub(super) data: Option<Value>,
    /// True if the data fits the schema, where the events don't say it.
    fits: Option<bool>,
    pub(super) selection: Option<Selection>,
    pub(super) usage: Usage,
    pub(super) cost: Option<Cost>,
    pub(super) cache: Option<CacheOutcome>,
    pub(super) rate: Option<RateStatus>,
    pub(super) events: Vec<RunEvent>,
}

impl SampleAnswer {
    /// True if the answer was cached.
    pub(super) fn is_cached(&self) -> bool {
        self.cache == Some(CacheOutcome::Hit)
    }

    /// The result of the validation. An answer without a verdict, such as a refusal, fails.
    pub(super) fn status(&self, bypasses_validation: bool) -> ValidationStatus {
        match self.answer.structured.as_ref().map(Structured::status) {
            Some(StructuredStatus::Passed) => ValidationStatus::Passed,
            Some(StructuredStatus::Relaxed) => ValidationStatus::Relaxed,
            Some(StructuredStatus::Bypassed) => ValidationStatus::Bypassed,
            None if bypasses_validation => ValidationStatus::Bypassed,
            None if self.fits == Some(true) => ValidationStatus::Passed,
            Some(StructuredStatus::Failed) | None => ValidationStatus::Failed,
        }
    }

    /// The places that don't fit the schema.
    pub(super) fn violations(&self, status: ValidationStatus) -> Vec<ViolationBody> {
        if status == ValidationStatus::Passed {
            return Vec::new();
        }
        let Some(structured) = &self.answer.structured else {
            let reason = match self.answer.refusal.is_empty() {
                true if self.data.is_some() => "the answer doesn't fit the schema",
                true => "the answer isn't JSON",
                false => "the model refused to answer",
            };
            let reason = reason.to_owned();
            let path = String::new();
            return match status {
                ValidationStatus::Bypassed => Vec::new(),
                _ => vec![ViolationBody { path, reason }],
            };
        };
        let violation = |violation: &SchemaViolation| ViolationBody {
            path: violation.path.clone(),
            reason: violation.reason.clone(),
        };
        structured.errors.iter().map(violation).collect()
    }

    /// The means of enforcing the schema.
    pub(super) fn how(&self) -> Option<StructuredHow> {
        self.answer.structured.as_ref().map(|structured| structured.enforced.how())
    }

    /// The number of answers that were generated until this one.
    pub(super) fn attempts(&self) -> u32 {
        self.answer.structured.as_ref().map_or(1, |structured| structured.attempts)
    }

    /// Name of the provider.
    pub(super) fn provider(&self) -> String {
        self.selection.as_ref().map(|selection| selection.provider.clone()).unwrap_or_default()
    }

    /// Id of the model.
    pub(super) fn model(&self) -> String {
        self.selection.as_ref().map(|selection| selection.model.to_string()).unwrap_or_default()
    }
}

/// Runs a request to its end.
///
/// # Errors
/// The errors of the run.
pub(super) async fn run(
    gateway: &Components,
    caller: &Caller,
    id: RunId,
    generation: Generation,
    trace: &TraceContext,
) -> Result<SampleAnswer, ApiError> {
    let schema = schema_of(&generation);
    let run = generate(gateway, caller, id, generation, Delivery::Whole, trace).await?;
    let (cache, rate) = (run.cache, run.rate);
    let sample = from_events(run.collect().await, schema).await?;
    Ok(SampleAnswer { cache, rate, ..sample })
}

/// Reads the answer of a run's events. An answer without a verdict, as of a run that was recorded, is validated here.
///
/// # Errors
/// The run's own error.
pub(super) async fn from_events(
    events: Vec<RunEvent>,
    schema: Option<Value>,
) -> Result<SampleAnswer, ApiError> {
    final_outcome(&events)?;
    let mut sample = read(events);
    if sample.answer.structured.is_none()
        && sample.data.is_some()
        && let Some(schema) = schema
    {
        let text = sample.answer.text.clone();
        // It may take seconds.
        let checked = tokio::task::spawn_blocking(move || {
            let checker = AnswerSchema::parse(&schema).and_then(|schema| schema.checker());
            checker.is_ok_and(|checker| checker.check(&text).valid)
        });
        sample.fits = Some(checked.await.unwrap_or_default());
    }
    Ok(sample)
}

fn schema_of(generation: &Generation) -> Option<Value> {
    match &generation.task {
        Task::Text(TextTask { response_format: ResponseFormat::JsonSchema(schema), .. }) => {
            Some(schema.clone())
        }
        _ => None,
    }
}

fn read(events: Vec<RunEvent>) -> SampleAnswer {
    let (mut answers, mut selection, mut usage, mut cost) =
        (Answers::default(), None, Usage::default(), None);
    for event in &events {
        match &event.body {
            RunEventBody::Selected(selected) => selection = Some(selected.clone()),
            RunEventBody::Usage { usage: used } => usage = *used,
            RunEventBody::Cost { cost: run_cost } => cost = Some(*run_cost),
            body => answers.apply(body),
        }
    }
    let answer = answers.all().first().cloned().unwrap_or_default();
    let data = serde_json::from_str(answer.text.trim()).ok();
    let (fits, cache, rate) = (None, None, None);
    SampleAnswer { answer, data, fits, selection, usage, cost, cache, rate, events }
}
