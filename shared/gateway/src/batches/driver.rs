//! A batch under the lease of its job: validated, carried out slice by slice, and ended.

use std::time::{Duration, Instant};

use hearth_domain::{Action, BatchId, BatchState, Timestamp};
use hearth_store::batches::BatchRecord;
use hearth_wire::{ApiError, ErrorCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    end,
    finish::join_results,
    input::InputFile,
    lease::{BatchError, BatchLease},
    request::RequestContext,
    slice::{GIVE_UP_GRACE, Slice, SliceEnd},
    validation,
};
use crate::{
    Gateway,
    jobs::engine::{JobStep, LeasedJob, job_error},
};

/// Time until the next slice of a batch whose lease was lost.
const LOST_INTERVAL: Duration = Duration::from_secs(5);

/// The input of the job.
#[derive(Debug, Deserialize)]
struct BatchJob {
    batch: BatchId,
}

/// Carries out a slice of the batch that the job names.
pub(crate) async fn carry_out(gateway: &Gateway, job: &mut LeasedJob) -> JobStep {
    match try_carry_out(gateway, job).await {
        Ok(step) => step,
        // The job's lease ends too, or the record is gone: the engine looks again.
        Err(BatchError::Lost) => JobStep::Continue { after: LOST_INTERVAL },
        Err(BatchError::Store(error)) => {
            JobStep::Retry { error: job_error(crate::error::store(error)), after: None }
        }
        Err(BatchError::Refused(error)) => JobStep::after_error(error),
    }
}

async fn try_carry_out(gateway: &Gateway, job: &mut LeasedJob) -> Result<JobStep, BatchError> {
    let BatchJob { batch } = match job.input() {
        Ok(input) => input,
        Err(error) => return Ok(JobStep::Failed { error }),
    };
    let store = &gateway.0.store;
    let batch = match store.batches().get(batch).await? {
        Some(batch) if !batch.record.state.is_terminal() => batch,
        Some(batch) => return Ok(completed(&batch.record)),
        None => return Ok(JobStep::Completed { result: Value::Null }),
    };
    let mut lease = BatchLease::take(store, batch, job.fence()).await?;
    let caller = match job.caller().await.and_then(|caller| caller.require(Action::Generate).map(|()| caller))
    {
        Ok(caller) => caller,
        Err(error) if error.code == ErrorCode::Forbidden => return fail(gateway, &mut lease, error).await,
        Err(error) => return Ok(JobStep::Retry { error: job_error(error), after: None }),
    };
    let settings = &gateway.0.batches.settings;
    let input = InputFile {
        store: store.clone(),
        file: lease.record().input,
        size_bytes: lease.record().input_bytes,
        line_max_bytes: settings.request_max_bytes.as_u64(),
    };
    let recovers = lease.record().in_progress_at.is_some();
    if !recovers && lease.record().cancelling_at.is_none() {
        let endpoint = lease.record().endpoint;
        let checked = validation::check(input.clone(), endpoint, settings.max_requests).await?;
        if !checked.faults.is_empty() {
            lease.record_mut().faults = checked.faults;
            end::end(gateway, &mut lease, BatchState::Failed).await?;
            return Ok(completed(lease.record()));
        }
        let record = lease.record_mut();
        record.counts.total = checked.count;
        record.in_progress_at = Some(Timestamp::now());
        record.state = BatchState::InProgress;
        lease.save(job).await?;
    }
    if lease.record().in_progress_at.is_none() {
        // Cancelled before its input was checked.
        end::end(gateway, &mut lease, BatchState::Cancelled).await?;
        return Ok(completed(lease.record()));
    }
    if lease.record().finalizing_at.is_none() {
        let (stop, stopped) = watch::channel(false);
        let deadline = (!gateway.outlives_response()).then(|| {
            let left = job.slice_deadline().saturating_duration_since(Instant::now());
            Timestamp::now().plus(left.saturating_sub(GIVE_UP_GRACE))
        });
        let context = RequestContext::new(gateway, caller, lease.record(), deadline, stopped);
        let mut slice = Slice::new(gateway, job, &mut lease, context, input, (stop, recovers));
        let carried_out = slice.carry_out().await;
        if let Err(BatchError::Lost) = &carried_out {
            lease.delete_parts_without_record().await;
        }
        match carried_out? {
            SliceEnd::Complete => {}
            SliceEnd::Ended => return Ok(completed(lease.record())),
            SliceEnd::Unfinished(after) => return Ok(JobStep::Continue { after }),
        }
    }
    join_results(&gateway.0.files, &mut lease).await?;
    let state = end::state_of(lease.record());
    end::end(gateway, &mut lease, state).await?;
    Ok(completed(lease.record()))
}

/// Ends a batch whose owner may no longer do it.
async fn fail(gateway: &Gateway, lease: &mut BatchLease, error: ApiError) -> Result<JobStep, BatchError> {
    lease.record_mut().faults = vec![validation::fault(error.code.as_str(), error.message.clone())];
    end::end(gateway, lease, BatchState::Failed).await?;
    Ok(JobStep::Failed { error: job_error(error) })
}

/// The end of the job of a batch that has ended, well or not.
fn completed(record: &BatchRecord) -> JobStep {
    JobStep::Completed { result: json!({"batch": record.id, "status": record.state}) }
}
