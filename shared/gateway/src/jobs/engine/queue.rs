//! The queue of jobs: a hint that a job may be carried out. The table alone says what is to be done, so a message may be lost or
//! come twice.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use hearth_domain::{JobId, JobKind, Owner, Priority, Timestamp};
use hearth_store::jobs::JobRecord;

/// A job that may be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobMessage {
    /// The job.
    pub job: JobId,
    /// Its kind.
    pub kind: JobKind,
    /// Its priority.
    pub priority: Priority,
    /// Its owner, between whom the queue is fair.
    pub owner: Owner,
    /// The group of the owner's jobs of which a few are carried out at a time.
    pub group: Option<u32>,
    /// The time before which it isn't carried out.
    pub start_at: Timestamp,
}

impl JobMessage {
    /// The message for a job, to be carried out at `start_at`.
    pub(crate) fn of(job: &JobRecord, start_at: Timestamp) -> Self {
        let group = job.work.as_ref().and_then(|work| work.group);
        Self { job: job.id, kind: job.kind, priority: job.priority, owner: job.owner(), group, start_at }
    }
}

/// A message that can't be sent.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a job can't be queued: {0}")]
pub struct JobQueueError(pub String);

/// A queue of jobs.
#[async_trait]
pub trait JobQueue: fmt::Debug + Send + Sync {
    /// Sends a message.
    async fn send(&self, message: JobMessage) -> Result<(), JobQueueError>;

    /// The longest time until `start_at` for which the queue holds a message.
    fn delay_max(&self) -> Duration;
}
