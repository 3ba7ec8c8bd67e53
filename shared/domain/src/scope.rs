//! Permissions of API tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One permission of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// Generate, and see and cancel one's own runs.
    #[serde(rename = "generate")]
    Generate,
    /// See the models.
    #[serde(rename = "models:read")]
    ModelsRead,
    /// Load and unload models.
    #[serde(rename = "models:write")]
    ModelsWrite,
    /// Make, list and revoke tokens.
    #[serde(rename = "tokens")]
    Tokens,
    /// Set and remove the keys of providers.
    #[serde(rename = "providers")]
    Providers,
    /// See readiness, metrics, and the cache's statistics.
    #[serde(rename = "ops")]
    Ops,
}

impl Scope {
    /// Every scope, as an owner's token has them.
    pub const ALL: [Self; 6] =
        [Self::Generate, Self::ModelsRead, Self::ModelsWrite, Self::Tokens, Self::Providers, Self::Ops];

    /// Scopes of a token that is created without any: enough for an application.
    pub const DEFAULT: [Self; 2] = [Self::Generate, Self::ModelsRead];

    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::ModelsRead => "models:read",
            Self::ModelsWrite => "models:write",
            Self::Tokens => "tokens",
            Self::Providers => "providers",
            Self::Ops => "ops",
        }
    }
}
