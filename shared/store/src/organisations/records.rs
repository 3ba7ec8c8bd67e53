//! Organisations, memberships and teams, as they are stored.

use hearth_domain::{MemberRole, OrganisationId, RevisionId, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationRecord {
    /// Its id.
    pub id: OrganisationId,
    /// The name that its owner chose.
    pub name: String,
    /// The regions in which its requests may be processed. Empty: in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// The number of its owners.
    pub owners: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When an operator disabled it: its credentials aren't accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// The revision of the record.
    pub revision: RevisionId,
}

impl OrganisationRecord {
    /// A new organisation with one owner.
    #[must_use]
    pub fn new(id: OrganisationId, name: impl Into<String>) -> Self {
        let (name, created_at, revision) = (name.into(), Timestamp::now(), RevisionId::new());
        Self { id, name, regions: Vec::new(), owners: 1, created_at, disabled_at: None, revision }
    }
}

/// A user's membership of an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The organisation.
    pub organisation: OrganisationId,
    /// The user.
    pub user: UserId,
    /// The user's role in it.
    pub role: MemberRole,
    /// The teams that the user is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<TeamId>,
    /// When the user joined.
    pub joined_at: Timestamp,
    /// The revision of the record.
    pub revision: RevisionId,
}

impl MemberRecord {
    /// A new member, in no team.
    #[must_use]
    pub fn new(organisation: OrganisationId, user: UserId, role: MemberRole) -> Self {
        let (joined_at, revision) = (Timestamp::now(), RevisionId::new());
        Self { organisation, user, role, teams: Vec::new(), joined_at, revision }
    }
}

/// A team of an organisation. Its members' records name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRecord {
    /// The organisation.
    pub organisation: OrganisationId,
    /// Its id.
    pub id: TeamId,
    /// The name that an admin chose.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// The revision of the record.
    pub revision: RevisionId,
}

impl TeamRecord {
    /// A new team.
    #[must_use]
    pub fn new(organisation: OrganisationId, name: impl Into<String>) -> Self {
        let (created_at, revision) = (Timestamp::now(), RevisionId::new());
        Self { organisation, id: TeamId::new(), name: name.into(), created_at, revision }
    }
}
