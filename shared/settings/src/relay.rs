//! Settings of the relay.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{InvalidSetting, check_ranges};

/// The table `relay` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelaySettings {
    /// Seconds for which a node's claim of a run is valid while the node posts nothing.
    pub lease_seconds: u32,
    /// Seconds between two reports of a node; none for 30 at home, and 240 in the cloud, where each message is paid for.
    pub report_seconds: Option<u32>,
    /// Seconds after which a node that wasn't reached at its address is tried there again.
    pub direct_retry_seconds: u32,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self { lease_seconds: 30, report_seconds: None, direct_retry_seconds: 60 }
    }
}

impl RelaySettings {
    /// Time for which a node's claim of a run is valid while the node posts nothing.
    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds.into())
    }

    /// Time between two reports of a node, if it is set.
    #[must_use]
    pub fn report_interval(&self) -> Option<Duration> {
        self.report_seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// Time after which a node that wasn't reached at its address is tried there again.
    #[must_use]
    pub fn direct_retry_interval(&self) -> Duration {
        Duration::from_secs(self.direct_retry_seconds.into())
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "relay.",
            [
                ("lease_seconds", Some(self.lease_seconds.into()), 1..=300),
                ("report_seconds", self.report_seconds.map(Into::into), 1..=540),
                ("direct_retry_seconds", Some(self.direct_retry_seconds.into()), 1..=3600),
            ],
        )
    }
}
