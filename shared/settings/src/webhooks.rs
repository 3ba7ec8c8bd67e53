//! Settings of webhooks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{InvalidSetting, check_ranges};

/// The table `webhooks` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookSettings {
    /// Webhooks of one user in an organisation.
    pub user_max_count: u32,
    /// Webhooks of one organisation.
    pub organisation_max_count: u32,
    /// Tries of a delivery, after which its webhook is paused.
    pub attempts: u32,
    /// Seconds until the second try; each further one waits four times as long.
    pub retry_seconds: u32,
    /// Seconds that an endpoint has to answer.
    pub timeout_seconds: u32,
    /// Allow endpoints at private addresses, and without TLS.
    pub private_addresses: bool,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            user_max_count: 20,
            organisation_max_count: 100,
            attempts: 5,
            retry_seconds: 5,
            timeout_seconds: 15,
            private_addresses: false,
        }
    }
}

impl WebhookSettings {
    /// Time that an endpoint has to answer.
    #[must_use]
    pub fn answer_timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }

    /// Time until the second try.
    #[must_use]
    pub fn retry_interval(&self) -> Duration {
        Duration::from_secs(self.retry_seconds.into())
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "webhooks.",
            [
                ("user_max_count", Some(self.user_max_count.into()), 0..=1000),
                ("organisation_max_count", Some(self.organisation_max_count.into()), 0..=1000),
                ("attempts", Some(self.attempts.into()), 1..=10),
                ("retry_seconds", Some(self.retry_seconds.into()), 0..=3600),
                ("timeout_seconds", Some(self.timeout_seconds.into()), 1..=60),
            ],
        )
    }
}
