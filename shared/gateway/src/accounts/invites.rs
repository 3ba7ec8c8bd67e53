//! Invitations into organisations.

use std::time::Duration;

use hearth_auth::{CodeKind, OneTimeCode};
use hearth_domain::{
    Action, InviteId, MemberRole, OrganisationId, Secret, TeamId, Timestamp, check_email, normalized_email,
};
use hearth_store::invites::InviteRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    native::{
        invites::{CreateInvite, CreatedInvite, InviteBody, InviteList},
        users::MembershipBody,
    },
};

use crate::{
    Caller, Gateway,
    error::{self, invalid_code},
};

/// Days until an invitation ends: by default, and at most.
const LIFETIME_DAYS: (u32, u32) = (7, 30);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Limit of the invitations of an organisation that can still be accepted.
const INVITE_MAX_COUNT: usize = 1000;
/// Limit of the teams that an invitation names: each is read.
const TEAM_MAX_COUNT: usize = 20;

impl Gateway {
    /// Makes an invitation into the caller's organisation.
    ///
    /// # Errors
    /// `forbidden` for a role that the caller's doesn't cover; `invalid_request`.
    #[crate::boxed_future]
    pub async fn create_invite(
        &self,
        caller: &Caller,
        request: CreateInvite,
    ) -> Result<CreatedInvite, ApiError> {
        check_role(caller, request.role)?;
        let teams = self.teams_of(caller.organisation, &request.teams).await?;
        let email = request.email.as_deref().map(check_email).transpose();
        let email = email.map_err(|error| ApiError::invalid("email", error.to_string()))?;
        let days = request.expires_in_days.unwrap_or(LIFETIME_DAYS.0);
        if !(1..=LIFETIME_DAYS.1).contains(&days) {
            let message = format!("expires_in_days must be 1 to {}", LIFETIME_DAYS.1);
            return Err(ApiError::invalid("expires_in_days", message));
        }
        let invites = self.0.store.invites();
        if invites.of(caller.organisation).await.map_err(error::store)?.len() >= INVITE_MAX_COUNT {
            let message = format!(
                "the organisation has {INVITE_MAX_COUNT} open invitations; revoke those that aren't needed"
            );
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let (code, created_at) = (OneTimeCode::generate(CodeKind::Invite), Timestamp::now());
        let record = InviteRecord {
            id: InviteId::new(),
            hash: code.hash(),
            organisation: caller.organisation,
            role: request.role,
            teams,
            email,
            invited_by: caller.user,
            created_at,
            expires_at: created_at.plus(DAY * days),
            conflicts: 0,
        };
        invites.create(&record).await.map_err(error::store)?;
        Ok(CreatedInvite { code: code.expose().to_owned(), record: invite_body(record) })
    }

    /// The invitations into the caller's organisation that can still be accepted.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list_invites(&self, caller: &Caller) -> Result<InviteList, ApiError> {
        let invites = self.0.store.invites().of(caller.organisation).await.map_err(error::store)?;
        Ok(InviteList { invites: invites.into_iter().map(invite_body).collect() })
    }

    /// Revokes an invitation into the caller's organisation.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it was accepted meanwhile.
    #[crate::boxed_future]
    pub async fn revoke_invite(&self, caller: &Caller, id: InviteId) -> Result<(), ApiError> {
        let invites = self.0.store.invites();
        let all = invites.of(caller.organisation).await.map_err(error::store)?;
        let invite = all.into_iter().find(|invite| invite.id == id).ok_or_else(no_such_invite)?;
        match invites.delete(&invite).await.map_err(error::store)? {
            true => Ok(()),
            false => Err(no_such_invite()),
        }
    }

    /// Adds the caller to the organisation of an invitation.
    ///
    /// # Errors
    /// `forbidden` if the code isn't valid, or is for another address; `conflict` if the caller is a member already.
    #[crate::boxed_future]
    pub async fn accept_invite(&self, caller: &Caller, code: &Secret) -> Result<MembershipBody, ApiError> {
        let invite = self.valid_invite(code).await?;
        if invite.email.is_some() {
            let user = self.0.store.users().get(caller.user).await.map_err(error::store)?;
            check_address(&invite, user.and_then(|user| user.email).as_deref().unwrap_or_default())?;
        }
        self.accept(&invite, caller.user, None).await?;
        Ok(MembershipBody {
            organisation: invite.organisation.to_string(),
            role: invite.role,
            teams: invite.teams.iter().map(ToString::to_string).collect(),
        })
    }

    /// The invitation that has this code, and whose maker may still make it.
    pub(super) async fn valid_invite(&self, code: &Secret) -> Result<InviteRecord, ApiError> {
        let code = OneTimeCode::parse(CodeKind::Invite, code).ok_or_else(invalid_code)?;
        let invite = self.0.store.invites().by_hash(&code.hash()).await.map_err(error::store)?;
        let invite = invite.ok_or_else(invalid_code)?;
        self.check_inviter(&invite).await?;
        Ok(invite)
    }

    /// Checks that the member who made an invitation may still make it: it ends with their right to.
    async fn check_inviter(&self, invite: &InviteRecord) -> Result<(), ApiError> {
        let membership = self.0.access.membership(invite.organisation, invite.invited_by).await;
        let membership = membership.map_err(|error| match error.code {
            ErrorCode::Unauthorized => invalid_code(),
            _ => error,
        })?;
        let may_invite =
            Action::ManageMembers.permission().is_allowed(membership.role, membership.is_operator);
        if may_invite && membership.role.covers(invite.role) { Ok(()) } else { Err(invalid_code()) }
    }

    /// The teams with these ids, all of which the organisation has.
    pub(super) async fn teams_of(
        &self,
        organisation: OrganisationId,
        ids: &[String],
    ) -> Result<Vec<TeamId>, ApiError> {
        if ids.len() > TEAM_MAX_COUNT {
            return Err(ApiError::invalid("teams", format!("at most {TEAM_MAX_COUNT} teams can be named")));
        }
        let mut teams = Vec::new();
        for id in ids {
            let no_such_team = || ApiError::invalid("teams", "the organisation has no team with this id");
            let id: TeamId = id.parse().map_err(|_| no_such_team())?;
            let team = self.0.store.organisations().team(organisation, id).await.map_err(error::store)?;
            team.ok_or_else(no_such_team)?;
            if !teams.contains(&id) {
                teams.push(id);
            }
        }
        Ok(teams)
    }
}

/// Checks that the caller's role covers one that they want to give.
pub(super) fn check_role(caller: &Caller, role: MemberRole) -> Result<(), ApiError> {
    if caller.role.covers(role) {
        return require_whole_credential(caller, role);
    }
    let message = format!(
        "the role {:?} can't give the role {:?}, which may do more; a member with a role that covers it can",
        caller.role.as_str(),
        role.as_str()
    );
    Err(ApiError::new(ErrorCode::Forbidden, message).at("role"))
}

/// Checks that the caller's credential has all that a sign-in with a role has: by the sign-in one takes every action of the role,
/// with every model, for ever.
pub(super) fn require_whole_credential(caller: &Caller, role: MemberRole) -> Result<(), ApiError> {
    for permission in Action::ALL.map(Action::permission) {
        if permission.is_allowed(role, caller.is_operator) {
            caller.require_scope(permission.scope)?;
        }
    }
    let is_limited_token = caller.token().is_some() && caller.expires_at.is_some();
    if caller.models.is_some() || is_limited_token {
        let message = "this token is limited to some models or ends, and a sign-in isn't and doesn't; sign in, or use a \
                       token without both";
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    }
    Ok(())
}

/// Checks that an invitation is for this address.
pub(super) fn check_address(invite: &InviteRecord, email: &str) -> Result<(), ApiError> {
    match &invite.email {
        Some(bound) if normalized_email(bound) != normalized_email(email) => {
            let message = "the invitation is for another address; use the one that it was sent to";
            Err(ApiError::new(ErrorCode::Forbidden, message).at("email"))
        }
        _ => Ok(()),
    }
}

fn invite_body(record: InviteRecord) -> InviteBody {
    InviteBody {
        id: record.id.to_string(),
        organisation: record.organisation.to_string(),
        role: record.role,
        teams: record.teams.iter().map(ToString::to_string).collect(),
        email: record.email,
        invited_by: record.invited_by.to_string(),
        created_at: record.created_at.to_string(),
        expires_at: record.expires_at.to_string(),
    }
}

fn no_such_invite() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no open invitation with this id")
}
