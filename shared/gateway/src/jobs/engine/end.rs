//! The ends of jobs. Each is one conditional write, which the first of several wins.

use std::{sync::Arc, time::Duration};

use hearth_domain::{EventKind, JobError, JobErrorCode, JobKind, JobState, Timestamp};
use hearth_store::jobs::{DEAD_LETTER_TTL, JobRecord, JobResult, JobWork};
use hearth_wire::ApiError;

use super::lease::{Lease, StopSlice};
use crate::{
    Gateway, error,
    events::{Announcement, Event},
    jobs::body,
};

/// Time after a job's own for which its end waits until its batch can be ended.
const BATCH_END_GRACE: Duration = Duration::from_secs(24 * 3600);

/// The end of a job.
#[derive(Debug, Clone)]
pub(super) struct JobEnd {
    state: JobState,
    error: Option<JobError>,
    result: Option<JobResult>,
    /// Its time, which the event and the record have.
    at: Timestamp,
}

impl JobEnd {
    pub(super) fn completed(result: JobResult) -> Self {
        Self { result: Some(result), ..Self::new(JobState::Completed, None) }
    }

    pub(super) fn failed(error: JobError) -> Self {
        Self::new(JobState::Failed, Some(error))
    }

    pub(super) fn cancelled() -> Self {
        Self::new(JobState::Cancelled, None)
    }

    pub(super) fn expired() -> Self {
        let message = "the job wasn't complete in its time; give it more by expires_after_seconds";
        let error = JobError::new(JobErrorCode::TimedOut, message);
        Self::new(JobState::Expired, Some(error))
    }

    fn new(state: JobState, error: Option<JobError>) -> Self {
        Self { state, error, result: None, at: Timestamp::now() }
    }

    /// Ends a record.
    fn apply(&self, record: &mut JobRecord) {
        (record.state, record.ended_at, record.updated_at) = (self.state, Some(self.at), self.at);
        record.error.clone_from(&self.error);
        let Some(work) = &mut record.work else { return };
        work.leased_until = None;
        work.result.clone_from(&self.result);
        if let Some(attempt) = work.attempts.last_mut().filter(|attempt| attempt.ended_at.is_none()) {
            (attempt.ended_at, attempt.error) = (Some(self.at), self.error.clone());
        }
        work.is_dead = self.state == JobState::Failed;
        if work.is_dead {
            work.retention_seconds = work.retention_seconds.max(DEAD_LETTER_TTL.as_secs());
        }
        let look_at = deletion_time(record);
        record.work.iter_mut().for_each(|work| work.set_look_at(look_at));
    }
}

/// The time at which a job that has ended is deleted by `maintenance`: one with objects, which the database doesn't delete. A
/// dead letter has another place in the index.
pub(super) fn deletion_time(record: &JobRecord) -> Option<Timestamp> {
    let work = record.work.as_ref()?;
    let result = work.result.as_ref().and_then(|result| result.result_key.as_ref());
    let has_objects = !work.objects.is_empty() || result.is_some();
    let ended_at = record.ended_at.filter(|_| has_objects && !work.is_dead)?;
    Some(ended_at.plus(Duration::from_secs(work.retention_seconds)))
}

/// True for the end of a batch's job that leaves the batch open, whose results would be lost.
fn ends_batch(ended: &JobRecord) -> bool {
    ended.kind == JobKind::Batch && ended.state != JobState::Completed
}

impl Gateway {
    /// Ends a job under the lease of this process, unless it was taken over or has another end.
    ///
    /// # Errors
    /// `internal` if the store fails while the job's batch ends.
    pub(super) async fn end_leased_job(&self, lease: &Arc<Lease>, end: JobEnd) -> Result<(), ApiError> {
        let mut ended = lease.record().await;
        end.apply(&mut ended);
        if ends_batch(&ended) {
            // A later process, which has taken the job over, goes on with its batch.
            if lease.change(|_| ()).await.is_err() {
                return Ok(());
            }
            self.end_batch(&ended, lease.fence()).await?;
        }
        self.extend_input(&ended).await;
        let announcement = self.announce_end(&ended).await;
        let is_written = lease.change(|record| end.apply(record)).await.is_ok();
        self.after_end(&ended, announcement, is_written).await;
        Ok(())
    }

    /// Ends an open job, whichever process carries it out. Returns the record as it is stored then, which may have another end.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(super) async fn end_job(&self, record: &JobRecord, end: JobEnd) -> Result<JobRecord, ApiError> {
        let jobs = self.0.store.jobs();
        let mut record = record.clone();
        while !record.state.is_terminal() {
            let mut ended = JobRecord { revision: record.revision + 1, ..record.clone() };
            end.apply(&mut ended);
            if ends_batch(&ended) {
                let fence = ended.work.as_ref().map_or(0, |work| work.fence);
                self.end_batch(&ended, fence + 1).await?;
            }
            self.extend_input(&ended).await;
            let announcement = self.announce_end(&ended).await;
            let written = jobs.replace(&ended).await;
            self.after_end(&ended, announcement, matches!(written, Ok(true))).await;
            if written.map_err(error::store)? {
                self.0.job_engine.active.stop(ended.id, StopSlice::Ended);
                return Ok(ended);
            }
            let stored = jobs.get(ended.id).await.map_err(error::store)?;
            record = stored.ok_or_else(crate::jobs::no_such_job)?;
        }
        Ok(record)
    }

    /// Ends the batch of a job before the job, under a fencing token. After a time the job ends without it.
    async fn end_batch(&self, ended: &JobRecord, fencing_token: u64) -> Result<(), ApiError> {
        let Err(error) = Box::pin(crate::batches::end_of_job(self, ended, fencing_token)).await else {
            return Ok(());
        };
        let expires_at = ended.work.as_ref().map(|work| work.expires_at);
        if expires_at.is_some_and(|at| at.plus(BATCH_END_GRACE) > Timestamp::now()) {
            return Err(error);
        }
        tracing::error!(job = %ended.id, %error, "a job has ended without its batch, which can't be ended");
        Ok(())
    }

    /// Has the input of a job that is about to be a dead letter stored for as long as the job, for a retry.
    async fn extend_input(&self, ended: &JobRecord) {
        let may_be_retried = |work: &JobWork| work.is_dead && !work.is_hidden;
        if !ended.work.as_deref().is_some_and(may_be_retried) || ended.kind == JobKind::Batch {
            return;
        }
        if let Err(error) = self.0.store.jobs().extend_input(ended).await {
            tracing::warn!(job = %ended.id, %error, "the input of a dead letter may be deleted before it");
        }
    }

    /// Announces the event of an end that is about to be written; none for a hidden job.
    async fn announce_end(&self, ended: &JobRecord) -> Option<Announcement> {
        let work = ended.work.as_ref().filter(|work| !work.is_hidden)?;
        let events = &self.0.events;
        if work.webhook.is_none() && !events.may_have_webhooks(ended.organisation) {
            return None;
        }
        let kind = match ended.state {
            JobState::Completed => EventKind::JobCompleted,
            JobState::Failed => EventKind::JobFailed,
            JobState::Expired => EventKind::JobExpired,
            _ => EventKind::JobCancelled,
        };
        let body = match self.work_body(ended.clone()).await {
            Ok(body) => body,
            Err(_) => body::of(ended.clone(), None),
        };
        let data = serde_json::to_value(body).unwrap_or_default();
        let event = Event::new(kind, ended.id.to_string(), data).for_webhook(work.webhook).at(ended.ended_at);
        Some(events.announce(ended.owner(), event).await)
    }

    /// Sends the event of an end. `is_written`: it is certain that the end was written; else the stored record decides, as the
    /// answer of the write may have been lost.
    async fn after_end(&self, ended: &JobRecord, announcement: Option<Announcement>, is_written: bool) {
        let is_certain = match announcement {
            Some(announcement) if is_written => {
                announcement.send().await;
                true
            }
            Some(announcement) => announcement.confirm().await,
            None => is_written,
        };
        if !is_certain {
            return;
        }
        let (kind, state) = (ended.kind.as_str(), ended.state.as_str());
        metrics::counter!("hearth_jobs_ended_total", "kind" => kind, "state" => state).increment(1);
        metrics::histogram!("hearth_job_seconds", "kind" => kind)
            .record(ended.created_at.until(ended.updated_at));
    }
}
