//! Jobs that generate: the input is a body of `POST /v1/generate`, the result its response.
//!
//! An attempt has one run, whose id is in the job's record before the run begins. A later slice, or another process after a kill,
//! finds the run by it and reads its answer, rather than asking a model again. If the run was lost with its process, the attempt has
//! another one.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use hearth_domain::{Action, Delivery, OnDisconnect, Timestamp};
use hearth_wire::{
    ApiError, ErrorCode, RunEvent,
    json_body::parse_json,
    native::{render::Renderer, request::GenerateRequest},
    stream::Render as _,
};
use serde_json::Value;

use super::{JobStep, LeasedJob, StopSlice};
use crate::{Gateway, access::Caller};

/// Checks the input of a job, as far as it can be checked before a model is chosen.
///
/// # Errors
/// `invalid_request`, naming the field below `input`.
pub(crate) async fn check(gateway: &Gateway, caller: &Caller, input: &Value) -> Result<(), ApiError> {
    let checked = async {
        caller.require(Action::Generate)?;
        let request: GenerateRequest = parse_json(input.to_string().as_bytes())?;
        refuse_of_clients(&request)?;
        let model = request.model.as_deref();
        gateway.check_parameters(caller, model, &request.parameters).await?;
        request.into_generation().map(drop)
    };
    checked.await.map_err(|error| match error.param.clone() {
        Some(param) => error.at(format!("input.{param}")),
        None => error,
    })
}

/// Refuses options of a client that waits, and turns of sessions, whose order a job can't follow.
fn refuse_of_clients(request: &GenerateRequest) -> Result<(), ApiError> {
    let refuse = |field: &str, advice: &str| {
        Err(ApiError::invalid(field, format!("a job can't have {field}: {advice}")))
    };
    if request.stream {
        return refuse("stream", "its answer is read when it is complete");
    }
    if request.inline {
        return refuse("inline", "its files are read by their links");
    }
    if request.session_id.is_some() || request.context_overflow.is_some() {
        return refuse("session_id", "send the turns of a session to POST /v1/generate");
    }
    Ok(())
}

/// Carries out the job in one slice.
pub(super) async fn carry_out(gateway: &Gateway, job: &mut LeasedJob) -> JobStep {
    // Boxed: the future that starts a run is large.
    match Box::pin(answer(gateway, job)).await {
        Ok(step) => step,
        Err(error) => JobStep::after_error(error),
    }
}

async fn answer(gateway: &Gateway, job: &LeasedJob) -> Result<JobStep, ApiError> {
    let caller = job.caller().await?;
    caller.require(Action::Generate)?;
    let recorded = match gateway.request(&caller, job.run()).await {
        Ok(run) => Some(run),
        Err(error) if error.code == ErrorCode::NotFound => None,
        Err(error) => return Err(error),
    };
    let is_earlier = recorded.is_some();
    let events = match recorded {
        None => generate(gateway, &caller, job).await,
        Some(run) => {
            if !run.state.is_terminal() && !gateway.outlives_response() {
                // The process that had the lease carried it out, and has died.
                gateway.0.lost_runs.end(run).await?;
            }
            Box::pin(follow(gateway, &caller, job)).await
        }
    };
    let answer = match events {
        Ok(Some(events)) => Renderer::new(job.run()).into_answer(&events),
        // The state of the record decides: it has ended, or the next process goes on with the run.
        Ok(None) => return Ok(JobStep::Continue { after: Duration::ZERO }),
        // A run that fails before its first event.
        Err(error) => Err(error),
    };
    let response = match answer {
        Ok(response) => response,
        Err(error) if job.stop_reason() == Some(StopSlice::ProcessStops) => {
            return Ok(JobStep::after_stop(error));
        }
        Err(error) if is_earlier => return Ok(JobStep::after_interruption(error)),
        Err(error) => return Err(error),
    };
    match serde_json::to_value(response) {
        Ok(result) => Ok(JobStep::Completed { result }),
        Err(error) => Err(crate::error::internal(&error)),
    }
}

/// Starts the attempt's run, and returns its events; none if the slice has to stop.
async fn generate(
    gateway: &Gateway,
    caller: &Caller,
    job: &LeasedJob,
) -> Result<Option<Vec<RunEvent>>, ApiError> {
    let request: GenerateRequest =
        job.input().map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.message))?;
    let mut generation = request.into_generation()?;
    // Its record is stored before a model is asked.
    generation.on_disconnect = OnDisconnect::Continue;
    if !gateway.outlives_response() {
        let left = job.slice_deadline().saturating_duration_since(Instant::now());
        generation.deadline = Some(Timestamp::now().plus(left));
    }
    let run = Box::pin(gateway.generate(caller, job.run(), generation, Delivery::Whole));
    let events = async { Ok::<_, ApiError>(run.await?.collect().await) };
    Box::pin(unless_stopped(gateway, caller, job, events)).await
}

/// Returns the events of the attempt's run, which an earlier slice or process has started.
async fn follow(
    gateway: &Gateway,
    caller: &Caller,
    job: &LeasedJob,
) -> Result<Option<Vec<RunEvent>>, ApiError> {
    let events = gateway.events(caller, job.run(), None).await?;
    let events = async { Ok(events.collect::<Vec<_>>().await) };
    Box::pin(unless_stopped(gateway, caller, job, events)).await
}

/// Returns what `work` returns, unless the job ends before: then the attempt's run is cancelled. A paused job lets its run end.
///
/// # Errors
/// The errors of `work`.
pub(crate) async fn unless_stopped<T>(
    gateway: &Gateway,
    caller: &Caller,
    job: &LeasedJob,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<Option<T>, ApiError> {
    let mut work = std::pin::pin!(work);
    let reason = tokio::select! {
        outcome = &mut work => return outcome.map(Some),
        reason = job.stopped() => reason,
    };
    // Where the process stops, it stops its runs too; the next one finds their records.
    if reason != StopSlice::Ended {
        return work.await.map(Some);
    }
    if let Err(error) = gateway.cancel_request(caller, job.run()).await
        && error.code != ErrorCode::NotFound
    {
        tracing::warn!(job = %job.id(), %error, "the run of a job that has ended can't be cancelled");
    }
    Ok(None)
}
