//! The outcome of one slice of a job.

use std::time::Duration;

use hearth_domain::{JobError, JobErrorCode};
use hearth_wire::{ApiError, ErrorCode};
use serde_json::Value;

/// Time after which a request is sent again that a rate limit has refused without naming a time.
const RATE_LIMIT_DELAY: Duration = Duration::from_secs(2);
/// Errors that the same request need not meet again, beside the retryable ones: a job waits longer than a client does.
const TRANSIENT: [ErrorCode; 5] = [
    ErrorCode::Internal,
    ErrorCode::Cancelled,
    ErrorCode::NoModelAvailable,
    ErrorCode::ModelLoadFailed,
    ErrorCode::RunTimeout,
];

/// The outcome of one slice of a job, which its handler returns.
#[derive(Debug)]
pub(crate) enum JobStep {
    /// The job is complete.
    Completed {
        /// Its result: in the table up to 32 KB, else an object.
        result: Value,
    },
    /// The position is saved; the job goes on with another slice, of the same attempt.
    Continue {
        /// Time until the next slice.
        after: Duration,
    },
    /// The attempt has failed, and another one may succeed. After the last attempt the job has failed.
    Retry {
        /// The attempt's error.
        error: JobError,
        /// Time until the next attempt; none for the engine's backoff.
        after: Option<Duration>,
    },
    /// The job has failed, and another attempt would too.
    Failed {
        /// The error.
        error: JobError,
    },
}

impl JobStep {
    /// The step after a request of the job was refused or failed. A rate limit of the gateway's own costs no attempt.
    pub(crate) fn after_error(error: ApiError) -> Self {
        let after = error.retry_after;
        if error.code == ErrorCode::RateLimited {
            return Self::Continue { after: after.unwrap_or(RATE_LIMIT_DELAY) };
        }
        let is_transient = error.code.retryable() || TRANSIENT.contains(&error.code);
        let error = job_error(error);
        if is_transient { Self::Retry { error, after } } else { Self::Failed { error } }
    }
}

/// An error of the API as that of a job.
pub(crate) fn job_error(error: ApiError) -> JobError {
    let code = match error.code {
        ErrorCode::InvalidRequest => JobErrorCode::InvalidInput,
        ErrorCode::Unauthorized | ErrorCode::Forbidden => JobErrorCode::Forbidden,
        ErrorCode::Internal => JobErrorCode::Internal,
        _ => JobErrorCode::RequestFailed,
    };
    JobError { code, message: error.message, cause: Some(error.code.as_str().to_owned()) }
}
