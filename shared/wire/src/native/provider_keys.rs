//! `/v1/users/provider-keys` and those of organisations: stored credentials of providers.

use hearth_domain::{CredentialKind, Payer, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Credential of a provider to store.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProviderKey {
    /// Name of the provider: a vendor such as `openai`, one of the gateway's, or a new name with `kind: endpoint_key`.
    #[schema(example = "openai")]
    pub provider: String,
    /// Name for it in lists.
    #[serde(default)]
    pub name: Option<String>,
    /// Kind: `api_key` by default.
    #[serde(default)]
    pub kind: Option<CredentialKind>,
    /// Team whose key it is; for an organisation's keys only.
    #[serde(default)]
    pub team: Option<String>,
    /// Credential, by the fields of its kind.
    pub credential: CredentialBody,
}

/// Change of a stored credential. Fields that are absent stay.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateProviderKey {
    /// Name for it in lists.
    #[serde(default)]
    pub name: Option<String>,
    /// Credential of the same kind, which replaces the stored one as a whole.
    #[serde(default)]
    pub credential: Option<CredentialBody>,
}

/// Credential. It is stored encrypted, and never returned.
///
/// - `api_key`: `key`.
/// - `endpoint_key`: `base_url`, with `key` and `vendor` where they are needed.
/// - `oauth_token`: `access_token`; with `refresh_token` and `token_url` it is refreshed by itself.
/// - `service_account`: `service_account`.
///
/// The last two may have `base_url` and `vendor` too.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialBody {
    /// Key.
    #[schema(value_type = Option<String>, example = "sk-...")]
    pub key: Option<Secret>,
    /// Address of the API, if it isn't the vendor's.
    pub base_url: Option<String>,
    /// Vendor whose API the address has: `openai_compatible` by default.
    pub vendor: Option<String>,
    /// Access token of OAuth.
    #[schema(value_type = Option<String>)]
    pub access_token: Option<Secret>,
    /// Seconds until the access token ends.
    pub expires_in: Option<u64>,
    /// Refresh token of OAuth.
    #[schema(value_type = Option<String>)]
    pub refresh_token: Option<Secret>,
    /// Address of the token endpoint.
    pub token_url: Option<String>,
    /// Client at the token endpoint.
    pub client_id: Option<String>,
    /// Secret of the client.
    #[schema(value_type = Option<String>)]
    pub client_secret: Option<Secret>,
    /// Scope to request from the token endpoint, and for a service account.
    pub scope: Option<String>,
    /// Key file of a service account: the text of its JSON.
    #[schema(value_type = Option<String>)]
    pub service_account: Option<Secret>,
}

/// Stored credential, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderKeyBody {
    /// Id.
    #[schema(example = "cred_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
    pub id: String,
    /// Kind of its owner: `user`, `team` or `organisation`.
    #[schema(value_type = String)]
    pub owner: Payer,
    /// Id of its owner.
    pub owner_id: String,
    /// Name of the provider.
    pub provider: String,
    /// Name in lists.
    pub name: String,
    /// Kind.
    pub kind: CredentialKind,
    /// Vendor whose API the address has, if it isn't that of the provider's name.
    pub vendor: Option<String>,
    /// Address, if it isn't the vendor's.
    pub base_url: Option<String>,
    /// Last characters of the key, or the account of a service account.
    #[schema(example = "…x7Qa")]
    pub hint: String,
    /// End of the access token, ISO 8601.
    pub expires_at: Option<String>,
    /// Time at which it was stored, ISO 8601.
    pub created_at: String,
    /// Time of the last change, ISO 8601.
    pub updated_at: String,
    /// Last check at the provider; null before the first.
    pub verified: Option<VerificationBody>,
}

/// Result of a check at the provider.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VerificationBody {
    /// True if the provider accepts the credential; null if it can't be checked.
    pub valid: Option<bool>,
    /// Result in words.
    pub result: String,
    /// Time of the check, ISO 8601.
    pub at: String,
}

/// Stored credentials.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderKeyList {
    /// Credentials, oldest first. Of several for one provider, a request uses the newest.
    pub provider_keys: Vec<ProviderKeyBody>,
}
