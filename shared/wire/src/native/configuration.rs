//! `/v1/config`: the configuration of routing that all processes of a gateway share, and its versions.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Current configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationBody {
    /// Number of the current version; 0 before the first.
    #[schema(example = 3)]
    pub version: u64,
    /// Settings as in `hearth.toml`: the tables `providers`, `aliases`, `fallbacks`, `selection` and `models`. Null if this
    /// process can't read the current version.
    #[schema(value_type = Option<Object>, example = json!({"aliases": {"fast": ["groq:llama-3.3-70b-versatile"]}}))]
    pub configuration: Option<Value>,
    /// Author and time of the current version; null before the first.
    pub stored: Option<ConfigurationSummary>,
    /// Number of the version that this process follows; 0 if it follows its own settings alone.
    pub version_in_force: u64,
    /// Reason why the process can't follow the current version; null if it can. It may be a minute behind.
    pub problem: Option<String>,
    /// Names in the current version that no model may answer to, such as an alias for a provider that isn't configured.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Version of the configuration, without its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationSummary {
    /// Number, from 1.
    #[schema(example = 3)]
    pub version: u64,
    /// Id of the token that stored it.
    #[schema(example = "tok_01JZ0000000000000000000000")]
    pub author: String,
    /// Time at which it was stored, ISO 8601.
    pub created_at: String,
    /// Note of its author.
    pub message: Option<String>,
    /// Number of the earlier version that it is a copy of, if it restores one.
    pub restores: Option<u64>,
}

/// Version of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoredConfiguration {
    /// Number, author and time.
    pub version: ConfigurationSummary,
    /// Settings.
    #[schema(value_type = Object)]
    pub configuration: Value,
}

/// Stored versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationHistory {
    /// Versions, newest first; the latest 50 are stored.
    pub versions: Vec<ConfigurationSummary>,
}

/// Configuration to store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutConfiguration {
    /// Number of the version that it is based on: the current one, or the request is refused. 0 for the first.
    #[schema(example = 3)]
    pub version: u64,
    /// Settings as in `hearth.toml`, without keys. They replace those of the current version.
    #[schema(value_type = Object)]
    pub configuration: Value,
    /// Note for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Request to restore a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreConfiguration {
    /// Number of the current version.
    #[schema(example = 4)]
    pub version: u64,
    /// Note for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
