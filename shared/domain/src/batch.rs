//! Batches: many requests in one file, which are carried out when there is time, with the results in other files.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// API in which a batch was created. It decides the shape of its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchDialect {
    /// OpenAI's: input, output and error files.
    OpenAi,
    /// Anthropic's: requests in the body, results as one stream.
    Anthropic,
}

impl BatchDialect {
    /// Returns the name, as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "open_ai",
            Self::Anthropic => "anthropic",
        }
    }
}

/// Route that carries out the requests of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum BatchEndpoint {
    /// Chat completions.
    #[serde(rename = "/v1/chat/completions")]
    ChatCompletions,
    /// Responses.
    #[serde(rename = "/v1/responses")]
    Responses,
    /// Embeddings.
    #[serde(rename = "/v1/embeddings")]
    Embeddings,
    /// Completions.
    #[serde(rename = "/v1/completions")]
    Completions,
    /// Anthropic's messages.
    #[serde(rename = "/v1/messages")]
    Messages,
}

impl BatchEndpoint {
    /// Every endpoint.
    pub const ALL: [Self; 5] =
        [Self::ChatCompletions, Self::Responses, Self::Embeddings, Self::Completions, Self::Messages];

    /// Returns the route's path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
            Self::Completions => "/v1/completions",
            Self::Messages => "/v1/messages",
        }
    }
}

impl fmt::Display for BatchEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Path that no batch can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: /v1/chat/completions, /v1/responses, /v1/embeddings, /v1/completions, /v1/messages")]
pub struct InvalidEndpoint;

impl FromStr for BatchEndpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        Self::ALL.into_iter().find(|endpoint| endpoint.as_str() == text).ok_or(InvalidEndpoint)
    }
}

/// State of a batch. A terminal state is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Its input is checked.
    Validating,
    /// Its requests are carried out.
    InProgress,
    /// Its results are put together.
    Finalizing,
    /// Ended: each request has a result.
    Completed,
    /// Ended: its input can't be carried out.
    Failed,
    /// Ended: its time was over before some of its requests were carried out.
    Expired,
    /// Its owner has cancelled it, and its requests in progress end.
    Cancelling,
    /// Ended by its owner.
    Cancelled,
}

impl BatchState {
    /// Returns whether the batch has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Expired | Self::Cancelled)
    }

    /// Returns the name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Time at which the requests of a batch may be started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BatchWhen {
    /// Any time.
    #[default]
    Now,
    /// While no other request is at the owner's nodes.
    Idle,
    /// During the hours that the operator has set.
    Night,
}

/// Results of a batch's requests, by their kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchCounts {
    /// Requests of the input.
    pub total: u64,
    /// Requests with an answer.
    pub succeeded: u64,
    /// Requests that ended with an error.
    pub errored: u64,
    /// Requests that weren't carried out before the cancellation.
    pub cancelled: u64,
    /// Requests that weren't carried out in time.
    pub expired: u64,
}

impl BatchCounts {
    /// Requests with a result.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.succeeded + self.errored + self.cancelled + self.expired
    }

    /// Requests without a result.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.total.saturating_sub(self.done())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for endpoint in BatchEndpoint::ALL {
            assert_eq!(serde_json::to_value(endpoint).unwrap(), endpoint.as_str());
            assert_eq!(endpoint.as_str().parse(), Ok(endpoint));
        }
        assert!("/v1/generate".parse::<BatchEndpoint>().is_err());
        for (state, is_terminal) in [
            (BatchState::Validating, false),
            (BatchState::InProgress, false),
            (BatchState::Finalizing, false),
            (BatchState::Cancelling, false),
            (BatchState::Completed, true),
            (BatchState::Failed, true),
            (BatchState::Expired, true),
            (BatchState::Cancelled, true),
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(state.is_terminal(), is_terminal);
        }
    }

    #[test]
    fn open_requests_are_those_without_a_result() {
        let counts = BatchCounts { total: 9, succeeded: 2, errored: 1, cancelled: 0, expired: 3 };
        assert_eq!((counts.done(), counts.open()), (6, 3));
    }
}
