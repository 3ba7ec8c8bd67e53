//! Teams of an organisation: created, listed, renamed, deleted; their members.

use hearth_domain::{CredentialOwner, OrganisationId, Owner, TeamId, UserId};
use hearth_store::organisations::{MemberRecord, TeamRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    native::organisations::{TeamBody, TeamList},
};

use super::{
    changes::{Unchanged, retry},
    members::no_such_member,
    organisations::{Organisations, require_own},
};
use crate::{access::Caller, error, names::check_name};

/// Limit of the teams of an organisation.
const TEAM_MAX_COUNT: usize = 1000;

impl Organisations {
    /// The teams of the caller's organisation, oldest first.
    ///
    /// # Errors
    /// `not_found` for another organisation.
    #[crate::boxed_future]
    pub async fn teams(&self, caller: &Caller, id: OrganisationId) -> Result<TeamList, ApiError> {
        require_own(caller, id)?;
        let teams = self.store.organisations().teams(id).await.map_err(error::store)?;
        Ok(TeamList { teams: teams.into_iter().map(body).collect() })
    }

    /// A team of the caller's organisation.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn team(
        &self,
        caller: &Caller,
        id: OrganisationId,
        team: TeamId,
    ) -> Result<TeamBody, ApiError> {
        require_own(caller, id)?;
        let team = self.store.organisations().team(id, team).await.map_err(error::store)?;
        team.map(body).ok_or_else(no_such_team)
    }

    /// Creates a team.
    ///
    /// # Errors
    /// `not_found` for another organisation; `invalid_request` for a bad name; `conflict` if there are too many.
    #[crate::boxed_future]
    pub async fn create_team(
        &self,
        caller: &Caller,
        id: OrganisationId,
        name: &str,
    ) -> Result<TeamBody, ApiError> {
        self.record(caller, id).await?;
        let team = TeamRecord::new(id, check_name(name)?);
        let organisations = self.store.organisations();
        if organisations.teams(id).await.map_err(error::store)?.len() >= TEAM_MAX_COUNT {
            let message = format!("an organisation has at most {TEAM_MAX_COUNT} teams");
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        organisations.create_team(&team).await.map_err(error::store)?;
        Ok(body(team))
    }

    /// Renames a team.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` for a bad name.
    #[crate::boxed_future]
    pub async fn rename_team(
        &self,
        caller: &Caller,
        id: OrganisationId,
        team: TeamId,
        name: &str,
    ) -> Result<TeamBody, ApiError> {
        require_own(caller, id)?;
        let name = check_name(name)?;
        let rename = || async {
            let organisations = self.store.organisations();
            let before = organisations.team(id, team).await?.ok_or_else(no_such_team)?;
            let after = TeamRecord { name: name.clone(), ..before.clone() };
            Ok::<TeamRecord, Unchanged>(organisations.change_team(&before, after).await?)
        };
        retry(rename).await.map(body)
    }

    /// Deletes a team. Its members stay members of the organisation.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn delete_team(
        &self,
        caller: &Caller,
        id: OrganisationId,
        team: TeamId,
    ) -> Result<(), ApiError> {
        require_own(caller, id)?;
        let organisations = self.store.organisations();
        let record = organisations.team(id, team).await.map_err(error::store)?.ok_or_else(no_such_team)?;
        let members = organisations.members(id).await.map_err(error::store)?;
        for member in members.into_iter().filter(|member| member.teams.contains(&team)) {
            self.set_team_membership(id, member.user, team, false).await?;
        }
        self.delete_keys(CredentialOwner::Team(team)).await?;
        organisations.delete_team(&record).await.map_err(error::store)?;
        self.access.forget_callers();
        Ok(())
    }

    /// Adds a member of the organisation to a team.
    ///
    /// # Errors
    /// `not_found` if the organisation has no such team or member.
    #[crate::boxed_future]
    pub async fn add_to_team(
        &self,
        caller: &Caller,
        id: OrganisationId,
        team: TeamId,
        user: UserId,
    ) -> Result<(), ApiError> {
        self.team(caller, id, team).await?;
        self.set_team_membership(id, user, team, true).await
    }

    /// Removes a member of the organisation from a team.
    ///
    /// # Errors
    /// `not_found` if the organisation has no such team or member.
    #[crate::boxed_future]
    pub async fn remove_from_team(
        &self,
        caller: &Caller,
        id: OrganisationId,
        team: TeamId,
        user: UserId,
    ) -> Result<(), ApiError> {
        self.team(caller, id, team).await?;
        self.set_team_membership(id, user, team, false).await
    }

    /// Deletes the stored keys of providers.
    pub(super) async fn delete_keys(&self, owner: CredentialOwner) -> Result<(), ApiError> {
        self.store.provider_credentials().delete_all(owner).await.map(drop).map_err(error::store)
    }

    /// Deletes a user's own keys of providers in an organisation that they aren't in any more: nobody else could.
    pub(super) async fn delete_own_keys(&self, id: OrganisationId, user: UserId) -> Result<(), ApiError> {
        self.store.provider_credentials().delete_own(user, id).await.map(drop).map_err(error::store)
    }

    /// Deletes a user's webhooks in an organisation that they aren't in any more; those for its events stay.
    pub(super) async fn delete_own_webhooks(&self, id: OrganisationId, user: UserId) -> Result<(), ApiError> {
        self.store.webhooks().delete_own(user, id).await.map(drop).map_err(error::store)
    }

    /// Marks the files of a former member, which the sweep deletes.
    pub(super) async fn end_files(&self, id: OrganisationId, user: UserId) -> Result<(), ApiError> {
        let owner = Owner { user, organisation: id };
        self.store.files().end_owner(owner).await.map_err(error::store)
    }

    async fn set_team_membership(
        &self,
        id: OrganisationId,
        user: UserId,
        team: TeamId,
        is_in: bool,
    ) -> Result<(), ApiError> {
        let set = || async {
            let record = self.record_of(id).await?;
            let organisations = self.store.organisations();
            let before = organisations.member(id, user).await?.ok_or_else(no_such_member)?;
            let mut teams = before.teams.clone();
            teams.retain(|one| *one != team);
            if is_in {
                teams.push(team);
                teams = self.checked_teams(id, &teams).await?;
            }
            if teams != before.teams {
                let after = MemberRecord { teams, ..before.clone() };
                organisations.change_member(&record, &before, after).await?;
            }
            Ok::<(), Unchanged>(())
        };
        retry(set).await?;
        self.access.forget_callers();
        Ok(())
    }
}

fn body(team: TeamRecord) -> TeamBody {
    TeamBody { id: team.id.to_string(), name: team.name, created_at: team.created_at.to_string() }
}

fn no_such_team() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "the organisation has no team with this id")
}
