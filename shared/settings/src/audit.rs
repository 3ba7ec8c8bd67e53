//! Settings of the audit log.

use serde::{Deserialize, Serialize};

use crate::bounds::{InvalidSetting, check_ranges};

/// The table `audit` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    /// Days that an entry of the audit log stays.
    pub retention_days: u32,
    /// Days for which nobody can delete the copy of a sealed part of the log from the audit bucket of a stack.
    pub lock_days: u32,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { retention_days: 365, lock_days: 365 }
    }
}

impl AuditSettings {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "audit.",
            [
                ("retention_days", Some(self.retention_days.into()), 1..=3650),
                ("lock_days", Some(self.lock_days.into()), 1..=3650),
            ],
        )
    }
}
