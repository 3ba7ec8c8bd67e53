//! Settings of the cache of answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{DAY_SECONDS, InvalidSetting, check_ranges};

/// The table `cache` of the settings. By default there is no cache: a client that repeats a request may want to
/// compare the model's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Cache answers, and replay them for identical requests.
    pub enabled: bool,
    /// Seconds that an answer stays in the cache.
    pub ttl_seconds: u64,
    /// MiB of the process' memory for cached answers; 0: the store alone.
    pub memory_mb: u64,
    /// KiB of one answer; a larger one isn't cached.
    pub max_entry_kb: u64,
    /// Allow an answer to one user's request to serve another user's.
    pub shared: bool,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { enabled: false, ttl_seconds: 3600, memory_mb: 64, max_entry_kb: 1024, shared: false }
    }
}

impl CacheSettings {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "cache.",
            [
                ("ttl_seconds", Some(self.ttl_seconds), 1..=30 * DAY_SECONDS),
                ("memory_mb", Some(self.memory_mb), 0..=1 << 20),
                ("max_entry_kb", Some(self.max_entry_kb), 1..=16 << 10),
            ],
        )
    }

    /// Time that an answer stays in the cache.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_seconds)
    }

    /// Bytes of the process' memory for cached answers.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory_mb << 20
    }

    /// Bytes of one answer; a larger one isn't cached.
    #[must_use]
    pub fn max_entry_bytes(&self) -> usize {
        usize::try_from(self.max_entry_kb << 10).unwrap_or(usize::MAX)
    }
}
