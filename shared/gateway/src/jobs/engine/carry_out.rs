//! One slice of a job: take the lease, have the handler work, and apply its step.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::{JobError, JobErrorCode, JobId, JobKind, JobState, RunId, Timestamp};
use hearth_store::jobs::{JobAttempt, JobRecord, JobWork};
use hearth_wire::{ApiError, native::jobs::JobPauseScope};

use super::{
    JobEngine, JobStep, LeasedJob,
    backoff::{after_attempt, after_refusal},
    end::JobEnd,
    handlers,
    lease::{LEASE_TTL, Lease, handler_died},
    pauses::PausedKinds,
    queue::JobMessage,
};
use crate::{Gateway, background, error};

/// Time of a slice in a process without a time limit.
const SLICE_TIMEOUT: Duration = Duration::from_secs(300);
/// Number of leases that may end without a word: then the job itself is taken for what kills the processes.
const INTERRUPTIONS_MAX_COUNT: u32 = 10;
/// Limit of the bytes of a result: that of a Lambda function's response, with room for the rest of its body.
const RESULT_MAX_BYTES: usize = 5 << 20;

/// The outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// There is nothing to do for this message any more.
    Done,
    /// The job may be carried out at that time.
    Later(Timestamp),
    /// The job's kind is paused.
    Held,
}

impl Gateway {
    /// Carries out one slice of a job, if it may be carried out now. `until`: the time at which the process ends, if it has a
    /// time limit; the slice ends before.
    ///
    /// # Errors
    /// `internal` if the store fails: the message should come again.
    #[crate::boxed_future]
    pub async fn carry_out_job(&self, id: JobId, until: Option<Timestamp>) -> Result<JobOutcome, ApiError> {
        let engine = &self.0.job_engine;
        // Another message of this process is first; it ends with the state that this one would find.
        let Some(active) = engine.active.begin(id) else { return Ok(JobOutcome::Done) };
        let Some(record) = engine.store.jobs().get(id).await.map_err(error::store)? else {
            return Ok(JobOutcome::Done);
        };
        let next = match engine.admit(self, record).await? {
            Admission::Admitted(next) => *next,
            Admission::Refused(outcome) => return Ok(outcome),
        };
        if !engine.store.jobs().replace(&next).await.map_err(error::store)? {
            // Another process has changed it; its message, or the next look, finds the state.
            return Ok(JobOutcome::Later(Timestamp::now().plus(Duration::from_secs(1))));
        }
        let lease = Lease::new(engine, next.clone());
        active.set(Arc::clone(&lease));
        let slice = self.slice(&lease, &next, until);
        tokio::pin!(slice);
        let step = tokio::select! {
            step = &mut slice => step,
            () = self.end_at_expiry(&next) => slice.await,
        };
        self.apply(&lease, step).await
    }

    /// Waits for the end of a job's time, and ends the job; its slice stops then. A batch ends with its own time, and one that the
    /// store doesn't end now is ended by a sweep.
    async fn end_at_expiry(&self, record: &JobRecord) {
        let expires_at = record.work.as_ref().map(|work| work.expires_at);
        let Some(expires_at) = expires_at.filter(|_| record.kind != JobKind::Batch) else {
            return std::future::pending().await;
        };
        tokio::time::sleep(Timestamp::now().until(expires_at)).await;
        if let Err(error) = self.end_job(record, JobEnd::expired()).await {
            tracing::warn!(job = %record.id, %error, "a job whose time is over is ended later");
        }
    }

    /// Has the handler work. It has a task of its own, so that a panic ends the attempt alone.
    async fn slice(&self, lease: &Arc<Lease>, record: &JobRecord, until: Option<Timestamp>) -> JobStep {
        let engine = &self.0.job_engine;
        let Some(work) = record.work.as_deref().cloned() else {
            return JobStep::Failed { error: handler_died() };
        };
        let input = match engine.store.jobs().input(record.id).await {
            Ok(input) => input,
            Err(hearth_store::StoreError::Gone(_)) => {
                let message = "the input of the job is no longer stored; submit the job again";
                return JobStep::Failed { error: JobError::new(JobErrorCode::InvalidInput, message) };
            }
            Err(failure) => {
                let error = super::job_error(error::store(failure));
                return JobStep::Retry { error, after: None };
            }
        };
        let time = until.map_or(SLICE_TIMEOUT, |until| Timestamp::now().until(until));
        let mut job =
            LeasedJob::new(self, Arc::clone(lease), (record.owner(), work), input, Instant::now() + time);
        let (gateway, kind) = (self.clone(), record.kind);
        let began = Instant::now();
        let handler = async move { handlers::carry_out(&gateway, kind, &mut job).await };
        let step = background::spawn(handler).await;
        metrics::histogram!("hearth_job_slice_seconds", "kind" => kind.as_str()).record(began.elapsed());
        step.unwrap_or_else(|error| {
            tracing::error!(job = %record.id, %error, "the handler of a job has died");
            JobStep::Retry { error: handler_died(), after: None }
        })
    }

    /// Applies the step of a handler. What another process has done meanwhile stands.
    async fn apply(&self, lease: &Arc<Lease>, step: JobStep) -> Result<JobOutcome, ApiError> {
        let record = lease.record().await;
        let end = match step {
            JobStep::Completed { result } => self.completed(&record, &result).await?,
            JobStep::Failed { error } => JobEnd::failed(error),
            JobStep::Continue { after } => {
                return Ok(self.release(lease, after, AttemptOutcome::Unfinished).await);
            }
            JobStep::RateLimited { after } => {
                let refusals = record.work.as_ref().map_or(0, |work| work.refusals).saturating_add(1);
                let after = after_refusal(after, refusals);
                return Ok(self.release(lease, after, AttemptOutcome::Refused(refusals)).await);
            }
            JobStep::Restart => {
                return Ok(self.release(lease, Duration::ZERO, AttemptOutcome::Lost).await);
            }
            JobStep::Retry { error, after } => {
                let (attempts, limit) = match &record.work {
                    Some(work) => (work.attempts.len(), work.max_attempts),
                    None => (1, 1),
                };
                let number = u32::try_from(attempts).unwrap_or(u32::MAX);
                if number < limit {
                    let after = after.unwrap_or_else(|| after_attempt(number));
                    return Ok(self.release(lease, after, AttemptOutcome::Failed(error)).await);
                }
                JobEnd::failed(error)
            }
        };
        self.end_leased_job(lease, end).await?;
        Ok(JobOutcome::Done)
    }

    /// The end of a completed job, whose result is stored.
    async fn completed(&self, record: &JobRecord, result: &serde_json::Value) -> Result<JobEnd, ApiError> {
        if json_bytes(result) > RESULT_MAX_BYTES {
            let message =
                format!("the result has more than {RESULT_MAX_BYTES} bytes; ask for less in one job");
            return Ok(JobEnd::failed(JobError::new(JobErrorCode::ResultTooLarge, message)));
        }
        let place = self.0.store.jobs().put_result(record, result).await.map_err(error::store)?;
        Ok(JobEnd::completed(place))
    }

    /// Ends a lease before the job's end: after a slice, or after an attempt.
    async fn release(&self, lease: &Arc<Lease>, after: Duration, outcome: AttemptOutcome) -> JobOutcome {
        let engine = &self.0.job_engine;
        let (now, start_at) = (Timestamp::now(), Timestamp::now().plus(after));
        let run = RunId::new();
        let released = lease.change(|record| {
            if record.state == JobState::Running {
                record.state = JobState::Queued;
            }
            let Some(work) = &mut record.work else { return };
            (work.leased_until, work.start_at, work.refusals) = (None, start_at, 0);
            match (&outcome, work.attempts.last_mut()) {
                (AttemptOutcome::Failed(error), Some(attempt)) => {
                    (attempt.ended_at, attempt.error) = (Some(now), Some(error.clone()));
                }
                (AttemptOutcome::Lost, Some(attempt)) => attempt.run = run,
                (AttemptOutcome::Refused(refusals), _) => work.refusals = *refusals,
                (AttemptOutcome::Unfinished, _) | (_, None) => {}
            }
            engine.schedule(record);
        });
        if let Ok(record) = released.await {
            if matches!(outcome, AttemptOutcome::Failed(_)) {
                metrics::counter!("hearth_job_retries_total", "kind" => record.kind.as_str()).increment(1);
            }
            if record.state == JobState::Queued {
                engine.send(JobMessage::of(&record, start_at)).await;
            }
        }
        JobOutcome::Done
    }
}

/// The outcome of an attempt at the end of a slice.
#[derive(Debug)]
enum AttemptOutcome {
    /// It goes on with the next slice.
    Unfinished,
    /// It has failed, and another one follows.
    Failed(JobError),
    /// A rate limit has refused its request, so many times in a row: it goes on with the next slice.
    Refused(u32),
    /// Its request was lost with the process that sent it: it goes on with another request.
    Lost,
}

/// The decision whether a job may be carried out now.
enum Admission {
    /// The record under the new lease, not written yet.
    Admitted(Box<JobRecord>),
    /// It may not.
    Refused(JobOutcome),
}

impl JobEngine {
    /// Decides whether a job may be carried out now. Ends one whose time is over.
    async fn admit(&self, gateway: &Gateway, record: JobRecord) -> Result<Admission, ApiError> {
        let now = Timestamp::now();
        let Some(work) = record.work.as_deref() else { return Ok(Admission::Refused(JobOutcome::Done)) };
        if record.state.is_terminal() {
            return Ok(Admission::Refused(JobOutcome::Done));
        }
        if work.expires_at <= now {
            gateway.end_job(&record, JobEnd::expired()).await?;
            return Ok(Admission::Refused(JobOutcome::Done));
        }
        if record.state == JobState::Paused {
            return Ok(Admission::Refused(JobOutcome::Done));
        }
        // The only process has no other lease: its own one would be active.
        if let Some(until) = work.leased_until.filter(|until| *until > now && !self.is_sole_process) {
            return Ok(Admission::Refused(JobOutcome::Later(until)));
        }
        if work.start_at > now {
            return Ok(Admission::Refused(JobOutcome::Later(work.start_at)));
        }
        if let Some(scope) = self.paused().await?.holder(record.owner(), record.kind) {
            self.hold(record, scope).await?;
            return Ok(Admission::Refused(JobOutcome::Held));
        }
        if work.leased_until.is_some() && work.interruptions >= INTERRUPTIONS_MAX_COUNT {
            let message = format!("{INTERRUPTIONS_MAX_COUNT} processes died while they carried out the job");
            let error = JobError::new(JobErrorCode::Interrupted, message);
            gateway.end_job(&record, JobEnd::failed(error)).await?;
            return Ok(Admission::Refused(JobOutcome::Done));
        }
        let mut next = JobRecord { state: JobState::Running, revision: record.revision + 1, ..record };
        next.updated_at = now;
        if let Some(work) = &mut next.work {
            lease(work, now);
        }
        self.schedule(&mut next);
        Ok(Admission::Admitted(Box::new(next)))
    }
}

impl JobEngine {
    /// The paused kinds.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(super) async fn paused(&self) -> Result<PausedKinds, ApiError> {
        self.pauses.current().await.map_err(error::store)
    }

    /// Puts a job of a paused kind, whose message is used up, where the end of the pause finds it. The queue of this process holds
    /// one itself.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(super) async fn hold(&self, mut record: JobRecord, scope: JobPauseScope) -> Result<(), ApiError> {
        if self.local.is_some() {
            return Ok(());
        }
        record.revision += 1;
        if let Some(work) = &mut record.work {
            (work.look_at, work.held_by) = (Some(work.expires_at), Some(scope));
        }
        // A conflict: another process has changed the record, and set the time.
        self.store.jobs().replace(&record).await.map(drop).map_err(error::store)
    }
}

/// Takes the lease. The attempt of an earlier slice, or of a process that has died, goes on.
fn lease(work: &mut JobWork, now: Timestamp) {
    if work.leased_until.is_some() {
        work.interruptions += 1;
    }
    work.fence += 1;
    work.leased_until = Some(now.plus(LEASE_TTL));
    if work.attempts.last().is_none_or(|attempt| attempt.ended_at.is_some()) {
        let number = work.attempts.last().map_or(1, |attempt| attempt.number.saturating_add(1));
        let (run, started_at) = (RunId::new(), now);
        work.attempts.push(JobAttempt { number, run, started_at, ended_at: None, error: None });
    }
}

fn json_bytes(value: &serde_json::Value) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |json| json.len())
}
