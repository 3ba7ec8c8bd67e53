//! The result of one try of a delivery.

use std::time::Duration;

use hearth_providers::{PostAnswer, PostError};

const GONE: u16 = 410;

/// The result of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TryResult {
    /// The target has accepted it.
    Delivered { status: Option<u16>, excerpt: String },
    /// The target no longer exists.
    Gone { excerpt: String },
    /// The target hasn't accepted it; a later try may succeed.
    Failed { status: Option<u16>, reason: String, retry_after: Option<Duration> },
    /// It wasn't sent, for this reason.
    Suppressed(String),
}

impl TryResult {
    /// The result by the answer of an endpoint.
    pub(super) fn of_answer(answer: Result<PostAnswer, PostError>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Self::failed(error.reason),
        };
        let PostAnswer { status, retry_after, excerpt } = answer;
        match status {
            200..=299 => Self::Delivered { status: Some(status), excerpt },
            GONE => Self::Gone { excerpt },
            300..=399 => Self::Failed {
                status: Some(status),
                reason: format!("the answer was {status}, and redirects are not followed"),
                retry_after,
            },
            _ => Self::Failed {
                status: Some(status),
                reason: format!(
                    "the answer was {status}{}{excerpt}",
                    if excerpt.is_empty() { "" } else { ": " }
                ),
                retry_after,
            },
        }
    }

    /// A failure without an answer.
    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { status: None, reason: reason.into(), retry_after: None }
    }

    /// The status of the answer.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Delivered { status, .. } | Self::Failed { status, .. } => *status,
            Self::Gone { .. } => Some(GONE),
            Self::Suppressed(_) => None,
        }
    }

    /// The result in the log.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Delivered { excerpt, .. } | Self::Gone { excerpt } => excerpt.clone(),
            Self::Failed { reason, .. } | Self::Suppressed(reason) => reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_decides() {
        let of = |status| {
            let answer = PostAnswer { status, retry_after: None, excerpt: String::new() };
            TryResult::of_answer(Ok(answer))
        };
        for status in [200, 204, 299] {
            assert!(matches!(of(status), TryResult::Delivered { .. }), "{status}");
        }
        assert!(matches!(of(410), TryResult::Gone { .. }));
        for status in [301, 307, 400, 404, 429, 500, 503] {
            assert!(matches!(of(status), TryResult::Failed { .. }), "{status}");
        }
        assert!(of(302).text().contains("not followed"));
    }
}
