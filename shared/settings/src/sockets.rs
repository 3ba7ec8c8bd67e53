//! Settings of sockets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{InvalidSetting, check_ranges};

/// The table `sockets` of the settings. The defaults are API Gateway's limits, which can't be changed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SocketSettings {
    /// Seconds after which a socket is closed.
    pub seconds: u32,
    /// Seconds without a message after which a socket is closed.
    pub idle_seconds: u32,
}

impl Default for SocketSettings {
    fn default() -> Self {
        Self { seconds: 7200, idle_seconds: 600 }
    }
}

impl SocketSettings {
    /// Time after which a socket is closed.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// Time without a message after which a socket is closed.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_seconds.into())
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "sockets.",
            [
                ("seconds", Some(self.seconds.into()), 1..=7200),
                ("idle_seconds", Some(self.idle_seconds.into()), 1..=600),
            ],
        )
    }
}
