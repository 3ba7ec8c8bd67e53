//! Members of an organisation: listed, changed, removed.

use futures::future::try_join_all;
use hearth_domain::{Action, MemberRole, OrganisationId, Owner, TeamId, UserId};
use hearth_store::organisations::{MemberRecord, OrganisationRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    native::organisations::{ChangeMember, MemberBody, MemberList, PageQuery},
};

use super::{
    changes::{Unchanged, retry},
    invites::require_whole_credential,
    organisations::{Organisations, require_own},
};
use crate::{access::Caller, error, pager::Pager};

/// Limit of the teams of a member.
const TEAM_MAX_COUNT: usize = 50;

impl Organisations {
    /// A page of the members of the caller's organisation.
    ///
    /// # Errors
    /// `not_found` for another organisation; `invalid_request` for a bad limit or cursor.
    #[crate::boxed_future]
    pub async fn members(
        &self,
        caller: &Caller,
        id: OrganisationId,
        query: &PageQuery,
    ) -> Result<MemberList, ApiError> {
        self.record(caller, id).await?;
        let pager = Pager::new(&self.keys, caller.owner(), "members", query.limit)?;
        let after: Option<UserId> = pager.open(query.cursor.as_deref()).await?;
        let organisations = self.store.organisations();
        let records = organisations.members_page(id, after, pager.limit).await;
        let (records, has_more) = records.map_err(error::store)?;
        let last = records.last().map(|member| member.user).filter(|_| has_more);
        let members =
            try_join_all(records.into_iter().map(|member| self.member_body(caller, member))).await?;
        Ok(MemberList { members, next_cursor: pager.seal(last).await? })
    }

    /// A member of the caller's organisation.
    ///
    /// # Errors
    /// `not_found` for another organisation, and for a user who isn't a member.
    #[crate::boxed_future]
    pub async fn member(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
    ) -> Result<MemberBody, ApiError> {
        self.record(caller, id).await?;
        let member = self.store.organisations().member(id, user).await.map_err(error::store)?;
        self.member_body(caller, member.ok_or_else(no_such_member)?).await
    }

    /// Changes the role and the teams of a member.
    ///
    /// # Errors
    /// `not_found` as for [`Organisations::member`]; `forbidden` if the caller's role doesn't cover the member's, or the new
    /// one, or the caller's credential doesn't allow all that a higher role does; `conflict` for the last owner.
    #[crate::boxed_future]
    pub async fn change_member(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
        request: ChangeMember,
    ) -> Result<MemberBody, ApiError> {
        require_own(caller, id)?;
        let change = || async {
            let record = self.record_of(id).await?;
            let before = self.store.organisations().member(id, user).await?.ok_or_else(no_such_member)?;
            let role = request.role.unwrap_or(before.role);
            require_covered(caller, &[before.role, role])?;
            if !before.role.covers(role) {
                require_whole_credential(caller, role)?;
            }
            require_other_owner(&record, &before, role == MemberRole::Owner)?;
            let teams = match &request.teams {
                Some(teams) => self.checked_teams(id, teams).await?,
                None => before.teams.clone(),
            };
            let after = MemberRecord { role, teams, ..before.clone() };
            Ok::<MemberRecord, Unchanged>(
                self.store.organisations().change_member(&record, &before, after).await?,
            )
        };
        let member = retry(change).await?;
        self.access.forget_callers();
        self.member_body(caller, member).await
    }

    /// Removes a member; their credentials and nodes in the organisation stop working.
    ///
    /// # Errors
    /// As for [`Organisations::change_member`].
    #[crate::boxed_future]
    pub async fn remove_member(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
    ) -> Result<(), ApiError> {
        require_own(caller, id)?;
        let may_remove = |member: &MemberRecord| require_covered(caller, &[member.role]);
        self.remove_member_if(id, user, may_remove).await
    }

    /// Removes the caller from the organisation of their credential.
    ///
    /// # Errors
    /// `not_found` for another organisation; `conflict` for the last owner.
    #[crate::boxed_future]
    pub async fn leave(&self, caller: &Caller, id: OrganisationId) -> Result<(), ApiError> {
        require_own(caller, id)?;
        self.remove_member_if(id, caller.user, |_| Ok(())).await
    }

    /// Removes a member whose removal `may_remove` allows, and ends their logins and tokens of the organisation,
    /// ends their nodes, deletes their own keys of providers there, and closes their sessions.
    pub(super) async fn remove_member_if(
        &self,
        id: OrganisationId,
        user: UserId,
        may_remove: impl Fn(&MemberRecord) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let remove = || async {
            let record = self.record_of(id).await?;
            let member = self.store.organisations().member(id, user).await?.ok_or_else(no_such_member)?;
            may_remove(&member)?;
            require_other_owner(&record, &member, false)?;
            Ok::<(), Unchanged>(self.store.organisations().remove_member(&record, &member).await?)
        };
        retry(remove).await?;
        self.access.forget_callers();
        tracing::info!(organisation = %id, %user, "a member was removed");
        self.access.end_access(Owner { user, organisation: id }).await?;
        self.node_ending.end_all_of(id, user).await.map_err(error::store)?;
        self.delete_own_keys(id, user).await?;
        self.delete_own_webhooks(id, user).await?;
        self.end_files(id, user).await?;
        self.close_sessions(Owner { user, organisation: id }).await
    }

    /// Adds a user to an organisation, or changes a member's role, without a caller's membership.
    pub(super) async fn put_member_of(
        &self,
        id: OrganisationId,
        user: UserId,
        role: MemberRole,
    ) -> Result<MemberRecord, ApiError> {
        let put = || async {
            let record = self.record_of(id).await?;
            let organisations = self.store.organisations();
            if let Some(before) = organisations.member(id, user).await? {
                require_other_owner(&record, &before, role == MemberRole::Owner)?;
                let after = MemberRecord { role, ..before.clone() };
                return Ok(organisations.change_member(&record, &before, after).await?);
            }
            let member = MemberRecord::new(id, user, role);
            organisations.add_member(&record, &member).await?;
            Ok::<MemberRecord, Unchanged>(member)
        };
        let member = retry(put).await?;
        self.access.forget_callers();
        Ok(member)
    }

    /// The teams, each once, if the organisation has all of them.
    pub(super) async fn checked_teams(
        &self,
        id: OrganisationId,
        teams: &[TeamId],
    ) -> Result<Vec<TeamId>, Unchanged> {
        let mut teams = teams.to_vec();
        teams.sort_unstable();
        teams.dedup();
        if teams.len() > TEAM_MAX_COUNT {
            let message = format!("a member is in at most {TEAM_MAX_COUNT} teams");
            return Err(ApiError::invalid("teams", message).into());
        }
        for team in &teams {
            if self.store.organisations().team(id, *team).await?.is_none() {
                let message = format!("the organisation has no team {team}");
                return Err(ApiError::invalid("teams", message).into());
            }
        }
        Ok(teams)
    }

    pub(super) async fn member_body(
        &self,
        caller: &Caller,
        member: MemberRecord,
    ) -> Result<MemberBody, ApiError> {
        let profile = self.store.users().get(member.user).await.map_err(error::store)?;
        let sees_addresses = caller.require(Action::ManageMembers).is_ok() || caller.user == member.user;
        let (name, email) = profile.map(|user| (user.name, user.email)).unzip();
        Ok(MemberBody {
            user: member.user.to_string(),
            name,
            email: email.flatten().filter(|_| sees_addresses),
            role: member.role,
            teams: member.teams.iter().map(ToString::to_string).collect(),
            joined_at: member.joined_at.to_string(),
        })
    }
}

/// Checks that the caller's role allows every action that each of `roles` allows.
///
/// # Errors
/// `forbidden`.
pub(super) fn require_covered(caller: &Caller, roles: &[MemberRole]) -> Result<(), ApiError> {
    let Some(role) = roles.iter().find(|role| !caller.role.covers(**role)) else { return Ok(()) };
    let message = format!(
        "the role {:?} can't change members who have the role {:?}, nor name them to it; an owner can",
        caller.role.as_str(),
        role.as_str()
    );
    Err(ApiError::new(ErrorCode::Forbidden, message).with("action", Action::ManageMembers.as_str()))
}

/// Checks that the organisation keeps an owner if `member` remains one or not.
///
/// # Errors
/// `conflict` for the last owner.
pub(super) fn require_other_owner(
    organisation: &OrganisationRecord,
    member: &MemberRecord,
    remains_owner: bool,
) -> Result<(), ApiError> {
    if member.role != MemberRole::Owner || remains_owner || organisation.owners > 1 {
        return Ok(());
    }
    let message =
        "this is the organisation's last owner; name another owner first, or delete the organisation";
    Err(ApiError::new(ErrorCode::Conflict, message))
}

pub(super) fn no_such_member() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "the organisation has no member with this id")
}
