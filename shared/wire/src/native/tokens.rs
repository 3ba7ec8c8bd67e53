//! `/v1/users/tokens`: API tokens.

use hearth_domain::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Token to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Purpose, 1 to 100 characters, in one line.
    #[schema(example = "laptop", min_length = 1, max_length = 100)]
    pub name: String,
    /// Scopes; absent: `generate` and `models:read`. At most those of the token that creates it.
    pub scopes: Option<Vec<Scope>>,
    /// Expiry in days from now, 1 to 3650; absent: that of the token that creates it. Never later than that one.
    #[schema(minimum = 1, maximum = 3650)]
    pub expires_in_days: Option<u32>,
}

/// Created token. Its text is returned only once.
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
    /// Time of creation, ISO 8601.
    pub created_at: String,
    /// Expiry, ISO 8601.
    pub expires_at: Option<String>,
    /// Time of revocation, ISO 8601.
    pub revoked_at: Option<String>,
}

/// Tokens of the caller, newest last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// Tokens, including revoked ones.
    pub tokens: Vec<TokenBody>,
}
