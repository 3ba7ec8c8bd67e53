//! Errors of a function's start and invocations.

use std::{fmt, io, process::ExitStatus, time::Duration};

/// Error with the last output of the function.
#[derive(Debug)]
pub struct Failure {
    /// Cause of the error.
    pub cause: Cause,
    /// The last lines of the function's stdout and stderr.
    pub output: String,
}

/// Cause of a failure.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The binary can't be started, or the Runtime API has no port.
    #[error("the function can't be started: {0}")]
    Start(#[from] io::Error),
    /// The process ended before it answered.
    #[error("the function ended before it answered ({0})")]
    Ended(ExitStatus),
    /// The function did nothing in time.
    #[error("the function did not {awaited} within {} s", within.as_secs_f64())]
    Deadline {
        /// Expected action.
        awaited: &'static str,
        /// Limit of the time.
        within: Duration,
    },
    /// The function reported an error to the Runtime API instead of responding.
    #[error("the function reported {kind}: {message}")]
    Reported {
        /// The error's type.
        kind: String,
        /// The error's message.
        message: String,
    },
    /// The response isn't valid for API Gateway's proxy integration.
    #[error("the function's response is invalid: {0}")]
    Malformed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.output.as_str() {
            "" => write!(f, "{}; it wrote nothing", self.cause),
            output => write!(f, "{}; it wrote last:\n{output}", self.cause),
        }
    }
}

// No source: the message includes it.
impl std::error::Error for Failure {}
