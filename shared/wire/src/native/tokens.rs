//! `/v1/users/tokens` and `/v1/users/access-keys`: API tokens and access keys.

use hearth_domain::{Limits, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Token to create.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Purpose, 1 to 100 characters, in one line.
    #[schema(example = "laptop", min_length = 1, max_length = 100)]
    pub name: String,
    /// Scopes; absent: `generate` and `models:read`. At most those of the token that creates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// Models that it may use, 1 to 100 patterns: `local` for every model of the organisation's nodes, `local:MODEL`,
    /// `PROVIDER:MODEL`, or `MODEL` of any of them; `*` stands for any text. Absent: those of the token that creates it. Never more
    /// than that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["local", "openai:gpt-5*"]), min_items = 1, max_items = 100)]
    pub models: Option<Vec<String>>,
    /// Expiry in days from now, 1 to 3650; absent: that of the token that creates it. Never later than that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3650)]
    pub expires_in_days: Option<u32>,
    /// Limits of the token, beside those of its user. Later only those who manage the organisation's members can change them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// Created token, or one with a new text. Its text is returned only once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token: send it as `Authorization: Bearer <token>`.
    pub token: String,
    /// Record of the token.
    #[serde(flatten)]
    pub record: TokenBody,
}

/// Record of a token, without its text.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenBody {
    /// Id of the record.
    pub id: String,
    /// Purpose.
    pub name: String,
    /// First characters of its text, to tell tokens apart.
    pub prefix: String,
    /// Scopes.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// Patterns of the models that it may use; null for every model.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// Time of creation, ISO 8601.
    pub created_at: String,
    /// Expiry, ISO 8601.
    pub expires_at: Option<String>,
    /// Time of revocation, ISO 8601.
    pub revoked_at: Option<String>,
    /// Time at which its text was last replaced, ISO 8601.
    #[serde(default)]
    pub rotated_at: Option<String>,
    /// Time of its last use, ISO 8601, up to an hour late; null if it was never used, or only before last uses were recorded.
    #[serde(default)]
    pub last_used_at: Option<String>,
}

/// Tokens of a user, newest last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// Tokens, including revoked ones.
    pub tokens: Vec<TokenBody>,
}

/// Change of a token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeToken {
    /// Purpose, 1 to 100 characters, in one line.
    #[schema(example = "old laptop", min_length = 1, max_length = 100)]
    pub name: String,
}

/// New text for a token.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateToken {
    /// Seconds for which the old text stays valid, 0 to 604,800 (7 days). Absent: 0, as a text that may have leaked needs.
    #[serde(default)]
    #[schema(maximum = 604_800, example = 3600)]
    pub grace_seconds: u32,
}

/// Access key to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAccessKey {
    /// Purpose, 1 to 100 characters, in one line.
    #[schema(example = "kiosk", min_length = 1, max_length = 100)]
    pub name: String,
    /// Ids of models of the organisation's nodes, 1 to 100.
    #[schema(example = json!(["tiny-chat"]), min_items = 1, max_items = 100)]
    pub models: Vec<String>,
    /// Expiry in days from now, 1 to 3650; absent: that of the token that creates it. Never later than that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3650)]
    pub expires_in_days: Option<u32>,
}

/// Created access key. Its text is returned only once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedAccessKey {
    /// The key: send it as `Authorization: Bearer <key>`.
    pub key: String,
    /// Record of the key.
    #[serde(flatten)]
    pub record: AccessKeyBody,
}

/// Record of an access key, without its text.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccessKeyBody {
    /// Id of the record.
    pub id: String,
    /// Purpose.
    pub name: String,
    /// First characters of its text, to tell keys apart.
    pub prefix: String,
    /// Ids of the models that it runs.
    pub models: Vec<String>,
    /// Time of creation, ISO 8601.
    pub created_at: String,
    /// Expiry, ISO 8601.
    pub expires_at: Option<String>,
    /// Time of revocation, ISO 8601.
    pub revoked_at: Option<String>,
    /// Time of its last use, ISO 8601, up to an hour late; null if it was never used.
    pub last_used_at: Option<String>,
}

/// Access keys of a user, newest last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccessKeyList {
    /// Access keys, including revoked ones.
    pub access_keys: Vec<AccessKeyBody>,
}
