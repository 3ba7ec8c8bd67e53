//! Analyses: data out of texts, by a schema.
//!
//! - `prepare`: checks the input (`input`, `suspicion`), resolves schema and template, and writes the request to a model
//!   (`instructions`, `default_schema`).
//! - `sample`: runs the request, on the same way as every generation.
//! - `response`: validation, `confidence`, languages (`language`) and the data's `format`.
//! - `batch`: many analyses in one request. `job`: an analysis as a job.

mod batch;
mod confidence;
mod default_schema;
mod errors;
mod format;
mod input;
mod instructions;
pub(crate) mod job;
mod language;
mod prepare;
mod prepared;
mod response;
mod sample;
mod suspicion;

use std::time::Instant;

use futures::{StreamExt as _, future::join_all};
use hearth_domain::{
    Action, AppliedDefinitions, AuditEvent, AuditResult, CacheControl, OnDisconnect, RunId, Timestamp,
};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{
    ApiError, ErrorCode, RunEvent,
    native::analyze::{
        AnalyzeBatchRequest, AnalyzeBatchResponse, AnalyzeRequest, AnalyzeResponse, SuspicionBody,
    },
};

use crate::{CacheOutcome, Gateway, RateStatus, access::Caller};
use prepared::PreparedAnalysis;

/// Name of the operation in the audit log.
const OPERATION: &str = "analyze";
/// Patterns of an attack that an audit entry names.
const AUDITED_MAX_COUNT: usize = 5;

/// Circumstances of a request for an analysis.
#[derive(Debug, Clone)]
pub struct AnalysisContext {
    /// Id of the request, and of its first run.
    pub id: RunId,
    /// Use of the cache by the request's headers.
    pub cache: Option<CacheControl>,
    /// Time at which the runs end.
    pub deadline: Option<Timestamp>,
    /// Behaviour of the runs when the client disconnects.
    pub on_disconnect: OnDisconnect,
    /// Position in the request's trace.
    pub trace: TraceContext,
}

impl AnalysisContext {
    /// The circumstances of the request `id` without options.
    #[must_use]
    pub fn new(id: RunId) -> Self {
        let (on_disconnect, trace) = (OnDisconnect::default(), TraceContext::default());
        Self { id, cache: None, deadline: None, on_disconnect, trace }
    }
}

/// An analysis, with the facts for the headers of its response.
#[derive(Debug)]
pub struct Analyzed {
    /// The response.
    pub response: AnalyzeResponse,
    /// Events of its run.
    pub events: Vec<RunEvent>,
    /// Outcome of the cache's lookup, if there was one.
    pub cache: Option<CacheOutcome>,
    /// State of the caller's rate limits.
    pub rate: Option<RateStatus>,
}

impl Gateway {
    /// Analyzes a text. If the future is dropped, its runs are cancelled.
    ///
    /// # Errors
    /// `invalid_request`, naming the field; `invalid_answer` if no answer fits the schema; those of [`Gateway::generate`].
    #[crate::boxed_future]
    pub async fn analyze(
        &self,
        caller: &Caller,
        request: AnalyzeRequest,
        context: &AnalysisContext,
    ) -> Result<Analyzed, ApiError> {
        let prepared = self.prepare_analysis(caller, request, context).await?;
        self.carry_out_analysis(caller, prepared, context.id, context).await
    }

    /// Analyzes several texts. An item that fails has its error, and the others go on.
    ///
    /// # Errors
    /// `invalid_request` for a batch without items or with too many.
    #[crate::boxed_future]
    pub async fn analyze_batch(
        &self,
        caller: &Caller,
        request: AnalyzeBatchRequest,
        context: &AnalysisContext,
    ) -> Result<AnalyzeBatchResponse, ApiError> {
        batch::carry_out(self, caller, request, context).await
    }

    /// Prepares an analysis. Reports patterns of attacks, or refuses them if the operator says so.
    async fn prepare_analysis(
        &self,
        caller: &Caller,
        request: AnalyzeRequest,
        context: &AnalysisContext,
    ) -> Result<PreparedAnalysis, ApiError> {
        let prepared = prepare::prepare(&self.0, caller, request, context).await?;
        let suspicious = &prepared.terms.suspicious;
        if suspicious.is_empty() {
            return Ok(prepared);
        }
        let is_refused = self.0.analyze_settings.refuse_suspicious;
        self.audit_suspicious(caller, suspicious, is_refused, context.id).await;
        if is_refused {
            return Err(errors::suspicious(suspicious));
        }
        Ok(prepared)
    }

    async fn carry_out_analysis(
        &self,
        caller: &Caller,
        prepared: PreparedAnalysis,
        id: RunId,
        context: &AnalysisContext,
    ) -> Result<Analyzed, ApiError> {
        let began = Instant::now();
        let runs = (0..prepared.samples).map(|number| {
            let id = if number == 0 { id } else { RunId::new() };
            // Boxed: the future is large.
            Box::pin(sample::run(&self.0, caller, id, prepared.sample(number), &context.trace))
        });
        let mut samples = join_all(runs).await.into_iter();
        let missing = || Err(ApiError::new(ErrorCode::Internal, "the analysis has no answer"));
        let first = samples.next().unwrap_or_else(missing).map_err(errors::with_own_field)?;
        // A further sample that fails is one less to compare.
        let others: Vec<_> = samples.filter_map(Result::ok).collect();
        let response = response::respond(&prepared.terms, &first, &others, id, began)?;
        Ok(Analyzed { response, cache: first.cache, rate: first.rate, events: first.events })
    }

    /// The analysis of a run that an earlier process has begun, with the definitions `applied`. Further samples are left out.
    async fn resume_analysis(
        &self,
        caller: &Caller,
        request: AnalyzeRequest,
        applied: AppliedDefinitions,
        context: &AnalysisContext,
    ) -> Result<Analyzed, ApiError> {
        let began = Instant::now();
        let terms = prepare::resume(&self.0, caller, request, applied).await?;
        let events = self.events(caller, context.id, context.deadline).await?.collect().await;
        let first = sample::from_events(events, terms.schema.clone()).await?;
        let response = response::respond(&terms, &first, &[], context.id, began)?;
        Ok(Analyzed { response, cache: None, rate: None, events: first.events })
    }

    /// Writes the entry of a text with patterns of attacks. Like entries of a minute are one.
    async fn audit_suspicious(
        &self,
        caller: &Caller,
        patterns: &[SuspicionBody],
        is_refused: bool,
        id: RunId,
    ) {
        for suspicion in patterns {
            let kind = suspicion.kind.clone();
            metrics::counter!("hearth_suspicious_prompts_total", "kind" => kind).increment(1);
        }
        let names = patterns.iter().take(AUDITED_MAX_COUNT).map(|suspicion| {
            let SuspicionBody { kind, pattern, field, start, end } = suspicion;
            format!("{kind}/{pattern} at {field}:{start}-{end}")
        });
        let names: Vec<String> = names.collect();
        let mut event = AuditEvent {
            organisation: Some(caller.organisation),
            user: Some(caller.user),
            credential: Some(caller.credential.to_string()),
            result: if is_refused { AuditResult::Refused } else { AuditResult::Done },
            code: is_refused.then(|| ErrorCode::InvalidRequest.as_str().to_owned()),
            request: Some(id),
            ..AuditEvent::new(Action::Generate.as_str(), OPERATION)
        };
        event.details.insert("suspicious".to_owned(), names.join(", "));
        self.0.audit.record_refusal(event).await;
    }
}
