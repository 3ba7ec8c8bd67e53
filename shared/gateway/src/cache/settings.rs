//! What an operator decides about the cache.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

/// A day's seconds.
const DAY: u64 = 24 * 60 * 60;

/// What an operator decides about the cache of answers. There is none by default: whoever asks the same twice
/// may want to know whether the model says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// Seconds that an answer is kept.
    pub ttl_seconds: u64,
    /// What the answers in the process' memory may take, in MiB; 0 for none there.
    pub memory_mb: u64,
    /// What one answer may take, in KiB; a larger one isn't kept.
    pub max_entry_kb: u64,
    /// Whether a user is given what another one's request has made.
    pub shared: bool,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { enabled: false, ttl_seconds: 3600, memory_mb: 64, max_entry_kb: 1024, shared: false }
    }
}

impl CacheSettings {
    /// The numbers, each with its name, and what it may be.
    #[must_use]
    pub fn numbers(&self) -> [(&'static str, u64, RangeInclusive<u64>); 3] {
        [
            ("ttl_seconds", self.ttl_seconds, 1..=30 * DAY),
            ("memory_mb", self.memory_mb, 0..=1 << 20),
            ("max_entry_kb", self.max_entry_kb, 1..=16 << 10),
        ]
    }

    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_seconds)
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_mb << 20
    }

    pub(crate) fn max_entry_bytes(&self) -> usize {
        usize::try_from(self.max_entry_kb << 10).unwrap_or(usize::MAX)
    }
}
