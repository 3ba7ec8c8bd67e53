//! Failures of requests to the gateway.

use hearth_wire::{ApiError, ErrorCode};
use reqwest::StatusCode;
use serde_json::Value;

/// The reason why a request to the gateway failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum LinkFailure {
    /// There was no answer.
    #[error("the gateway at {address} can't be reached ({reason}); is its address right, and is it running?")]
    Unreachable { address: String, reason: String },
    /// The gateway refused the request.
    #[error("the gateway answered {status}: {message}")]
    Refused { status: StatusCode, message: String },
    /// The gateway doesn't accept the node's signature.
    #[error(
        "the gateway doesn't accept this node's key ({message}): if the node was revoked, stop it and enrol it again \
         with `hearth node enroll GATEWAY CODE --replace`"
    )]
    Unauthorized { message: String },
    /// The answer is of another form.
    #[error("the gateway's answer can't be read ({reason}); is it of another version?")]
    Unreadable { reason: String },
    /// The request can't be made.
    #[error("{0}")]
    Invalid(String),
}

impl LinkFailure {
    /// The failure that an answer without success tells.
    pub(super) fn of_answer(status: StatusCode, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let message = body.pointer("/error/message").or_else(|| body.get("message")).and_then(Value::as_str);
        let message = message.unwrap_or("it gave no reason").to_owned();
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized { message },
            status if status.is_redirection() => {
                let message = "it redirects to another address: enrol the node with the right one".to_owned();
                Self::Refused { status, message }
            }
            status => Self::Refused { status, message },
        }
    }

    /// True if the same request may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unreadable { .. } => true,
            Self::Refused { status, .. } => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || *status == StatusCode::REQUEST_TIMEOUT
            }
            Self::Unauthorized { .. } | Self::Invalid(_) => false,
        }
    }

    /// True if the node's claim of a run is over, or the run has ended.
    pub(super) fn is_about_claim(&self) -> bool {
        let over = [StatusCode::CONFLICT, StatusCode::NOT_FOUND, StatusCode::GONE];
        matches!(self, Self::Refused { status, .. } if over.contains(status))
    }

    /// True if the gateway doesn't accept the node's key.
    pub(super) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Unauthorized { .. })
    }

    /// The failure as an error of the API.
    pub(super) fn to_api_error(&self) -> ApiError {
        ApiError::new(ErrorCode::NodeOffline, self.to_string())
    }
}

/// The causes of an error of reqwest, without the address.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut reason = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        reason = error.to_string();
        cause = error.source();
    }
    match (reason.is_empty(), error.is_timeout()) {
        (_, true) => "no answer in time".to_owned(),
        (true, _) => "the request failed".to_owned(),
        (false, _) => reason,
    }
}
