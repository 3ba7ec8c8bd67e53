//! `/v1/providers`: who can be asked beside the nodes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The providers that are set up.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderList {
    /// By their names.
    pub providers: Vec<ProviderBody>,
}

/// A provider.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderBody {
    /// What clients write before a colon and a model's name.
    #[schema(example = "openai")]
    pub name: String,
    /// Whose API it is.
    #[schema(example = "openai")]
    pub kind: String,
    /// Whose API it is, in its own name.
    pub title: String,
    /// Whether it has what it needs to be called.
    pub configured: bool,
    /// The models that are its own when they are asked for without its name.
    pub models: Vec<String>,
    /// Models that have failed lately, and are left alone for a while.
    pub unavailable: Vec<UnavailableModel>,
}

/// A model that has failed lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnavailableModel {
    /// Its name.
    pub model: String,
    /// `open`: it failed three times in a row; `half_open`: the next request sees how it is; `disabled`: it
    /// fails too often.
    #[schema(example = "open")]
    pub state: String,
}

/// A key to keep.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetProviderKey {
    /// The key. It is kept as a secret, and never shown again.
    #[schema(value_type = String, example = "sk-...")]
    pub key: hearth_domain::Secret,
}

impl std::fmt::Debug for SetProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetProviderKey(hidden)")
    }
}
