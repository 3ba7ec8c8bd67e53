//! The outcome of one slice of a job.

use std::time::Duration;

use hearth_domain::{JobError, JobErrorCode};
use hearth_wire::{ApiError, ErrorCode};
use serde_json::Value;

/// Time after which a request is sent again, at the earliest, that a rate limit has refused without naming a time.
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
    /// A rate limit of the gateway's own refuses the request: the attempt goes on with another slice.
    RateLimited {
        /// Time until the limit allows requests again.
        after: Duration,
    },
    /// The request of the attempt was lost with the process that sent it: the attempt begins again, with another request.
    Restart,
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
            return Self::RateLimited { after: after.unwrap_or(RATE_LIMIT_DELAY) };
        }
        let is_transient = error.code.retryable() || TRANSIENT.contains(&error.code);
        let error = job_error(error);
        if is_transient { Self::Retry { error, after } } else { Self::Failed { error } }
    }

    /// The step after a request has failed while its process stops. It costs no attempt: the process cuts its requests short, and
    /// refuses new ones.
    pub(crate) fn after_stop(error: ApiError) -> Self {
        let is_cut_short = error.code.retryable() || error.code == ErrorCode::Cancelled;
        if is_cut_short { Self::Restart } else { Self::after_error(error) }
    }

    /// The step after a request has failed that an earlier process may have sent. One that was lost with its process costs no
    /// attempt.
    pub(crate) fn after_interruption(error: ApiError) -> Self {
        match error.code {
            ErrorCode::NodeLost | ErrorCode::GatewayStopped | ErrorCode::Cancelled => Self::Restart,
            _ => Self::after_error(error),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_that_was_lost_with_its_process_costs_no_attempt() {
        let of = |code| ApiError::new(code, "no answer");
        for code in [ErrorCode::NodeLost, ErrorCode::GatewayStopped, ErrorCode::Cancelled] {
            assert!(matches!(JobStep::after_interruption(of(code)), JobStep::Restart), "{code:?}");
            assert!(matches!(JobStep::after_error(of(code)), JobStep::Retry { .. }), "{code:?}");
        }
        let refused = JobStep::after_interruption(of(ErrorCode::ModelNotFound));
        assert!(matches!(refused, JobStep::Failed { .. }), "{refused:?}");
        let limited =
            JobStep::after_error(of(ErrorCode::RateLimited).with_retry_after(Some(Duration::from_secs(9))));
        assert!(matches!(limited, JobStep::RateLimited { after } if after.as_secs() == 9), "{limited:?}");
        let failed = JobStep::after_interruption(of(ErrorCode::ProviderError));
        assert!(matches!(failed, JobStep::Retry { .. }), "{failed:?}");
        for code in [
            ErrorCode::NodeLost,
            ErrorCode::GatewayStopped,
            ErrorCode::Cancelled,
            ErrorCode::Overloaded,
            ErrorCode::ProviderError,
        ] {
            assert!(matches!(JobStep::after_stop(of(code)), JobStep::Restart), "{code:?}");
        }
        let refused = JobStep::after_stop(of(ErrorCode::InvalidRequest));
        assert!(matches!(refused, JobStep::Failed { .. }), "{refused:?}");
    }
}
