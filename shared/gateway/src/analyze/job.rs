//! An analysis as a job: the input is a body of `POST /v1/analyze`, the result its response.
//!
//! The first sample's run has its id in the job's record before it begins. A later slice, or another process after a kill, finds
//! the run by it and reads its answer, rather than asking a model again. If the run was lost with its process, the attempt has another
//! one.

use std::time::{Duration, Instant};

use hearth_domain::{Action, OnDisconnect, RunId, Timestamp};
use hearth_wire::{ApiError, ErrorCode, json_body::parse_json, native::analyze::AnalyzeRequest};
use serde_json::Value;

use super::AnalysisContext;
use crate::{
    Gateway,
    access::Caller,
    jobs::engine::{JobStep, LeasedJob, StopSlice, unless_stopped},
};

/// Checks the input of a job, as far as it can be checked before a model is chosen.
///
/// # Errors
/// `invalid_request`, naming the field below `input`.
pub(crate) async fn check(gateway: &Gateway, caller: &Caller, input: &Value) -> Result<(), ApiError> {
    let checked = async {
        caller.require(Action::Generate)?;
        let request: AnalyzeRequest = parse_json(input.to_string().as_bytes())?;
        let context = AnalysisContext::new(RunId::new());
        Box::pin(gateway.prepare_analysis(caller, request, &context)).await.map(drop)
    };
    checked.await.map_err(|error| match error.param.clone() {
        Some(param) => error.at(format!("input.{param}")),
        None => error,
    })
}

/// Carries out the job in one slice.
pub(crate) async fn carry_out(gateway: &Gateway, job: &mut LeasedJob) -> JobStep {
    match answer(gateway, job).await {
        Ok(step) => step,
        Err(error) => JobStep::after_error(error),
    }
}

async fn answer(gateway: &Gateway, job: &LeasedJob) -> Result<JobStep, ApiError> {
    let caller = job.caller().await?;
    caller.require(Action::Generate)?;
    let request: AnalyzeRequest =
        job.input().map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.message))?;
    let left = job.slice_deadline().saturating_duration_since(Instant::now());
    let context = AnalysisContext {
        // Its record is stored before a model is asked.
        on_disconnect: OnDisconnect::Continue,
        deadline: (!gateway.outlives_response()).then(|| Timestamp::now().plus(left)),
        ..AnalysisContext::new(job.run())
    };
    let recorded = match gateway.request(&caller, job.run()).await {
        Ok(run) => Some(run),
        Err(error) if error.code == ErrorCode::NotFound => None,
        Err(error) => return Err(error),
    };
    let analyzed = match recorded {
        None => {
            let work = Box::pin(gateway.analyze(&caller, request, &context));
            match unless_stopped(gateway, &caller, job, work).await {
                Ok(analyzed) => analyzed,
                Err(error) if job.stop_reason() == Some(StopSlice::ProcessStops) => {
                    return Ok(JobStep::after_stop(error));
                }
                Err(error) => return Err(error),
            }
        }
        Some(run) => {
            let applied = run.definitions.as_deref().cloned().unwrap_or_default();
            if !run.state.is_terminal() && !gateway.outlives_response() {
                // The process that had the lease carried it out, and has died.
                gateway.0.lost_runs.end(run).await?;
            }
            let work = Box::pin(gateway.resume_analysis(&caller, request, applied, &context));
            match unless_stopped(gateway, &caller, job, work).await {
                Ok(analyzed) => analyzed,
                Err(error) if job.stop_reason() == Some(StopSlice::ProcessStops) => {
                    return Ok(JobStep::after_stop(error));
                }
                Err(error) => return Ok(JobStep::after_interruption(error)),
            }
        }
    };
    let Some(analyzed) = analyzed else {
        // The state of the record decides: it has ended, or the next process goes on with the run.
        return Ok(JobStep::Continue { after: Duration::ZERO });
    };
    match serde_json::to_value(analyzed.response) {
        Ok(result) => Ok(JobStep::Completed { result }),
        Err(error) => Err(crate::error::internal(&error)),
    }
}
