//! Looks at due jobs: sends lost messages again, takes jobs from processes that have died, expires those whose time is over, and
//! deletes those that were stored long enough.

use std::time::Duration;

use hearth_domain::{JobId, JobKind, JobState, Timestamp};
use hearth_store::jobs::JobRecord;
use hearth_wire::ApiError;

use super::{MESSAGE_GRACE, end::JobEnd, queue::JobMessage};
use crate::{Gateway, error};

/// Jobs of each partition of the index that one sweep looks at.
const SWEEP_MAX_COUNT: u32 = 2_000;
/// Jobs of each partition of the index that a start takes up.
const START_MAX_COUNT: u32 = 1_000_000;
/// Time until the next look at a job whose message was sent again.
const LOOK_AGAIN_INTERVAL: Duration = MESSAGE_GRACE;

impl Gateway {
    /// Looks at the jobs that are due; returns the number of those that were queued again, expired or deleted.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub async fn sweep_jobs(&self) -> Result<usize, ApiError> {
        let jobs = self.0.store.jobs();
        let mut count = 0;
        for record in jobs.due(Timestamp::now(), SWEEP_MAX_COUNT).await.map_err(error::store)? {
            // The index may be late.
            let Some(record) = jobs.get(record.id).await.map_err(error::store)? else {
                jobs.delete(&record).await.map_err(error::store)?;
                count += 1;
                continue;
            };
            let (job, kind) = (record.id, record.kind);
            match self.look_at_job(record).await {
                Ok(is_changed) => count += usize::from(is_changed),
                // The results of its batch can't be put together yet: other jobs don't wait for that.
                Err(error) if kind == JobKind::Batch => {
                    tracing::warn!(%job, %error, "the job of a batch ends later");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Queues every open job, at the start of the process that has the store; returns their number.
    pub(super) async fn queue_open_jobs(&self) -> Result<usize, ApiError> {
        let engine = &self.0.job_engine;
        let end_of_time = Timestamp::from_unix(253_402_300_799);
        let due = self.0.store.jobs().due(end_of_time, START_MAX_COUNT).await.map_err(error::store)?;
        let open = due.iter().filter(|job| matches!(job.state, JobState::Queued | JobState::Running));
        let mut count = 0;
        for record in open {
            let Some(work) = &record.work else { continue };
            engine.send(JobMessage::of(record, work.start_at)).await;
            count += 1;
        }
        Ok(count)
    }

    /// Queues a job again whose message came too early, or while another process had the job. At the end of another one's lease
    /// the index of due jobs has it anyway.
    pub async fn queue_job_later(&self, id: JobId, at: Timestamp) {
        match self.0.store.jobs().get(id).await {
            Ok(Some(record)) if record.state == JobState::Queued => {
                self.0.job_engine.send(JobMessage::of(&record, at)).await;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(job = %id, %error, "a job is carried out later"),
        }
    }

    async fn look_at_job(&self, mut record: JobRecord) -> Result<bool, ApiError> {
        let (engine, now) = (&self.0.job_engine, Timestamp::now());
        let Some(work) = record.work.as_deref() else { return Ok(false) };
        if work.look_at.is_none_or(|at| at > now) {
            return Ok(false);
        }
        if record.state.is_terminal() {
            self.0.store.jobs().delete(&record).await.map_err(error::store)?;
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
        if engine.local.as_ref().is_some_and(|queue| queue.has(record.id)) {
            return Ok(false);
        }
        if engine.pauses.current().await.map_err(error::store)?.hold(record.owner(), record.kind) {
            return Ok(false);
        }
        let start_at = work.start_at.max(now);
        engine.send(JobMessage::of(&record, start_at)).await;
        if engine.local.is_none() {
            // The message is on its way: the next sweeps leave it alone.
            let look_at = start_at.plus(LOOK_AGAIN_INTERVAL).min(work.expires_at);
            record.revision += 1;
            record.work.iter_mut().for_each(|work| work.look_at = Some(look_at));
            // A conflict: somebody has changed it meanwhile, and set the time.
            self.0.store.jobs().replace(&record).await.map_err(error::store)?;
        }
        Ok(true)
    }
}
