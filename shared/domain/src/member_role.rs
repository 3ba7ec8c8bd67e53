//! Roles of an organisation's members.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Action;

/// The role of a member in an organisation. [`crate::Action`] has the actions that each may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    /// Takes every action, and names other owners.
    Owner,
    /// Manages members, teams, keys and limits.
    Admin,
    /// Generates, and manages tokens and keys of their own.
    Developer,
    /// Reads models and their own usage, and generates nothing.
    Viewer,
    /// Reads the audit log and the usage, and nothing else.
    Auditor,
}

impl MemberRole {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Developer, Self::Viewer, Self::Auditor];

    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
        }
    }

    /// True if this role may take every action that `other` may. A member names others only to roles that their own covers.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        Action::ALL
            .iter()
            .copied()
            .map(Action::permission)
            .all(|permission| permission.is_allowed(self, true) || !permission.is_allowed(other, true))
    }
}

#[cfg(test)]
mod tests {
    use super::MemberRole::{Admin, Auditor, Developer, Owner, Viewer};
    use super::*;

    #[test]
    fn role_covers_roles_with_fewer_permissions() {
        for role in MemberRole::ALL {
            assert!(Owner.covers(role) && role.covers(role), "{role:?}");
            assert_eq!(role.covers(Owner), role == Owner, "{role:?}");
        }
        assert!(Admin.covers(Developer) && Admin.covers(Viewer) && Developer.covers(Viewer));
        // An admin can't read the audit log.
        assert!(!Admin.covers(Auditor) && !Auditor.covers(Viewer) && !Viewer.covers(Developer));
    }
}
