//! The end of a batch.

use hearth_domain::{BatchDialect, BatchId, BatchState, EventKind, JobState, Timestamp};
use hearth_store::{
    StoreError,
    batches::{BatchRecord, RevisedBatch},
    jobs::JobRecord,
};
use hearth_wire::{ApiError, ErrorCode};
use serde_json::{Value, json};

use super::{
    body,
    finish::join_results,
    lease::{BatchError, BatchLease},
    validation::fault,
};
use crate::{Gateway, error, events::Event};

/// Ends a batch, and deletes what only its process needs.
pub(super) async fn end(
    gateway: &Gateway,
    lease: &mut BatchLease,
    state: BatchState,
) -> Result<(), BatchError> {
    let store = &gateway.0.store;
    let parts: Vec<String> = lease.record().parts().map(str::to_owned).collect();
    let record = lease.record_mut();
    (record.state, record.ended_at, record.waits_for) = (state, Some(Timestamp::now()), None);
    for output in [&mut record.output, &mut record.errors] {
        output.sealed.clear();
        output.tail = None;
    }
    record.position.pending.clear();
    let announcement = match event(lease.record()) {
        Some(event) => Some(gateway.0.events.announce(lease.record().owner(), event).await),
        None => None,
    };
    let written = lease.replace().await;
    if let Some(announcement) = announcement {
        match written.is_ok() {
            true => announcement.send().await,
            // The stored record decides: the answer of the write may have been lost.
            false => {
                announcement.confirm().await;
            }
        }
    }
    written?;
    let record = lease.record();
    for part in &parts {
        if let Err(error) = store.batches().delete_part(record.id, part).await {
            tracing::warn!(batch = %record.id, %error, "a part of a batch's results stays until it expires");
        }
    }
    // The requests of a body of Anthropic's API, which no file of the user's has.
    if record.dialect == BatchDialect::Anthropic
        && let Some(input) = store.files().get(record.input).await?
    {
        store.files().remove(&input).await?;
    }
    Ok(())
}

/// The state in which a batch ends whose requests all have results.
pub(super) fn state_of(record: &BatchRecord) -> BatchState {
    match (record.cancelling_at.is_some(), record.counts.expired > 0) {
        (true, _) => BatchState::Cancelled,
        (false, true) => BatchState::Expired,
        (false, false) => BatchState::Completed,
    }
}

/// Ends the batch that a job carries out, before the job ends. `fencing_token`: of the job's lease, or a later one if the job has
/// none.
///
/// # Errors
/// `internal` if the store fails: the job should end later, lest the results are lost.
pub(crate) async fn end_of_job(
    gateway: &Gateway,
    job: &JobRecord,
    fencing_token: u64,
) -> Result<(), ApiError> {
    match try_end_of_job(gateway, job, fencing_token).await {
        Ok(()) | Err(BatchError::Lost) => Ok(()),
        Err(BatchError::Refused(error)) if error.code == ErrorCode::Internal => Err(error),
        Err(BatchError::Store(failure)) if !matches!(failure, StoreError::Gone(_)) => {
            Err(error::store(failure))
        }
        Err(error) => {
            tracing::warn!(job = %job.id, %error, "the batch of a job that ends has no results");
            Ok(())
        }
    }
}

async fn try_end_of_job(gateway: &Gateway, job: &JobRecord, fencing_token: u64) -> Result<(), BatchError> {
    let store = &gateway.0.store;
    let input = store.jobs().input(job.id).await?;
    let id = input.get("batch").and_then(Value::as_str).and_then(|id| id.parse::<BatchId>().ok());
    let Some(id) = id else { return Ok(()) };
    match store.batches().get(id).await? {
        Some(batch) if !batch.record.state.is_terminal() => {
            end_without_job(gateway, batch, Some(job), fencing_token).await.map(drop)
        }
        Some(_) | None => Ok(()),
    }
}

/// Ends a batch without its job, with the results so far. One that has ended stays as it is.
///
/// # Errors
/// [`BatchError::Lost`] if a later process has it; if its results can't be read, or their files can't be written.
pub(super) async fn end_without_job(
    gateway: &Gateway,
    batch: RevisedBatch,
    job: Option<&JobRecord>,
    fencing_token: u64,
) -> Result<BatchRecord, BatchError> {
    let mut lease = BatchLease::take(&gateway.0.store, batch, fencing_token).await?;
    if lease.record().state.is_terminal() {
        return Ok(lease.record().clone());
    }
    join_results(&gateway.0.files, &mut lease).await?;
    let record = lease.record_mut();
    let state = if record.finalizing_at.is_some() || record.cancelling_at.is_some() {
        state_of(record)
    } else if job.is_some_and(|job| job.state == JobState::Expired) {
        BatchState::Expired
    } else {
        let reason = job.and_then(|job| job.error.as_ref()).map(|error| error.message.clone());
        let reason =
            reason.unwrap_or_else(|| "its job has ended before it; create the batch again".to_owned());
        record.faults = vec![fault("job_ended", reason)];
        BatchState::Failed
    };
    end(gateway, &mut lease, state).await?;
    Ok(lease.record().clone())
}

/// The event of a batch that ends.
fn event(record: &BatchRecord) -> Option<Event> {
    let kind = match record.state {
        BatchState::Completed => EventKind::BatchCompleted,
        BatchState::Failed => EventKind::BatchFailed,
        BatchState::Cancelled => EventKind::BatchCancelled,
        BatchState::Expired => EventKind::BatchExpired,
        BatchState::Validating | BatchState::InProgress | BatchState::Finalizing | BatchState::Cancelling => {
            return None;
        }
    };
    let data = json!(body::of_openai(record.clone()));
    Some(Event::new(kind, record.id.to_string(), data).at(record.ended_at))
}
