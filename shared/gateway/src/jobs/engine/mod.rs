//! The job engine: carries out every kind of job but downloads.
//!
//! The table is the truth: a job is carried out under a lease with a fencing token (`lease`), and each change of its record is a
//! conditional write, so that a job has one end however many processes hold its message, and wherever one of them dies. The queue
//! (`queue`) only says that a job may be carried out. At home it is in the process, fair and with ageing priorities (`ready`,
//! `local_queue`), and `dispatcher` takes jobs from it; in the cloud it is SQS, whose messages the function `worker` gets, and
//! `maintenance` sends lost messages again.
//!
//! `carry_out` takes the lease, has the kind's handler (`handlers`) do one slice, and applies its [`JobStep`]. `submit` begins jobs,
//! `change` cancels, pauses, resumes, drops and replays them.

mod active;
mod backoff;
mod caller;
mod carry_out;
mod change;
mod dispatcher;
mod end;
mod generate;
mod handlers;
mod lease;
mod local_queue;
mod maintenance;
mod pauses;
pub(crate) mod queue;
mod ready;
mod step;
mod submit;

use std::{sync::Arc, time::Duration};

use hearth_domain::{JobId, JobKind, JobState, Owner, Timestamp};
use hearth_settings::JobSettings;
use hearth_store::{Store, jobs::JobRecord};
use hearth_wire::{ApiError, ErrorCode};

pub use carry_out::JobOutcome;
pub use dispatcher::JobDispatcher;
pub(crate) use generate::{check as check_generate, unless_stopped};
pub(crate) use lease::{LeaseLost, LeasedJob, StopSlice};
pub(crate) use step::{JobStep, job_error};
pub(crate) use submit::NewJob;

use active::ActiveJobs;
use local_queue::LocalQueue;
use pauses::Pauses;
use queue::{JobMessage, JobQueue};

/// Time after a message was sent at which it is taken for lost, where other processes have the queue.
const MESSAGE_GRACE: Duration = Duration::from_secs(15 * 60);
/// Time before the start of a job at which its message is sent, if the queue doesn't hold one for so long.
const SEND_AHEAD_PERIOD: Duration = Duration::from_secs(10 * 60);

/// The job engine.
#[derive(Debug)]
pub(crate) struct JobEngine {
    store: Store,
    settings: JobSettings,
    /// True if no other process carries out jobs of this store: a lease of another one is that of a dead process.
    is_sole_process: bool,
    /// The queue of this process, where it has one.
    local: Option<Arc<LocalQueue>>,
    queue: Arc<dyn JobQueue>,
    active: ActiveJobs,
    pauses: Pauses,
}

impl JobEngine {
    /// An engine over `store`. `queue`: the queue that processes share; none for one of this process.
    pub(crate) fn new(
        store: Store,
        settings: JobSettings,
        queue: Option<Arc<dyn JobQueue>>,
        is_sole_process: bool,
    ) -> Self {
        let local = queue.is_none().then(|| Arc::new(LocalQueue::new()));
        let own = local.clone().map(|local| local as Arc<dyn JobQueue>);
        let queue = queue.or(own).unwrap_or_else(|| Arc::new(LocalQueue::new()));
        let (active, pauses) = (ActiveJobs::default(), Pauses::new(store.clone()));
        Self { store, settings, is_sole_process, local, queue, active, pauses }
    }

    /// Sends a message, unless its time is too far away: then `maintenance` does it later. One that can't be sent costs time, and no
    /// job: the record says when to look at it.
    async fn send(&self, message: JobMessage) {
        if Timestamp::now().until(message.start_at) > self.queue.delay_max() {
            return;
        }
        if let Err(error) = self.queue.send(message).await {
            tracing::warn!(job = %message.job, %error, "a job is carried out later");
        }
    }

    /// The time at which an open job has to be looked at: when its message must be lost, its lease has ended, or its time is over.
    fn look_at(&self, record: &JobRecord) -> Option<Timestamp> {
        let work = record.work.as_ref()?;
        let at = match (work.leased_until, record.state) {
            (Some(until), _) => until,
            (None, JobState::Paused) => work.expires_at,
            (None, _) if self.is_sole_process => work.start_at,
            (None, _) if Timestamp::now().until(work.start_at) > self.queue.delay_max() => {
                // Earlier than its start, as the index is read at intervals.
                let ahead = Timestamp::now().until(work.start_at).saturating_sub(SEND_AHEAD_PERIOD);
                Timestamp::now().plus(ahead)
            }
            (None, _) => work.start_at.plus(MESSAGE_GRACE),
        };
        Some(at.min(work.expires_at))
    }

    /// Sets the time at which an open job has to be looked at. No pause holds it any longer.
    fn schedule(&self, record: &mut JobRecord) {
        let at = self.look_at(record);
        record.work.iter_mut().for_each(|work| work.set_look_at(at));
    }

    /// Has this process stop carrying out a job that is deleted, if it does.
    pub(crate) fn stop(&self, job: JobId) {
        self.active.stop(job, StopSlice::Ended);
    }

    /// Sets the gauges of the queue of this process.
    pub(crate) fn update_gauges(&self) {
        let Some(local) = self.local.as_ref().filter(|_| self.is_sole_process) else { return };
        #[expect(clippy::cast_precision_loss, reason = "a graph needs few digits")]
        let count = |count: usize| count as f64;
        for kind in JobKind::CARRIED_OUT {
            let (waiting, age) = local.depth(kind);
            metrics::gauge!("hearth_jobs_waiting", "kind" => kind.as_str()).set(count(waiting));
            metrics::gauge!("hearth_jobs_oldest_seconds", "kind" => kind.as_str()).set(age.as_secs_f64());
        }
        metrics::gauge!("hearth_jobs_in_progress").set(count(local.in_progress()));
    }

    /// Refuses a job of an organisation with too many that wait.
    fn refuse_full_queue(&self, owner: Owner) -> Result<(), ApiError> {
        let Some(local) = &self.local else { return Ok(()) };
        if local.waiting(owner.organisation) < self.settings.max_queued as usize {
            return Ok(());
        }
        let message = format!(
            "{} jobs of your organisation wait already, as many as may (jobs.max_queued); wait, or cancel some",
            self.settings.max_queued
        );
        Err(ApiError::new(ErrorCode::QueueFull, message).with_retry_after(Some(Duration::from_secs(10))))
    }
}
