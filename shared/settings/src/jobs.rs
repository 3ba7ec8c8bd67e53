//! Settings of jobs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{InvalidSetting, check_ranges};

/// The table `jobs` of the settings: jobs that the gateway carries out, which downloads are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobSettings {
    /// Jobs of each kind that `hearth up` carries out at the same time; of deliveries four times as many.
    pub concurrency: u32,
    /// Jobs of one organisation that may wait at `hearth up`.
    pub max_queued: u32,
    /// Attempts of a job that doesn't set their number.
    pub max_attempts: u32,
    /// Seconds after which a job ends that isn't complete, if it doesn't set a time.
    pub expire_seconds: u64,
    /// Hours for which a job and its result are stored after its end.
    pub retention_hours: u32,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            concurrency: 8,
            max_queued: 20_000,
            max_attempts: 3,
            expire_seconds: 24 * 3600,
            retention_hours: 24,
        }
    }
}

impl JobSettings {
    /// Time for which a job may take, if it doesn't set one.
    #[must_use]
    pub fn expiry_ttl(&self) -> Duration {
        Duration::from_secs(self.expire_seconds)
    }

    /// Time for which a job and its result are stored after its end.
    #[must_use]
    pub fn retention_ttl(&self) -> Duration {
        Duration::from_secs(u64::from(self.retention_hours) * 3600)
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "jobs.",
            [
                ("concurrency", Some(self.concurrency.into()), 1..=1000),
                ("max_queued", Some(self.max_queued.into()), 1..=1_000_000),
                ("max_attempts", Some(self.max_attempts.into()), 1..=10),
                ("expire_seconds", Some(self.expire_seconds), 1..=30 * 24 * 3600),
                ("retention_hours", Some(self.retention_hours.into()), 1..=30 * 24),
            ],
        )
    }
}
