//! Settings of sessions.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{InvalidSetting, QUOTA_MAX_BYTES, QUOTA_MAX_COUNT, check_ranges},
    shown,
};

/// The table `sessions` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSettings {
    /// Days for which a closed session can be read. Then it is deleted.
    pub closed_days: u32,
    /// Seconds for which a request waits for the turns of its session that came before it.
    pub turn_wait_seconds: u32,
    /// Bytes of the messages of all sessions of a user in an organisation.
    #[serde(serialize_with = "shown::bytes")]
    pub user_max_bytes: ByteSize,
    /// Number of sessions of a user in an organisation.
    pub user_max_count: u64,
    /// Bytes of the messages of all sessions of an organisation.
    #[serde(serialize_with = "shown::bytes")]
    pub organisation_max_bytes: ByteSize,
    /// Number of sessions of an organisation.
    pub organisation_max_count: u64,
    /// Have the model of the first turn write a session's title; else it is cut from the first message.
    pub title_by_model: bool,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            closed_days: 30,
            turn_wait_seconds: 300,
            user_max_bytes: ByteSize::gib(10),
            user_max_count: 100_000,
            organisation_max_bytes: ByteSize::gib(100),
            organisation_max_count: 1_000_000,
            title_by_model: false,
        }
    }
}

impl SessionSettings {
    /// Time for which a closed session can be read.
    #[must_use]
    pub fn closed_ttl(&self) -> Duration {
        Duration::from_secs(u64::from(self.closed_days) * 24 * 3600)
    }

    /// Time for which a request waits for the turns before it.
    #[must_use]
    pub fn turn_wait_timeout(&self) -> Duration {
        Duration::from_secs(self.turn_wait_seconds.into())
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "sessions.",
            [
                ("closed_days", Some(self.closed_days.into()), 0..=3650),
                ("turn_wait_seconds", Some(self.turn_wait_seconds.into()), 1..=3600),
                ("user_max_bytes", Some(self.user_max_bytes.as_u64()), 0..=QUOTA_MAX_BYTES),
                ("user_max_count", Some(self.user_max_count), 0..=QUOTA_MAX_COUNT),
                ("organisation_max_bytes", Some(self.organisation_max_bytes.as_u64()), 0..=QUOTA_MAX_BYTES),
                ("organisation_max_count", Some(self.organisation_max_count), 0..=QUOTA_MAX_COUNT),
            ],
        )
    }
}
