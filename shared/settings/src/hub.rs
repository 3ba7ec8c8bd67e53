//! Settings of the hub, from which `hearth models pull` downloads.

use hearth_domain::Secret;
use serde::{Deserialize, Serialize};

use crate::shown;

/// The table `hub` of the settings. Where a setting is absent, the variable of Hugging Face's own tools stands in:
/// `HF_ENDPOINT` for `url`, `HF_TOKEN` for `token`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HubSettings {
    /// The hub's address.
    pub url: String,
    /// A token for repositories that need one.
    #[serde(serialize_with = "shown::hidden")]
    pub token: Option<Secret>,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self { url: "https://huggingface.co".to_owned(), token: None }
    }
}
