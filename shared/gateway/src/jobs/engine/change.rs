//! Changes of jobs by their owners: cancelled, paused, resumed, dropped and replayed; and pauses of a kind.

use hearth_domain::{JobId, JobKind, JobState, OrganisationId, Timestamp};
use hearth_store::jobs::{JobPause, JobRecord, JobWork};
use hearth_wire::{ApiError, ErrorCode};

use super::{
    JobEngine, NewJob,
    end::{JobEnd, deletion_time},
    lease::StopSlice,
    queue::JobMessage,
};
use crate::{Gateway, access::Caller, error, jobs::JobChange, webhooks::attach_again};

/// Number of attempts at a change whose record changes meanwhile.
const CHANGE_MAX_ATTEMPTS: u32 = 10;

impl Gateway {
    /// Changes a job that the engine carries out. One that has ended stays as it is.
    ///
    /// # Errors
    /// `not_found` if it was deleted meanwhile; `internal` if the store fails.
    pub(crate) async fn change_work(
        &self,
        record: &JobRecord,
        change: JobChange,
    ) -> Result<JobRecord, ApiError> {
        match change {
            // Its requests in progress get their results first, and then the job ends.
            JobChange::Cancel if record.kind == JobKind::Batch && !record.state.is_terminal() => {
                crate::batches::cancel_of_job(&self.0, record).await?;
                let stored = self.0.store.jobs().get(record.id).await.map_err(error::store)?;
                stored.ok_or_else(crate::jobs::no_such_job)
            }
            JobChange::Cancel => {
                let ended = self.end_job(record, JobEnd::cancelled()).await?;
                self.cancel_run_of(record).await;
                Ok(ended)
            }
            JobChange::Pause => {
                let paused = self.0.job_engine.set_state(record, JobState::Paused).await?;
                self.0.job_engine.active.stop(record.id, StopSlice::Paused);
                Ok(paused)
            }
            JobChange::Resume => self.0.job_engine.resume(record).await,
        }
    }

    /// Has another process stop the run of a job that has ended, which it would see with the next renewal of the lease.
    async fn cancel_run_of(&self, record: &JobRecord) {
        let Some(attempt) = record.open_attempt().filter(|_| !self.outlives_response()) else { return };
        if let Err(error) = self.0.store.runs().mark_cancelled(attempt.run).await {
            tracing::warn!(job = %record.id, %error, "the run of a cancelled job ends later");
        }
    }

    /// Submits the input of a job that has ended once more, as a new job that names the earlier one. Repeated, it returns that job
    /// for as long as it is stored.
    ///
    /// # Errors
    /// `conflict` if the job hasn't ended, is a download or that of a batch; `not_found` if its input was deleted; else as for a
    /// submission.
    pub(crate) async fn replay_job(&self, caller: &Caller, record: JobRecord) -> Result<JobRecord, ApiError> {
        let refuse = |message: &str| Err(ApiError::new(ErrorCode::Conflict, message));
        if record.kind == JobKind::Batch {
            return refuse("the job of a batch can't be retried; create the batch again: POST /v1/batches");
        }
        let Some(work) = record.work.as_deref().filter(|_| record.state.is_terminal()) else {
            return refuse(
                "only a job that has ended can be submitted again, and a download by POST /v1/models/download",
            );
        };
        let input = self.0.store.jobs().input(record.id).await.map_err(error::store)?;
        if let Some(webhook) = work.webhook {
            let (_, expires_at) = self.0.job_engine.times(None, None);
            attach_again(&self.0, record.owner(), webhook, expires_at).await?;
        }
        let new = NewJob {
            caller: Some(caller.clone()),
            priority: record.priority,
            max_attempts: Some(work.max_attempts),
            webhook: work.webhook,
            replay_of: Some(record.id),
            // A repeated request returns the new job of the first one.
            dedupe: Some(format!("replay|{}", record.id)),
            ..NewJob::new(record.kind, input)
        };
        let new = self.0.job_engine.submit(record.owner(), new).await?;
        self.0.job_engine.remove_dead_letter(record, Some(new.id)).await?;
        Ok(new)
    }

    /// Takes a job from the dead letters; it stays among the jobs until its time is over.
    ///
    /// # Errors
    /// `conflict` if it isn't among them.
    pub(crate) async fn drop_dead_job(&self, record: JobRecord) -> Result<JobRecord, ApiError> {
        if !record.work.as_ref().is_some_and(|work| work.is_dead) {
            let message =
                "the job isn't among the dead letters: it has not failed, or was retried or dropped";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        self.0.job_engine.remove_dead_letter(record, None).await
    }

    /// Pauses a kind of jobs of an organisation, or of all: none of them begins until it is resumed.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn pause_kind(
        &self,
        caller: &Caller,
        organisation: Option<OrganisationId>,
        kind: JobKind,
    ) -> Result<(), ApiError> {
        let pause =
            JobPause { organisation, kind, user: caller.user, paused_at: Timestamp::now(), resumed_at: None };
        self.0.store.jobs().pause_kind(&pause).await.map_err(error::store)?;
        self.0.job_engine.pauses.forget();
        Ok(())
    }

    /// Ends the pause of a kind.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn resume_kind(
        &self,
        organisation: Option<OrganisationId>,
        kind: JobKind,
    ) -> Result<(), ApiError> {
        self.0.store.jobs().resume_kind(organisation, kind).await.map_err(error::store)?;
        let engine = &self.0.job_engine;
        engine.pauses.forget();
        if let Some(queue) = &engine.local {
            queue.wake();
        }
        Ok(())
    }
}

impl JobEngine {
    /// Queues a paused job again. A lease that lasts goes on.
    async fn resume(&self, record: &JobRecord) -> Result<JobRecord, ApiError> {
        if record.state != JobState::Paused {
            return Ok(record.clone());
        }
        let resumed = self.set_state(record, JobState::Queued).await?;
        if resumed.state == JobState::Queued
            && let Some(work) = &resumed.work
        {
            let start_at = work.leased_until.unwrap_or(work.start_at).max(Timestamp::now());
            // At home the queue holds the message until the slice in progress ends.
            let start_at = if self.is_sole_process { work.start_at } else { start_at };
            self.send(JobMessage::of(&resumed, start_at)).await;
        }
        Ok(resumed)
    }

    /// Has a job that waits for its next slice or attempt carried out now. A pause of it is over.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn wake(&self, id: JobId) -> Result<(), ApiError> {
        for _ in 0..CHANGE_MAX_ATTEMPTS {
            let Some(mut record) = self.store.jobs().get(id).await.map_err(error::store)? else {
                return Ok(());
            };
            if record.state == JobState::Paused {
                record = self.resume(&record).await?;
            }
            let now = Timestamp::now();
            let waits = |work: &JobWork| work.leased_until.is_none() && work.start_at > now;
            if record.state != JobState::Queued || !record.work.as_deref().is_some_and(waits) {
                return Ok(());
            }
            record.revision += 1;
            record.work.iter_mut().for_each(|work| work.start_at = now);
            self.schedule(&mut record);
            if self.store.jobs().replace(&record).await.map_err(error::store)? {
                self.send(JobMessage::of(&record, now)).await;
                return Ok(());
            }
        }
        Err(ApiError::new(ErrorCode::Conflict, "the job changes at the same time; try again"))
    }

    /// Sets the state of an open job. Returns the record as it is stored then.
    async fn set_state(&self, record: &JobRecord, state: JobState) -> Result<JobRecord, ApiError> {
        let mut record = record.clone();
        for _ in 0..CHANGE_MAX_ATTEMPTS {
            if record.state.is_terminal() || record.state == state {
                return Ok(record);
            }
            let mut next = JobRecord { state, revision: record.revision + 1, ..record.clone() };
            next.updated_at = Timestamp::now();
            self.schedule(&mut next);
            if self.store.jobs().replace(&next).await.map_err(error::store)? {
                return Ok(next);
            }
            let stored = self.store.jobs().get(record.id).await.map_err(error::store)?;
            record = stored.ok_or_else(crate::jobs::no_such_job)?;
        }
        Err(ApiError::new(ErrorCode::Conflict, "the job changes at the same time; try again"))
    }

    /// Takes a job that has ended from the dead letters. `replayed_by`: the job that repeats it.
    async fn remove_dead_letter(
        &self,
        mut record: JobRecord,
        replayed_by: Option<JobId>,
    ) -> Result<JobRecord, ApiError> {
        for _ in 0..CHANGE_MAX_ATTEMPTS {
            record.revision += 1;
            if let Some(work) = &mut record.work {
                work.is_dead = false;
                work.replayed_by = replayed_by.or(work.replayed_by);
            }
            let look_at = deletion_time(&record);
            record.work.iter_mut().for_each(|work| work.set_look_at(look_at));
            if self.store.jobs().amend(&record).await.map_err(error::store)? {
                return Ok(record);
            }
            let stored = self.store.jobs().get(record.id).await.map_err(error::store)?;
            record = stored.ok_or_else(crate::jobs::no_such_job)?;
        }
        Err(ApiError::new(ErrorCode::Conflict, "the job changes at the same time; try again"))
    }
}
