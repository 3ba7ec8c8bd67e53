//! Why an invocation has no answer.

use std::{fmt, io, process::ExitStatus, time::Duration};

/// What went wrong, and the last that the function wrote.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub cause: Cause,
    /// The last lines of the function's stdout and stderr.
    pub output: String,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The binary can't be started, or the Runtime API has no port.
    #[error("the function can't be started: {0}")]
    Start(#[from] io::Error),
    /// The process ended before it answered.
    #[error("the function ended before it answered ({0})")]
    Ended(ExitStatus),
    /// Nothing was heard in time.
    #[error("the function did not {awaited} within {} s", within.as_secs_f64())]
    Deadline {
        /// What it should have done.
        awaited: &'static str,
        /// The time that it had.
        within: Duration,
    },
    /// The function told the Runtime API of an error instead of answering.
    #[error("the function reported {kind}: {message}")]
    Reported {
        /// The error's type.
        kind: String,
        /// The error's message.
        message: String,
    },
    /// The answer isn't what API Gateway's proxy integration takes.
    #[error("the function's answer can't be passed on: {0}")]
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

// No source: what it would say is in the text already.
impl std::error::Error for Failure {}
