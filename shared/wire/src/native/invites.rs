//! `/v1/users/invites`: invitations into an organisation.

use hearth_domain::{MemberRole, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Invitation to create, into the caller's organisation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInvite {
    /// Role of the new member; at most the caller's own.
    pub role: MemberRole,
    /// Ids of teams of the organisation that the new member joins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// The only address that may accept it; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.org", max_length = 254)]
    pub email: Option<String>,
    /// Days until it expires, 1 to 30; absent: 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 30)]
    pub expires_in_days: Option<u32>,
}

/// Created invitation. Its code is returned only once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedInvite {
    /// The code: the new member registers with it, or accepts it.
    pub code: String,
    /// Record of the invitation.
    #[serde(flatten)]
    pub record: InviteBody,
}

/// Record of an invitation, without its code.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InviteBody {
    /// Id of the record.
    pub id: String,
    /// Id of the organisation.
    pub organisation: String,
    /// Role of the new member.
    pub role: MemberRole,
    /// Ids of the teams that the new member joins.
    pub teams: Vec<String>,
    /// The only address that may accept it.
    pub email: Option<String>,
    /// Id of the member who made it.
    pub invited_by: String,
    /// Time of creation, ISO 8601.
    pub created_at: String,
    /// Expiry, ISO 8601.
    pub expires_at: String,
}

/// Invitations of an organisation that can still be accepted, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InviteList {
    /// Invitations.
    pub invites: Vec<InviteBody>,
}

/// Invitation to accept, as the user who calls.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvite {
    /// The code.
    #[schema(value_type = String, example = "hinv_...")]
    pub code: Secret,
}
