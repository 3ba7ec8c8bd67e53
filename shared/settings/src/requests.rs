//! Settings of the records of requests.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{DAY_SECONDS, InvalidSetting, QUOTA_MAX_BYTES, QUOTA_MAX_COUNT, check_ranges},
    shown,
};

/// The table `requests` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestSettings {
    /// Days that the record of a request stays, with its output, and its request or its conversation where one is stored.
    pub retention_days: u32,
    /// Store each request with its prompt, so that it can be replayed. Else only those that ask for it by `store: true`.
    pub store: bool,
    /// Bytes of all requests of a user in an organisation that are stored with their prompts.
    #[serde(serialize_with = "shown::bytes")]
    pub user_max_bytes: ByteSize,
    /// Number of these requests.
    pub user_max_count: u64,
    /// Bytes of all requests of an organisation that are stored with their prompts.
    #[serde(serialize_with = "shown::bytes")]
    pub organisation_max_bytes: ByteSize,
    /// Number of these requests.
    pub organisation_max_count: u64,
}

impl Default for RequestSettings {
    fn default() -> Self {
        Self {
            retention_days: 30,
            store: false,
            user_max_bytes: ByteSize::gib(10),
            user_max_count: 1_000_000,
            organisation_max_bytes: ByteSize::gib(100),
            organisation_max_count: 10_000_000,
        }
    }
}

impl RequestSettings {
    /// Time that a record stays.
    #[must_use]
    pub fn record_ttl(self) -> Duration {
        Duration::from_secs(u64::from(self.retention_days) * DAY_SECONDS)
    }

    pub(crate) fn validate(self) -> Result<(), InvalidSetting> {
        check_ranges(
            "requests.",
            [
                ("retention_days", Some(self.retention_days.into()), 1..=3650),
                ("user_max_bytes", Some(self.user_max_bytes.as_u64()), 0..=QUOTA_MAX_BYTES),
                ("user_max_count", Some(self.user_max_count), 0..=QUOTA_MAX_COUNT),
                ("organisation_max_bytes", Some(self.organisation_max_bytes.as_u64()), 0..=QUOTA_MAX_BYTES),
                ("organisation_max_count", Some(self.organisation_max_count), 0..=QUOTA_MAX_COUNT),
            ],
        )
    }
}
