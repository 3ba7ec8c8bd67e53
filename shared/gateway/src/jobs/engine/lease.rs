//! A job under a lease of this process. The lease has a fencing token in the record, which each new lease raises: once another
//! process has taken the job, every write of this one fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::{JobError, JobErrorCode, JobId, JobState, Owner, RunId, Timestamp};
use hearth_store::{
    Store,
    jobs::{JobRecord, JobWork},
};
use hearth_wire::ApiError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    sync::{Mutex, watch},
    task::AbortHandle,
};

use super::{
    JobEngine,
    caller::{JobCaller, unreadable_input},
};
use crate::{Gateway, access::Caller, background};

/// Time of a lease, unless it is renewed.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(60);
/// Time between two renewals, at which a cancellation or a pause by another process is seen too.
const LEASE_RENEW_INTERVAL: Duration = Duration::from_secs(15);
/// Number of attempts at a write whose record is changed meanwhile, or that the store fails.
const WRITE_MAX_ATTEMPTS: u32 = 6;
/// Time between two such attempts at first; it doubles.
const WRITE_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The lease has ended, or the job has: nothing that this process does has effect any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job was taken over, or has ended")]
pub(crate) struct LeaseLost;

/// Reason why a slice has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSlice {
    /// The job was cancelled, has expired, or was taken over.
    Ended,
    /// The job was paused.
    Paused,
    /// The process stops.
    ProcessStops,
}

/// The record of a job under a lease, as this process has written it last.
pub(super) struct Lease {
    store: Store,
    id: JobId,
    fence: u64,
    record: Mutex<JobRecord>,
    stop: watch::Sender<Option<StopSlice>>,
}

/// A job under a lease of this process, for its handler. The lease is renewed in the background until this is dropped.
pub(crate) struct LeasedJob {
    lease: Arc<Lease>,
    gateway: Gateway,
    owner: Owner,
    caller: Option<Value>,
    run: RunId,
    group: Option<u32>,
    input: Value,
    slice_deadline: Instant,
    renewal: AbortHandle,
}

impl Lease {
    /// The lease of a record that this process has just written.
    pub(super) fn new(engine: &JobEngine, record: JobRecord) -> Arc<Self> {
        let (stop, _) = watch::channel(None);
        let fence = record.work.as_ref().map_or(0, |work| work.fence);
        Arc::new(Self { store: engine.store.clone(), id: record.id, fence, record: Mutex::new(record), stop })
    }

    /// Has the slice stop.
    pub(super) fn stop(&self, reason: StopSlice) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            if is_first {
                *stop = Some(reason);
            }
            is_first
        });
    }

    /// The fencing token.
    pub(super) fn fence(&self) -> u64 {
        self.fence
    }

    /// The record, as it was written last.
    pub(super) async fn record(&self) -> JobRecord {
        self.record.lock().await.clone()
    }

    /// Changes the record, if the lease lasts. `change` may be called again, with the record that another process has changed.
    ///
    /// # Errors
    /// [`LeaseLost`] if it has ended, or the store fails for longer than a few attempts take.
    pub(super) async fn change(&self, change: impl Fn(&mut JobRecord)) -> Result<JobRecord, LeaseLost> {
        let mut record = self.record.lock().await;
        let mut wait = WRITE_RETRY_INTERVAL;
        for _ in 0..WRITE_MAX_ATTEMPTS {
            let mut next = record.clone();
            next.updated_at = Timestamp::now();
            change(&mut next);
            next.revision += 1;
            match self.store.jobs().replace(&next).await {
                Ok(true) => {
                    *record = next;
                    return Ok(record.clone());
                }
                Ok(false) => match self.store.jobs().get(self.id).await {
                    // A write whose answer was lost.
                    Ok(Some(stored)) if stored == next => {
                        *record = next;
                        return Ok(stored);
                    }
                    Ok(Some(stored)) if self.holds(&stored) => {
                        if stored.state == JobState::Paused {
                            self.stop(StopSlice::Paused);
                        }
                        *record = stored;
                        continue;
                    }
                    Ok(_) => {
                        self.stop(StopSlice::Ended);
                        return Err(LeaseLost);
                    }
                    Err(error) => tracing::warn!(job = %self.id, %error, "a job can't be read"),
                },
                Err(error) => tracing::warn!(job = %self.id, %error, "a job can't be written"),
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(LeaseLost)
    }

    /// True if a record is open, under this lease.
    fn holds(&self, record: &JobRecord) -> bool {
        !record.state.is_terminal() && record.work.as_ref().is_some_and(|work| work.fence == self.fence)
    }

    /// Renews the lease until it is lost. `schedule`: sets the time at which the job is looked at, whose lease ends then.
    async fn renew(self: Arc<Self>, schedule: impl Fn(&mut JobRecord)) {
        loop {
            tokio::time::sleep(LEASE_RENEW_INTERVAL).await;
            let renewed = self.change(|record| {
                if let Some(work) = &mut record.work {
                    work.leased_until = Some(Timestamp::now().plus(LEASE_TTL));
                }
                schedule(record);
            });
            if renewed.await.is_err() {
                self.stop(StopSlice::Ended);
                return;
            }
        }
    }
}

impl LeasedJob {
    /// The job of a lease, with the record's part `work`, whose slice ends at `slice_deadline`.
    pub(super) fn new(
        gateway: &Gateway,
        lease: Arc<Lease>,
        (owner, work): (Owner, JobWork),
        input: Value,
        slice_deadline: Instant,
    ) -> Self {
        let engine = Arc::clone(&gateway.0.job_engine);
        let renewal = background::spawn(Arc::clone(&lease).renew(move |record| engine.schedule(record)));
        Self {
            lease,
            gateway: gateway.clone(),
            owner,
            run: work.attempts.last().map_or_else(RunId::new, |attempt| attempt.run),
            caller: work.caller,
            group: work.group,
            input,
            slice_deadline,
            renewal: renewal.abort_handle(),
        }
    }

    /// The job's id.
    pub(crate) fn id(&self) -> JobId {
        self.lease.id
    }

    /// The fencing token of the lease, which each later lease raises.
    pub(crate) fn fence(&self) -> u64 {
        self.lease.fence
    }

    /// The id of the run that this attempt starts. It stays the same in a later slice and after a kill, so that the run's record
    /// says how far the attempt came.
    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// The group of jobs of which a few are carried out at a time.
    pub(crate) fn group(&self) -> Option<u32> {
        self.group
    }

    /// The caller as whom the job acts, with the role and the limits of now.
    ///
    /// # Errors
    /// `forbidden` if the credential has ended, or the owner is no member any longer; `internal` if the store fails, or the job
    /// has no caller.
    pub(crate) async fn caller(&self) -> Result<Caller, ApiError> {
        JobCaller::restore(self.caller.as_ref(), self.owner, &self.gateway.0.access).await
    }

    /// The input, as it was submitted.
    ///
    /// # Errors
    /// `invalid_input` if it has another form.
    pub(crate) fn input<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        T::deserialize(&self.input).map_err(|error| unreadable_input(&error))
    }

    /// Saves the progress: units of work that are done, and their number. The job makes progress, so it isn't what kills its
    /// processes, and it has overcome the failures of earlier attempts: they no longer count.
    ///
    /// # Errors
    /// [`LeaseLost`] if the job has ended or was taken over: return from the handler, whatever it has done since the last save.
    pub(crate) async fn save(&self, done: u64, total: u64) -> Result<(), LeaseLost> {
        let saved = self.lease.change(|record| {
            if let Some(work) = &mut record.work {
                if done > work.done {
                    let earlier = work.attempts.len().saturating_sub(1);
                    work.attempts.drain(..earlier);
                }
                (work.done, work.total, work.interruptions, work.refusals) = (done, total, 0, 0);
            }
        });
        saved.await.map(drop)
    }

    /// True if the handler should return: the job was cancelled or paused, the process stops, or the slice's
    /// time is over.
    pub(crate) fn should_stop(&self) -> bool {
        self.lease.stop.borrow().is_some() || Instant::now() >= self.slice_deadline
    }

    /// The reason to stop, if it isn't the slice's time.
    pub(crate) fn stop_reason(&self) -> Option<StopSlice> {
        *self.lease.stop.borrow()
    }

    /// Waits until the job was cancelled or paused, or the process stops.
    pub(crate) async fn stopped(&self) -> StopSlice {
        let mut stop = self.lease.stop.subscribe();
        let reason = stop.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
        reason.unwrap_or(StopSlice::Ended)
    }

    /// The end of the slice's time.
    pub(crate) fn slice_deadline(&self) -> Instant {
        self.slice_deadline
    }
}

impl Drop for LeasedJob {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// The error of a job whose handler has panicked.
pub(super) fn handler_died() -> JobError {
    JobError::new(
        JobErrorCode::Internal,
        "the gateway failed while it carried out the job; the reason is in its log",
    )
}
