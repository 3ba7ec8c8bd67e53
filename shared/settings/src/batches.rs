//! Settings of batches.

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{InvalidSetting, check_ranges},
    night_hours::NightHours,
    shown,
};

/// The table `batches` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// Size of an input file, in bytes or as `200MiB`.
    #[serde(serialize_with = "shown::bytes")]
    pub max_bytes: ByteSize,
    /// Number of requests of a batch.
    pub max_requests: u64,
    /// Size of one request of a batch.
    #[serde(serialize_with = "shown::bytes")]
    pub request_max_bytes: ByteSize,
    /// Number of requests of a batch that are in progress at a time.
    pub concurrency: u32,
    /// Number of requests of all batches of a user that are in progress at a time, in one process.
    pub user_concurrency: u32,
    /// Number of batches of a user that haven't ended.
    pub user_max_count: u32,
    /// Hours in which batches with `when: night` are carried out, such as `22:00-06:00` in UTC, or `22:00-06:00+02:00`.
    pub night: NightHours,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            max_bytes: ByteSize::mib(200),
            max_requests: 50_000,
            request_max_bytes: ByteSize::mib(8),
            concurrency: 8,
            user_concurrency: 16,
            user_max_count: 100,
            night: NightHours::default(),
        }
    }
}

impl BatchSettings {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "batches.",
            [
                ("max_bytes", Some(self.max_bytes.as_u64()), 1..=5 << 30),
                ("max_requests", Some(self.max_requests), 1..=1_000_000),
                ("request_max_bytes", Some(self.request_max_bytes.as_u64()), 1 << 10..=32 << 20),
                ("concurrency", Some(self.concurrency.into()), 1..=256),
                ("user_concurrency", Some(self.user_concurrency.into()), 1..=1024),
                ("user_max_count", Some(self.user_max_count.into()), 1..=1000),
            ],
        )
    }
}
