//! Jobs that the gateway carries out, for their owners: submitted, read, replayed and dropped; and paused kinds.

use std::time::Duration;

use hearth_domain::{JobId, JobKind, JobState, Priority, Timestamp};
use hearth_store::jobs::JobRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    native::{
        jobs::{
            IDEMPOTENCY_KEY_MAX_CHARS, JOB_ATTEMPTS_MAX_COUNT, JOB_EXPIRY_MAX_SECONDS, JobBody, JobPauseBody,
            JobPauseList, JobPauseScope, JobRequest,
        },
        webhooks::JobWebhook,
    },
};
use serde_json::{Value, json};

use super::{
    body,
    engine::{NewJob, check_generate},
};
use crate::{Gateway, access::Caller, error, webhooks::attach};

/// A longer result isn't in the body of its job.
const RESULT_IN_BODY_MAX_BYTES: u64 = 32 << 10;
/// Bytes of an input, at most, as JSON.
const INPUT_MAX_BYTES: usize = 4 << 20;

impl Gateway {
    /// Submits a job of the caller's. `idempotency_key`: a second submission with it returns the first job.
    ///
    /// # Errors
    /// `invalid_request` for a bad input, naming the field; `conflict` if the key came with another body; `queue_full`;
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn submit_job(
        &self,
        caller: &Caller,
        request: JobRequest,
        idempotency_key: Option<&str>,
    ) -> Result<JobBody, ApiError> {
        check_options(&request, idempotency_key)?;
        match request.kind {
            JobKind::Generate => check_generate(self, caller, &request.input).await?,
            JobKind::Analyze => crate::analyze::job::check(self, caller, &request.input).await?,
            kind => return Err(not_submitted(kind)),
        }
        let mut new = NewJob {
            caller: Some(caller.clone()),
            priority: request.priority,
            not_before: request.not_before,
            max_attempts: request.max_attempts,
            expires_after: request.expires_after_seconds.map(Duration::from_secs),
            options: options(&request),
            dedupe: idempotency_key.map(|key| format!("{}|{key}", request.kind.as_str())),
            ..NewJob::new(request.kind, request.input)
        };
        if let Some(webhook) = &request.webhook {
            // A repeated submission has its webhook already.
            if let Some(earlier) = self.0.job_engine.submitted(caller.owner(), &new).await? {
                return self.work_body(earlier).await;
            }
            let (_, expires_at) = self.0.job_engine.times(new.not_before, new.expires_after);
            new.webhook = Some(attach(&self.0, caller.owner(), webhook, expires_at).await?);
        }
        let record = self.0.job_engine.submit(caller.owner(), new).await?;
        self.work_body(record).await
    }

    /// The body of a job, with its result if it is short.
    pub(crate) async fn work_body(&self, record: JobRecord) -> Result<JobBody, ApiError> {
        let id = record.id;
        let mut body = body::of(record, None);
        if let Some(work) = &mut body.work
            && work.result_bytes.is_some_and(|bytes| bytes <= RESULT_IN_BODY_MAX_BYTES)
        {
            work.result = Some(self.0.store.jobs().result(id).await.map_err(error::store)?);
        }
        Ok(body)
    }

    /// The result of the caller's job.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::job`]; `conflict` if the job isn't complete; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn job_result(&self, caller: &Caller, id: JobId) -> Result<Value, ApiError> {
        let record = self.0.jobs.read(caller, id).await?;
        if record.work.is_none() || record.state != JobState::Completed {
            let message = format!("the job has no result: it is {}", record.state.as_str());
            return Err(ApiError::new(ErrorCode::Conflict, message).with("state", record.state.as_str()));
        }
        self.0.store.jobs().result(id).await.map_err(error::store)
    }

    /// Submits the input of the caller's job once more, which has ended. The new job names it; repeated, this returns that job.
    ///
    /// # Errors
    /// `not_found`; `conflict` if it hasn't ended, is a download or that of a batch.
    #[crate::boxed_future]
    pub async fn retry_job(&self, caller: &Caller, id: JobId) -> Result<JobBody, ApiError> {
        let record = self.0.jobs.read(caller, id).await?;
        let new = self.replay_job(caller, record).await?;
        self.work_body(new).await
    }

    /// Takes the caller's job from the dead letters.
    ///
    /// # Errors
    /// `not_found`; `conflict` if it isn't among them.
    #[crate::boxed_future]
    pub async fn drop_job(&self, caller: &Caller, id: JobId) -> Result<JobBody, ApiError> {
        let record = self.0.jobs.read(caller, id).await?;
        let dropped = self.drop_dead_job(record).await?;
        self.work_body(dropped).await
    }

    /// The pauses that hold jobs of the caller's organisation.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn job_pauses(&self, caller: &Caller) -> Result<JobPauseList, ApiError> {
        let pauses = self.0.store.jobs().pauses().await.map_err(error::store)?;
        let own = pauses.into_iter().filter(|pause| {
            pause.organisation.is_none_or(|organisation| organisation == caller.organisation)
        });
        let pauses = own.map(|pause| JobPauseBody {
            kind: pause.kind,
            scope: match pause.organisation {
                Some(_) => JobPauseScope::Organisation,
                None => JobPauseScope::Gateway,
            },
            paused_at: pause.paused_at,
        });
        Ok(JobPauseList { pauses: pauses.collect() })
    }

    /// Pauses or resumes a kind of jobs; returns the pauses after that.
    ///
    /// # Errors
    /// `forbidden` for the whole gateway, unless the caller is its operator; `invalid_request` for a kind that the gateway doesn't
    /// carry out; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn set_job_pause(
        &self,
        caller: &Caller,
        kind: JobKind,
        scope: JobPauseScope,
        is_paused: bool,
    ) -> Result<JobPauseList, ApiError> {
        if !JobKind::CARRIED_OUT.contains(&kind) {
            let message = "kind must be generate, analyze, batch or delivery; a download is paused by itself";
            return Err(ApiError::invalid("kind", message));
        }
        if scope == JobPauseScope::Gateway && !caller.is_operator {
            let message = "only the gateway's operator pauses the jobs of all organisations; leave out scope";
            return Err(ApiError::new(ErrorCode::Forbidden, message).at("scope"));
        }
        let organisation = (scope == JobPauseScope::Organisation).then_some(caller.organisation);
        match is_paused {
            true => self.pause_kind(caller, organisation, kind).await?,
            false => self.resume_kind(organisation, kind).await?,
        }
        self.job_pauses(caller).await
    }
}

/// The options of a request, without the values of its secrets; null if it has none.
fn options(request: &JobRequest) -> Value {
    let webhook = request.webhook.as_ref().map(|JobWebhook { url, secret, headers, events }| {
        json!([url, secret.is_some(), headers.keys().collect::<Vec<_>>(), events])
    });
    let expires = request.expires_after_seconds;
    let priority = Some(request.priority).filter(|priority| *priority != Priority::default());
    if webhook.is_none()
        && expires.is_none()
        && priority.is_none()
        && request.not_before.is_none()
        && request.max_attempts.is_none()
    {
        return Value::Null;
    }
    json!([priority, request.not_before, request.max_attempts, expires, webhook])
}

fn check_options(request: &JobRequest, idempotency_key: Option<&str>) -> Result<(), ApiError> {
    if idempotency_key.is_some_and(|key| key.is_empty() || key.chars().count() > IDEMPOTENCY_KEY_MAX_CHARS) {
        let message = format!("Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_MAX_CHARS} characters");
        return Err(ApiError::invalid("idempotency-key", message));
    }
    let attempts = request.max_attempts.unwrap_or(1);
    if !(1..=JOB_ATTEMPTS_MAX_COUNT).contains(&attempts) {
        let message = format!("max_attempts must be 1 to {JOB_ATTEMPTS_MAX_COUNT}");
        return Err(ApiError::invalid("max_attempts", message));
    }
    let seconds = request.expires_after_seconds.unwrap_or(1);
    if !(1..=JOB_EXPIRY_MAX_SECONDS).contains(&seconds) {
        let message = format!("expires_after_seconds must be 1 to {JOB_EXPIRY_MAX_SECONDS}");
        return Err(ApiError::invalid("expires_after_seconds", message));
    }
    let last = Timestamp::now().plus(Duration::from_secs(JOB_EXPIRY_MAX_SECONDS));
    if request.not_before.is_some_and(|at| at > last) {
        return Err(ApiError::invalid("not_before", "not_before must be within 30 days"));
    }
    if !request.input.is_object() {
        return Err(ApiError::invalid("input", "input must be an object: the body of the request"));
    }
    if request.input.to_string().len() > INPUT_MAX_BYTES {
        let message = format!("input must have {INPUT_MAX_BYTES} bytes at most, as JSON");
        return Err(ApiError::invalid("input", message));
    }
    Ok(())
}

fn not_submitted(kind: JobKind) -> ApiError {
    let message = match kind {
        JobKind::Download => "a download begins with POST /v1/models/download",
        JobKind::Batch => "a batch begins with POST /v1/batches",
        _ => "kind must be generate or analyze",
    };
    ApiError::invalid("kind", message)
}
