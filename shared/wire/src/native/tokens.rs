//! `/v1/users/tokens`: API tokens.

use hearth_domain::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A token to make.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What it is for, 1 to 100 characters, in one line.
    #[schema(example = "laptop")]
    pub name: String,
    /// What it may do; absent: `generate` and `models:read`. Never more than the token that makes it.
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<Scope>>,
    /// When it ends, in days from now, 1 to 3650; absent: with the token that makes it. Never later than that one.
    pub expires_in_days: Option<u32>,
}

/// A token just made. The only time that its text is shown.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token itself: send it as `Authorization: Bearer <token>`.
    pub token: String,
    /// Its record.
    #[serde(flatten)]
    pub record: TokenBody,
}

/// A token's record, without its text.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenBody {
    /// The record's id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// How its text begins, to tell tokens apart.
    pub prefix: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// When it was made, ISO 8601.
    pub created_at: String,
    /// When it ends, ISO 8601.
    pub expires_at: Option<String>,
    /// When it was revoked, ISO 8601.
    pub revoked_at: Option<String>,
}

/// The caller's tokens, newest last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// The tokens, revoked ones too.
    pub tokens: Vec<TokenBody>,
}
