//! Submission of jobs.

use std::time::Duration;

use hearth_domain::{JobId, JobKind, Owner, Priority, Timestamp, WebhookId};
use hearth_store::jobs::{JobRecord, JobWork, NewWork, SubmittedWork};
use hearth_wire::{ApiError, ErrorCode};
use serde_json::Value;

use super::{JobEngine, caller::JobCaller, queue::JobMessage};
use crate::{access::Caller, error};

/// A job to submit. Take [`NewJob::new`] for the defaults.
#[derive(Debug, Clone)]
pub(crate) struct NewJob {
    /// Its kind.
    pub(crate) kind: JobKind,
    /// Its input, in the form that the kind's handler reads.
    pub(crate) input: Value,
    /// The caller as whom it acts; none for the gateway's own work, such as a delivery.
    pub(crate) caller: Option<Caller>,
    /// The place among the jobs that wait.
    pub(crate) priority: Priority,
    /// Time before which it isn't carried out.
    pub(crate) not_before: Option<Timestamp>,
    /// Number of attempts after which it fails; none for the setting.
    pub(crate) max_attempts: Option<u32>,
    /// Time after which it ends, complete or not, from `not_before` or from now; none for the setting.
    pub(crate) expires_after: Option<Duration>,
    /// The webhook of its end.
    pub(crate) webhook: Option<WebhookId>,
    /// A text that names the submission: a second one of the owner's with it returns the first job.
    pub(crate) dedupe: Option<String>,
    /// The job that submits it.
    pub(crate) parent: Option<JobId>,
    /// The job whose input it repeats.
    pub(crate) replay_of: Option<JobId>,
    /// True if no list has it.
    pub(crate) hidden: bool,
}

impl NewJob {
    /// A job of a kind with this input, and the defaults.
    pub(crate) fn new(kind: JobKind, input: Value) -> Self {
        Self {
            kind,
            input,
            caller: None,
            priority: Priority::Normal,
            not_before: None,
            max_attempts: None,
            expires_after: None,
            webhook: None,
            dedupe: None,
            parent: None,
            replay_of: None,
            hidden: false,
        }
    }
}

impl JobEngine {
    /// Submits a job: it is stored when this returns, and carried out by this process or another one. Returns the record, which is
    /// that of an earlier submission with the same `dedupe`.
    ///
    /// # Errors
    /// `conflict` if an earlier submission with the same `dedupe` had another input; `queue_full` if too many jobs of the
    /// organisation wait; `internal` if the store fails.
    pub(crate) async fn submit(&self, owner: Owner, new: NewJob) -> Result<JobRecord, ApiError> {
        if !new.hidden {
            self.refuse_full_queue(owner)?;
        }
        let now = Timestamp::now();
        let start_at = new.not_before.unwrap_or(now).max(now);
        let expires_after = new.expires_after.unwrap_or_else(|| self.settings.expiry_ttl());
        let max_attempts = new.max_attempts.unwrap_or(self.settings.max_attempts).max(1);
        let expires_at = start_at.plus(expires_after);
        let work = JobWork {
            caller: new.caller.as_ref().and_then(JobCaller::store),
            is_hidden: new.hidden,
            replay_of: new.replay_of,
            parent: new.parent,
            webhook: new.webhook,
            ..JobWork::new(max_attempts, start_at, expires_at, self.settings.retention_ttl())
        };
        let mut job = JobRecord::new_work(JobId::new(), owner, new.kind, work);
        job.priority = new.priority;
        let look_at = self.look_at(&job);
        job.work.iter_mut().for_each(|work| work.look_at = look_at);
        let new = NewWork { job, input: &new.input, dedupe: new.dedupe.as_deref() };
        match self.store.jobs().submit(new).await.map_err(error::store)? {
            SubmittedWork::New(job) => {
                metrics::counter!("hearth_jobs_submitted_total", "kind" => job.kind.as_str()).increment(1);
                self.send(JobMessage::of(&job, start_at)).await;
                Ok(*job)
            }
            SubmittedWork::Earlier(id, true) => {
                let job = self.store.jobs().get(id).await.map_err(error::store)?;
                job.ok_or_else(|| {
                    let message =
                        "the job of this Idempotency-Key is no longer stored; send another key for a new job";
                    ApiError::new(ErrorCode::Conflict, message)
                })
            }
            SubmittedWork::Earlier(id, false) => {
                let message = "another request with this Idempotency-Key had another body; send a key of its own with each job";
                Err(ApiError::new(ErrorCode::Conflict, message).with("job", id.to_string()))
            }
        }
    }
}
