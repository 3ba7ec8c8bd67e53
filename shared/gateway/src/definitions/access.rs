//! Which definitions a caller may see, and which a caller may change.

use hearth_domain::{MemberRole, Visibility};
use hearth_store::definitions::{DefinitionRecord, DefinitionScope};
use hearth_wire::{ApiError, ErrorCode};

use crate::access::Caller;

/// True if the caller may see a definition and use it.
pub(super) fn may_see(caller: &Caller, record: &DefinitionRecord) -> bool {
    if record.deleted {
        return false;
    }
    if record.visibility == Visibility::Public {
        return true;
    }
    if record.organisation != caller.organisation {
        return false;
    }
    let is_owner = record.owner == caller.user;
    match record.visibility {
        Visibility::Private => is_owner,
        Visibility::Team => {
            is_owner || is_admin(caller) || record.team.is_some_and(|team| caller.teams.contains(&team))
        }
        Visibility::Organisation | Visibility::Public => true,
    }
}

/// True if the caller may change a definition: its author, or for a shared one an administrator of its organisation.
pub(super) fn may_change(caller: &Caller, record: &DefinitionRecord) -> bool {
    let is_shared = record.visibility != Visibility::Private;
    may_see(caller, record)
        && record.organisation == caller.organisation
        && (record.owner == caller.user || (is_shared && is_admin(caller)))
}

/// Checks that the caller may change a definition that the caller sees.
///
/// # Errors
/// `forbidden`.
pub(super) fn require_change(caller: &Caller, record: &DefinitionRecord) -> Result<(), ApiError> {
    if may_change(caller, record) {
        return Ok(());
    }
    let message = format!(
        "this {} may be changed by its author and by the administrators of its organisation; create one of your own",
        record.id.kind().as_str()
    );
    Err(ApiError::new(ErrorCode::Forbidden, message))
}

/// True for a role that administers the organisation.
pub(super) fn is_admin(caller: &Caller) -> bool {
    matches!(caller.role, MemberRole::Owner | MemberRole::Admin)
}

/// The scopes in which a name is looked up, the first one first: the caller's own, the caller's teams', the organisation's.
pub(super) fn scopes(caller: &Caller) -> Vec<DefinitionScope> {
    let mut scopes = vec![DefinitionScope::User(caller.owner())];
    scopes.extend(caller.teams.iter().map(|team| DefinitionScope::Team(caller.organisation, *team)));
    scopes.push(DefinitionScope::Organisation(caller.organisation));
    scopes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearth_domain::{
        DefinitionId, DefinitionKind, OrganisationId, RevisionId, SemanticVersion, TeamId, Timestamp, UserId,
    };

    use super::*;

    fn record(author: &Caller, visibility: Visibility, team: Option<TeamId>) -> DefinitionRecord {
        DefinitionRecord {
            id: DefinitionId::new(DefinitionKind::Schema),
            owner: author.user,
            organisation: author.organisation,
            name: "receipt".to_owned(),
            description: None,
            tags: Vec::new(),
            visibility,
            team,
            latest: SemanticVersion::FIRST,
            version_count: 1,
            labels: std::collections::BTreeMap::new(),
            created_at: Timestamp::now(),
            updated_at: Timestamp::now(),
            revision: RevisionId::new(),
            deleted: false,
        }
    }

    #[test]
    fn visibility_decides_who_sees_and_the_role_who_changes() {
        let author = Caller { role: MemberRole::Developer, ..Caller::example() };
        let team = TeamId::new();
        let of = |role, user: UserId, organisation: OrganisationId, teams: Vec<TeamId>| Caller {
            role,
            user,
            organisation,
            teams: Arc::from(teams),
            ..Caller::example()
        };
        let mate = of(MemberRole::Developer, UserId::new(), author.organisation, vec![team]);
        let member = of(MemberRole::Developer, UserId::new(), author.organisation, Vec::new());
        let admin = of(MemberRole::Admin, UserId::new(), author.organisation, Vec::new());
        let stranger = of(MemberRole::Owner, UserId::new(), OrganisationId::new(), vec![team]);
        let elsewhere = of(MemberRole::Owner, author.user, OrganisationId::new(), Vec::new());
        let callers = [&author, &mate, &member, &admin, &stranger, &elsewhere];
        for (visibility, sees, changes) in [
            (
                Visibility::Private,
                [true, false, false, false, false, false],
                [true, false, false, false, false, false],
            ),
            (
                Visibility::Team,
                [true, true, false, true, false, false],
                [true, false, false, true, false, false],
            ),
            (
                Visibility::Organisation,
                [true, true, true, true, false, false],
                [true, false, false, true, false, false],
            ),
            (Visibility::Public, [true; 6], [true, false, false, true, false, false]),
        ] {
            let record = record(&author, visibility, Some(team));
            assert_eq!(callers.map(|caller| may_see(caller, &record)), sees, "{visibility:?}");
            assert_eq!(callers.map(|caller| may_change(caller, &record)), changes, "{visibility:?}");
            let deleted = DefinitionRecord { deleted: true, ..record };
            assert!(callers.iter().all(|caller| !may_see(caller, &deleted)), "{visibility:?}");
        }
    }
}
