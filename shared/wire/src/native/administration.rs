//! `/v1/admin`: organisations, users and tokens of the whole gateway, for its operators.

use hearth_domain::{MemberRole, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{organisations::OrganisationBody, tokens::TokenBody};

/// Page of organisations.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrganisationList {
    /// Organisations, oldest first.
    pub organisations: Vec<OrganisationBody>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Changes of an organisation by an operator. Absent fields stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdministerOrganisation {
    /// Name, 1 to 100 characters, in one line.
    #[schema(min_length = 1, max_length = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Regions in which its requests may be processed; an empty list: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// True: its credentials aren't accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// Member to add, or a member's new role.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutMember {
    /// Role.
    #[schema(value_type = String, example = "owner")]
    pub role: MemberRole,
}

/// User, as operators see them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdminUserBody {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Address; null for a user who has none.
    pub email: Option<String>,
    /// Time of creation, ISO 8601.
    pub created_at: String,
    /// Time at which the user was disabled, ISO 8601.
    pub disabled_at: Option<String>,
}

/// User with the organisations that they belong to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdminUserDetails {
    /// User.
    #[serde(flatten)]
    pub user: AdminUserBody,
    /// Organisations of the user.
    pub organisations: Vec<AdminMembership>,
}

/// Membership of a user.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdminMembership {
    /// Id of the organisation.
    pub organisation: String,
    /// Role.
    #[schema(value_type = String, example = "developer")]
    pub role: MemberRole,
}

/// Page of users.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdminUserList {
    /// Users, oldest first.
    pub users: Vec<AdminUserBody>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Changes of a user by an operator.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdministerUser {
    /// True: the user's credentials aren't accepted.
    pub disabled: bool,
}

/// User whose tokens are listed.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AdminTokenQuery {
    /// Id of the user; absent: the tokens of all users, page by page.
    #[param(value_type = Option<String>)]
    pub user: Option<UserId>,
    /// Maximum number of users whose tokens are listed, 1 to 200; absent: 50.
    #[param(minimum = 1)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Token of a user, without its text.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdminTokenBody {
    /// Id of the user who owns it.
    pub owner: String,
    /// Id of the organisation in which it acts.
    pub organisation: String,
    /// Token.
    #[serde(flatten)]
    pub token: TokenBody,
}

/// Page of tokens.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdminTokenList {
    /// Tokens in the order of their users, oldest first; revoked ones included.
    pub tokens: Vec<AdminTokenBody>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}
