//! Options of downloads.

use std::{path::PathBuf, time::Duration};

use hearth_domain::Secret;
use hearth_settings::{DownloadSettings, HubSettings};

/// Delay after the first attempt without a byte; it doubles with each further one.
const RETRY_DELAY: Duration = Duration::from_millis(250);
/// Largest delay between two attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);

/// Options of the downloads of a model folder.
#[derive(Debug, Clone)]
pub struct DownloadOptions {
    /// The model folder.
    pub models: PathBuf,
    /// The hub's address.
    pub hub_url: String,
    /// The operator's token for the hub.
    pub hub_token: Option<Secret>,
    /// The operator's settings.
    pub settings: DownloadSettings,
    /// Delay after the first attempt without a byte.
    pub retry_delay: Duration,
    /// Advice at the end of an error after which a further attempt continues.
    pub advice: &'static str,
}

impl DownloadOptions {
    /// Options by the settings.
    #[must_use]
    pub fn new(models: PathBuf, hub: &HubSettings, settings: &DownloadSettings) -> Self {
        Self {
            models,
            hub_url: hub.url.clone(),
            hub_token: hub.token.clone().filter(|token| !token.expose().is_empty()),
            settings: settings.clone(),
            retry_delay: RETRY_DELAY,
            advice: "download again to continue from there",
        }
    }

    /// Delay after `failures` attempts in a row without a byte.
    pub(super) fn delay(&self, failures: u32) -> Duration {
        (self.retry_delay * 2_u32.saturating_pow(failures.min(16))).min(RETRY_DELAY_MAX)
    }
}
