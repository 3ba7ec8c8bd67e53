//! `/v1/organisations`: organisations, their members and their teams.

use hearth_domain::{MemberRole, TeamId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Organisation to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrganisation {
    /// Name, 1 to 100 characters, in one line.
    #[schema(example = "Foundry", min_length = 1, max_length = 100)]
    pub name: String,
    /// Regions in which its requests may be processed; absent: all.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Id of the user who becomes its owner; absent: the caller.
    #[schema(value_type = Option<String>)]
    pub owner: Option<UserId>,
}

/// Changes of an organisation. Absent fields stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeOrganisation {
    /// Name, 1 to 100 characters, in one line.
    #[schema(min_length = 1, max_length = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Regions in which its requests may be processed; an empty list: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
}

/// Organisation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrganisationBody {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Regions in which its requests may be processed; empty: all.
    pub regions: Vec<String>,
    /// Number of its owners.
    pub owners: u32,
    /// True for the organisation of the gateway's operator.
    pub is_operator: bool,
    /// Time of creation, ISO 8601.
    pub created_at: String,
    /// Time at which an operator disabled it, ISO 8601.
    pub disabled_at: Option<String>,
}

/// Organisation of the caller.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OwnOrganisation {
    /// Organisation.
    #[serde(flatten)]
    pub organisation: OrganisationBody,
    /// The caller's role in it.
    #[schema(value_type = String, example = "developer")]
    pub role: MemberRole,
    /// True if the caller's credential acts in it.
    pub current: bool,
}

/// Organisations of the caller, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OwnOrganisations {
    /// Organisations.
    pub organisations: Vec<OwnOrganisation>,
}

/// Page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Maximum number of entries, 1 to 200; absent: 50.
    #[param(minimum = 1)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Member of an organisation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MemberBody {
    /// Id of the user.
    pub user: String,
    /// Name of the user; null if the user has been erased.
    pub name: Option<String>,
    /// Address of the user; null for callers who don't manage members, and for users without one.
    pub email: Option<String>,
    /// Role.
    #[schema(value_type = String, example = "developer")]
    pub role: MemberRole,
    /// Ids of the user's teams.
    pub teams: Vec<String>,
    /// Time of joining, ISO 8601.
    pub joined_at: String,
}

/// Page of members.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MemberList {
    /// Members.
    pub members: Vec<MemberBody>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Changes of a member. Absent fields stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMember {
    /// Role.
    #[schema(value_type = Option<String>, example = "developer")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<MemberRole>,
    /// Ids of all the member's teams.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teams: Option<Vec<TeamId>>,
}

/// Team to create, or a team's new name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamName {
    /// Name, 1 to 100 characters, in one line.
    #[schema(example = "platform", min_length = 1, max_length = 100)]
    pub name: String,
}

/// Team.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TeamBody {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Time of creation, ISO 8601.
    pub created_at: String,
}

/// Teams of an organisation, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TeamList {
    /// Teams.
    pub teams: Vec<TeamBody>,
}
