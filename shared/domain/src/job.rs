//! Jobs: work that goes on after the response to its request, such as the download of a model.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// State of a job. A terminal state is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for others to end.
    Queued,
    /// In progress.
    Running,
    /// Stopped until it is resumed.
    Paused,
    /// Ended with success.
    Completed,
    /// Ended by an error.
    Failed,
    /// Ended by a caller.
    Cancelled,
}

impl JobState {
    /// The terminal states, by their names.
    pub const TERMINAL: [&'static str; 3] = ["completed", "failed", "cancelled"];
    /// The other states, by their names.
    pub const OPEN: [&'static str; 3] = ["queued", "running", "paused"];

    /// Returns whether the job has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Returns the name in JSON and queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Kind of error that has ended a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobErrorCode {
    /// The source has no such repository, file or name.
    SourceNotFound,
    /// The source requires a token, or the acceptance of terms.
    AccessDenied,
    /// The source can't be reached, or broke off too often.
    SourceUnreachable,
    /// The source's answer can't be used.
    InvalidSource,
    /// The file isn't the one that the source lists, by its SHA-256 or its size.
    ChecksumMismatch,
    /// The disk has too little room.
    DiskFull,
    /// The node can't write the file.
    WriteFailed,
    /// The node has no record of the job, or is gone.
    NodeLost,
    /// A code of a later version of a node.
    #[serde(other)]
    Other,
}

/// Error that has ended a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobError {
    /// Kind.
    pub code: JobErrorCode,
    /// Message for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_are_those_of_queries() {
        for state in [
            JobState::Queued,
            JobState::Running,
            JobState::Paused,
            JobState::Completed,
            JobState::Failed,
            JobState::Cancelled,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(JobState::TERMINAL.contains(&state.as_str()), state.is_terminal());
            assert_eq!(JobState::OPEN.contains(&state.as_str()), !state.is_terminal());
        }
        let later: JobErrorCode = serde_json::from_value("quota".into()).unwrap();
        assert_eq!(later, JobErrorCode::Other);
    }
}
