//! Settings of accounts.

use serde::{Deserialize, Serialize};

/// The table `accounts` of the settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    /// Let everyone who reaches the gateway register, as a developer of the operator's organisation.
    pub open_registration: bool,
}
