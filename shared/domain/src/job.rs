//! Jobs: work that goes on after the response to its request, such as a generation or the download of a model.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Kind of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// A node downloads a model. The node has its state.
    #[default]
    Download,
    /// A model answers a request of `POST /v1/generate`.
    Generate,
    /// A model fills in a schema, as by `POST /v1/analyze`.
    Analyze,
    /// A file of requests is answered, line by line.
    Batch,
    /// An event is sent to a webhook.
    Delivery,
    /// A kind of a later version.
    #[serde(other)]
    Other,
}

impl JobKind {
    /// The kinds that the gateway carries out itself.
    pub const CARRIED_OUT: [Self; 4] = [Self::Generate, Self::Analyze, Self::Batch, Self::Delivery];

    /// Returns the name in JSON and keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Generate => "generate",
            Self::Analyze => "analyze",
            Self::Batch => "batch",
            Self::Delivery => "delivery",
            Self::Other => "other",
        }
    }
}

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
    /// Ended by its time limit, before it was complete.
    Expired,
}

impl JobState {
    /// The terminal states, by their names.
    pub const TERMINAL: [&'static str; 4] = ["completed", "failed", "cancelled", "expired"];
    /// The other states, by their names.
    pub const OPEN: [&'static str; 3] = ["queued", "running", "paused"];

    /// Returns whether the job has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Expired)
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
            Self::Expired => "expired",
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
    /// The input can't be carried out as it is.
    InvalidInput,
    /// The owner, or the credential that submitted the job, no longer may do it.
    Forbidden,
    /// The request that the job sent has failed; `cause` is the API's error code.
    RequestFailed,
    /// The processes that carried out the job died too often.
    Interrupted,
    /// The job wasn't complete in its time.
    TimedOut,
    /// The result is larger than a result may be.
    ResultTooLarge,
    /// The receiver of an event can't be reached, or didn't accept it.
    DeliveryFailed,
    /// The gateway failed.
    Internal,
    /// A code of a later version of a node.
    #[serde(other)]
    Other,
}

/// Error that has ended a job, or one of its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobError {
    /// Kind.
    pub code: JobErrorCode,
    /// Message for people.
    pub message: String,
    /// Code of the API's error that is the cause, such as `model_not_found`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl JobError {
    /// Creates an error without a cause.
    pub fn new(code: JobErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cause: None }
    }
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
            JobState::Expired,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(JobState::TERMINAL.contains(&state.as_str()), state.is_terminal());
            assert_eq!(JobState::OPEN.contains(&state.as_str()), !state.is_terminal());
        }
        for kind in JobKind::CARRIED_OUT.into_iter().chain([JobKind::Download]) {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(serde_json::from_value::<JobKind>("dream".into()).unwrap(), JobKind::Other);
        let later: JobErrorCode = serde_json::from_value("quota".into()).unwrap();
        assert_eq!(later, JobErrorCode::Other);
    }
}
