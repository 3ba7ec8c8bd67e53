//! Takes jobs from the queue of this process, as many at a time as the settings allow.

use std::{sync::Arc, time::Duration};

use hearth_domain::{JobKind, Timestamp};
use hearth_wire::ApiError;
use tokio::{sync::watch, task::JoinHandle};

use super::{JobOutcome, local_queue::LocalQueue, pauses::PausedKinds, queue::JobMessage};
use crate::{Gateway, background};

/// Interval of the looks at the index of due jobs: for expired ones, and those of a message that was lost by a failing store.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(30);
/// The longest time of such a look, which the next one continues.
const MAINTENANCE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time after which a job is carried out again whose store failed.
const STORE_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Deliveries in progress for each job of another kind: they wait for the network only.
const DELIVERIES_FACTOR: usize = 4;

/// The dispatcher of this process, which ends when it is dropped.
#[derive(Debug)]
pub struct JobDispatcher {
    gateway: Gateway,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Gateway {
    /// Carries out the jobs of the store from now on: those that an earlier process has left, and new ones. Only where one process
    /// has the store.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn start_jobs(&self) -> Result<Option<JobDispatcher>, ApiError> {
        let engine = &self.0.job_engine;
        let Some(queue) = engine.local.clone() else { return Ok(None) };
        let queued = self.queue_open_jobs().await?;
        if queued > 0 {
            tracing::info!(queued, "jobs of an earlier process go on");
        }
        let (stop, stopped) = watch::channel(false);
        let dispatch = background::spawn(dispatch(self.clone(), queue, stopped.clone()));
        let maintain = background::spawn(maintain(self.clone(), stopped));
        Ok(Some(JobDispatcher { gateway: self.clone(), stop, tasks: [dispatch, maintain] }))
    }
}

impl JobDispatcher {
    /// Begins no more jobs, and waits for the slices of those in progress for `grace` at most. They go on with the next start.
    #[crate::boxed_future]
    pub async fn stop(self, grace: Duration) {
        self.stop.send_replace(true);
        let engine = &self.gateway.0.job_engine;
        engine.active.stop_all();
        let Some(queue) = &engine.local else { return };
        if tokio::time::timeout(grace, queue.idle()).await.is_err() {
            tracing::warn!(jobs = queue.in_progress(), "jobs in progress go on with the next start");
        }
    }
}

impl Drop for JobDispatcher {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn dispatch(gateway: Gateway, queue: Arc<LocalQueue>, mut stopped: watch::Receiver<bool>) {
    let engine = Arc::clone(&gateway.0.job_engine);
    let limit = |kind: JobKind| {
        let limit = engine.settings.concurrency as usize;
        if kind == JobKind::Delivery { limit * DELIVERIES_FACTOR } else { limit }
    };
    let mut paused = PausedKinds::default();
    loop {
        match engine.pauses.current().await {
            Ok(current) => paused = current,
            Err(error) => tracing::warn!(%error, "the paused kinds of jobs can't be read"),
        }
        while !*stopped.borrow()
            && let Some(message) = queue.take(limit, &paused)
        {
            drop(background::spawn(carry_out(gateway.clone(), Arc::clone(&queue), message)));
        }
        tokio::select! {
            () = queue.changed() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

async fn carry_out(gateway: Gateway, queue: Arc<LocalQueue>, message: JobMessage) {
    let again = match gateway.carry_out_job(message.job, None).await {
        Ok(JobOutcome::Done) => None,
        Ok(JobOutcome::Later(at)) => Some(at),
        // The next take skips it while its kind is paused.
        Ok(JobOutcome::Held) => Some(Timestamp::now()),
        Err(error) => {
            tracing::warn!(job = %message.job, %error, "a job is carried out later");
            Some(Timestamp::now().plus(STORE_RETRY_INTERVAL))
        }
    };
    queue.finish(&message, again);
}

async fn maintain(gateway: Gateway, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(MAINTENANCE_INTERVAL) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        if let Err(error) = gateway.sweep_jobs(MAINTENANCE_TIMEOUT).await {
            tracing::warn!(%error, "due jobs can't be looked at");
        }
    }
}
