//! Settings of files and artifacts.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{DAY_SECONDS, InvalidSetting, QUOTA_MAX_BYTES, QUOTA_MAX_COUNT, check_ranges},
    shown,
};

/// The table `files` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileSettings {
    /// Size of one uploaded file, in bytes or as `512MiB`.
    #[serde(serialize_with = "shown::bytes")]
    pub max_bytes: ByteSize,
    /// Bytes of all files of a user in an organisation.
    #[serde(serialize_with = "shown::bytes")]
    pub user_max_bytes: ByteSize,
    /// Number of files of a user in an organisation.
    pub user_max_count: u64,
    /// Bytes of all files of an organisation.
    #[serde(serialize_with = "shown::bytes")]
    pub organisation_max_bytes: ByteSize,
    /// Number of files of an organisation.
    pub organisation_max_count: u64,
    /// Days after which an uploaded file is deleted; 0: when its owner deletes it.
    pub retention_days: u64,
    /// Days after which an artifact is deleted.
    pub artifact_days: u64,
    /// Size over which the bucket itself sends a file or an artifact, where it can, and `inline` has no effect.
    #[serde(serialize_with = "shown::bytes")]
    pub inline_max_bytes: ByteSize,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            max_bytes: ByteSize::mib(512),
            user_max_bytes: ByteSize::gib(10),
            user_max_count: 10_000,
            organisation_max_bytes: ByteSize::gib(100),
            organisation_max_count: 100_000,
            retention_days: 0,
            artifact_days: 30,
            inline_max_bytes: ByteSize::kib(256),
        }
    }
}

impl FileSettings {
    /// Time after which an artifact is deleted.
    #[must_use]
    pub fn artifact_ttl(&self) -> Duration {
        Duration::from_secs(self.artifact_days.saturating_mul(DAY_SECONDS))
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "files.",
            [
                ("max_bytes", Some(self.max_bytes.as_u64()), 1..=5 << 30),
                ("user_max_bytes", Some(self.user_max_bytes.as_u64()), 0..=QUOTA_MAX_BYTES),
                ("user_max_count", Some(self.user_max_count), 0..=QUOTA_MAX_COUNT),
                ("organisation_max_bytes", Some(self.organisation_max_bytes.as_u64()), 0..=QUOTA_MAX_BYTES),
                ("organisation_max_count", Some(self.organisation_max_count), 0..=QUOTA_MAX_COUNT),
                ("retention_days", Some(self.retention_days), 0..=3650),
                ("artifact_days", Some(self.artifact_days), 1..=30),
                ("inline_max_bytes", Some(self.inline_max_bytes.as_u64()), 0..=10 << 20),
            ],
        )
    }
}
