//! The state of rate limits, for the headers of a response.

use hearth_domain::{ClientDialect, Timestamp};

/// The state of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// The limit.
    pub limit: u64,
    /// The part that is left of it in this window, as far as this process knows.
    pub remaining: u64,
    /// The end of the window.
    pub resets_at: Timestamp,
}

impl RateState {
    /// Seconds until the window ends, at least 1.
    #[must_use]
    pub fn seconds_left(&self, now: Timestamp) -> u64 {
        now.until(self.resets_at).as_secs().saturating_add(1)
    }
}

/// The limits of a request that are nearest to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateStatus {
    /// Of requests.
    pub requests: Option<RateState>,
    /// Of tokens.
    pub tokens: Option<RateState>,
    /// The dialect of the request.
    pub dialect: ClientDialect,
}
