//! Settings of the records of requests.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{DAY_SECONDS, InvalidSetting, check_ranges};

/// The table `requests` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestSettings {
    /// Days that the record of a request stays, with its output, and its request or its conversation where one is stored.
    pub retention_days: u32,
    /// Store each request with its prompt, so that it can be replayed. Else only those that ask for it by `store: true`.
    pub store: bool,
}

impl Default for RequestSettings {
    fn default() -> Self {
        Self { retention_days: 30, store: false }
    }
}

impl RequestSettings {
    /// Time that a record stays.
    #[must_use]
    pub fn record_ttl(self) -> Duration {
        Duration::from_secs(u64::from(self.retention_days) * DAY_SECONDS)
    }

    pub(crate) fn validate(self) -> Result<(), InvalidSetting> {
        check_ranges("requests.", [("retention_days", Some(self.retention_days.into()), 1..=3650)])
    }
}
