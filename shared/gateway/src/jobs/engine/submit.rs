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
    /// The client's options, by which a submission with the same `dedupe` is compared; null without any.
    pub(crate) options: Value,
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
    /// The group of jobs of which a few are carried out at a time.
    pub(crate) group: Option<u32>,
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
            options: Value::Null,
            caller: None,
            priority: Priority::Normal,
            not_before: None,
            max_attempts: None,
            expires_after: None,
            webhook: None,
            group: None,
            dedupe: None,
            parent: None,
            replay_of: None,
            hidden: false,
        }
    }
}

impl JobEngine {
    /// The times from which a job of now may be carried out, and at which it expires. `expires_after`: none for the setting.
    pub(crate) fn times(
        &self,
        not_before: Option<Timestamp>,
        expires_after: Option<Duration>,
    ) -> (Timestamp, Timestamp) {
        let now = Timestamp::now();
        let start_at = not_before.unwrap_or(now).max(now);
        (start_at, start_at.plus(expires_after.unwrap_or_else(|| self.settings.expiry_ttl())))
    }

    /// Submits a job: it is stored when this returns, and carried out by this process or another one. Returns the record, which is
    /// that of an earlier submission with the same `dedupe`.
    ///
    /// # Errors
    /// `conflict` if an earlier submission with the same `dedupe` had another input or options; `queue_full` if too many jobs of the
    /// organisation wait; `internal` if the store fails.
    pub(crate) async fn submit(&self, owner: Owner, new: NewJob) -> Result<JobRecord, ApiError> {
        if !new.hidden
            && let Err(error) = self.refuse_full_queue(owner)
        {
            // A repeated submission adds no job.
            return self.submitted(owner, &new).await?.ok_or(error);
        }
        let (start_at, expires_at) = self.times(new.not_before, new.expires_after);
        let max_attempts = new.max_attempts.unwrap_or(self.settings.max_attempts).max(1);
        let work = JobWork {
            caller: new.caller.as_ref().and_then(JobCaller::store),
            is_hidden: new.hidden,
            replay_of: new.replay_of,
            parent: new.parent,
            webhook: new.webhook,
            group: new.group,
            ..JobWork::new(max_attempts, start_at, expires_at, self.settings.retention_ttl())
        };
        let mut job = JobRecord::new_work(JobId::new(), owner, new.kind, work);
        job.priority = new.priority;
        self.schedule(&mut job);
        let new = NewWork { job, input: &new.input, options: &new.options, dedupe: new.dedupe.as_deref() };
        match self.store.jobs().submit(new).await.map_err(error::store)? {
            SubmittedWork::New(job) => {
                metrics::counter!("hearth_jobs_submitted_total", "kind" => job.kind.as_str()).increment(1);
                self.send(JobMessage::of(&job, start_at)).await;
                Ok(*job)
            }
            SubmittedWork::Earlier(job, is_same) => earlier(*job, is_same),
        }
    }

    /// The job of an earlier submission with the same `dedupe`, if it is stored.
    ///
    /// # Errors
    /// `conflict` if that had another input or options; `internal` if the store fails.
    pub(crate) async fn submitted(&self, owner: Owner, new: &NewJob) -> Result<Option<JobRecord>, ApiError> {
        let Some(dedupe) = &new.dedupe else { return Ok(None) };
        let submitted = self.store.jobs().submitted(owner, dedupe, &new.input, &new.options).await;
        let submitted = submitted.map_err(error::store)?;
        submitted.map(|(job, is_same)| earlier(job, is_same)).transpose()
    }
}

/// The job of an earlier submission, unless it had another input or options.
fn earlier(job: JobRecord, is_same: bool) -> Result<JobRecord, ApiError> {
    if is_same {
        return Ok(job);
    }
    let message =
        "another request with this Idempotency-Key had another body; send a key of its own with each job";
    Err(ApiError::new(ErrorCode::Conflict, message).with("job", job.id.to_string()))
}
