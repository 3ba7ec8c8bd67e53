//! Looks at due jobs: sends lost messages again, takes jobs from processes that have died, expires those whose time is over, and
//! deletes those that were stored long enough. Jobs that a pause has held are queued once it has ended.

use std::time::{Duration, Instant};

use futures::future::join_all;
use hearth_domain::{JobId, JobKind, JobState, Timestamp};
use hearth_store::jobs::{DueJobs, JobRecord};
use hearth_wire::ApiError;

use super::{MESSAGE_GRACE, end::JobEnd, queue::JobMessage};
use crate::{Gateway, error};

/// Jobs that are looked at at the same time.
const SWEEP_CONCURRENCY: usize = 16;
/// Time until the next look at a job whose message was sent again.
const LOOK_AGAIN_INTERVAL: Duration = MESSAGE_GRACE;
/// Time after the end of a pause in which a process that has not seen the end yet may still hold a job.
const ENDED_PAUSE_TTL: Duration = Duration::from_secs(600);

impl Gateway {
    /// Looks at the jobs that are due, for `timeout` at most: the next call goes on. Returns the number of those that were queued
    /// again, held, expired or deleted.
    ///
    /// # Errors
    /// `internal` if the store fails. One job that fails doesn't hold up the others.
    #[crate::boxed_future]
    pub async fn sweep_jobs(&self, timeout: Duration) -> Result<usize, ApiError> {
        let (jobs, now) = (self.0.store.jobs(), Timestamp::now());
        let mut sweep = JobSweep { gateway: self, until: Instant::now() + timeout, count: 0, error: None };
        sweep.look_at_all(jobs.due(now)).await?;
        for pause in jobs.pauses_with_ended().await.map_err(error::store)? {
            let Some(resumed_at) = pause.resumed_at else {
                sweep.look_at_all(jobs.held(&pause, Some(now))).await?;
                continue;
            };
            let is_complete = sweep.look_at_all(jobs.held(&pause, None)).await?;
            if is_complete && sweep.error.is_none() && resumed_at.until(now) >= ENDED_PAUSE_TTL {
                jobs.delete_pause(&pause).await.map_err(error::store)?;
            }
        }
        sweep.error.map_or(Ok(sweep.count), Err)
    }

    /// Queues every open job, at the start of the process that has the store; returns their number.
    pub(super) async fn queue_open_jobs(&self) -> Result<usize, ApiError> {
        let engine = &self.0.job_engine;
        let end_of_time = Timestamp::from_unix(253_402_300_799);
        let mut due = self.0.store.jobs().due(end_of_time);
        let mut count = 0;
        while let Some(record) = due.next_job().await.map_err(error::store)? {
            if let Some(work) = &record.work
                && matches!(record.state, JobState::Queued | JobState::Running)
            {
                engine.send(JobMessage::of(&record, work.start_at)).await;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Queues a job again whose message came too early, or while another process had the job. At the end of another one's lease
    /// the index of due jobs has it anyway.
    #[crate::boxed_future]
    pub async fn queue_job_later(&self, id: JobId, at: Timestamp) {
        match self.0.store.jobs().get(id).await {
            Ok(Some(record)) if record.state == JobState::Queued => {
                self.0.job_engine.send(JobMessage::of(&record, at)).await;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(job = %id, %error, "a job is carried out later"),
        }
    }

    /// Looks at a job of the index. Returns true if there was something to do.
    async fn look_at_job(&self, indexed: JobRecord) -> Result<bool, ApiError> {
        let (engine, jobs) = (&self.0.job_engine, self.0.store.jobs());
        let is_waiting = engine.local.as_ref().is_some_and(|queue| queue.has(indexed.id));
        if is_waiting && indexed.work.as_ref().is_some_and(|work| work.expires_at > Timestamp::now()) {
            return Ok(false);
        }
        // The index may be late.
        let Some(record) = jobs.get(indexed.id).await.map_err(error::store)? else {
            jobs.delete(&indexed).await.map_err(error::store)?;
            return Ok(true);
        };
        let now = Timestamp::now();
        let Some(work) = record.work.as_deref() else { return Ok(false) };
        // A held job is looked at when its pause has ended, whatever its time.
        if work.held_by.is_none() && work.look_at.is_none_or(|at| at > now) {
            return Ok(false);
        }
        if record.state.is_terminal() {
            jobs.delete(&record).await.map_err(error::store)?;
            return Ok(true);
        }
        if work.expires_at <= now {
            if record.kind == JobKind::Batch && engine.local.is_none() {
                // The function worker may write the files of its batch.
                engine.send(JobMessage::of(&record, now)).await;
                return Ok(true);
            }
            self.end_job(&record, JobEnd::expired()).await?;
            return Ok(true);
        }
        if is_waiting {
            return Ok(false);
        }
        if engine.local.is_none()
            && let Some(scope) = engine.paused().await?.holder(record.owner(), record.kind)
        {
            let is_held = work.held_by == Some(scope);
            if !is_held {
                engine.hold(record, scope).await?;
            }
            return Ok(!is_held);
        }
        self.send_again(record).await?;
        Ok(true)
    }

    /// Sends the message of a job again.
    async fn send_again(&self, mut record: JobRecord) -> Result<(), ApiError> {
        let engine = &self.0.job_engine;
        let Some(work) = &mut record.work else { return Ok(()) };
        let start_at = work.start_at.max(Timestamp::now());
        // The message is on its way: the next sweeps leave it alone.
        work.set_look_at(Some(start_at.plus(LOOK_AGAIN_INTERVAL).min(work.expires_at)));
        engine.send(JobMessage::of(&record, start_at)).await;
        if engine.local.is_none() {
            record.revision += 1;
            // A conflict: another process has changed the record, and set the time.
            self.0.store.jobs().replace(&record).await.map_err(error::store)?;
        }
        Ok(())
    }
}

/// One sweep over jobs.
struct JobSweep<'a> {
    gateway: &'a Gateway,
    until: Instant,
    /// Jobs for which there was something to do.
    count: usize,
    /// The latest error of a job.
    error: Option<ApiError>,
}

impl JobSweep<'_> {
    /// Looks at jobs until the sweep's time is over. Returns true if it has looked at all of them.
    async fn look_at_all(&mut self, mut due: DueJobs<'_>) -> Result<bool, ApiError> {
        while Instant::now() < self.until {
            let mut records = Vec::with_capacity(SWEEP_CONCURRENCY);
            while records.len() < SWEEP_CONCURRENCY
                && let Some(record) = due.next_job().await.map_err(error::store)?
            {
                records.push(record);
            }
            let is_last = records.len() < SWEEP_CONCURRENCY;
            let looked_at = join_all(records.into_iter().map(|record| self.look_at(record))).await;
            for is_changed in looked_at {
                match is_changed {
                    Ok(is_changed) => self.count += usize::from(is_changed),
                    Err(error) => self.error = Some(error),
                }
            }
            if is_last {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn look_at(&self, record: JobRecord) -> Result<bool, ApiError> {
        let (job, kind) = (record.id, record.kind);
        match Box::pin(self.gateway.look_at_job(record)).await {
            // The results of its batch can't be put together yet.
            Err(error) if kind == JobKind::Batch => {
                tracing::warn!(%job, %error, "the job of a batch ends later");
                Ok(false)
            }
            Err(error) => {
                tracing::warn!(%job, %error, "a due job can't be looked at");
                Err(error)
            }
            looked_at => looked_at,
        }
    }
}
