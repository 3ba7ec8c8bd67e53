//! Organisations, users and tokens of the whole gateway, for its operators.

use hearth_domain::{Action, OrganisationId, Timestamp, TokenId, UserId};
use hearth_store::{
    organisations::{MemberRecord, OrganisationRecord},
    tokens::TokenRecord,
    users::UserRecord,
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::{
        administration::{
            AdminMembership, AdminTokenBody, AdminTokenList, AdminTokenQuery, AdminUserBody,
            AdminUserDetails, AdminUserList, AdministerOrganisation, AdministerUser, OrganisationList,
            PutMember,
        },
        organisations::{MemberBody, OrganisationBody, PageQuery},
    },
};

use super::{
    invites::require_whole_credential,
    organisations::{Organisations, checked_regions},
};
use crate::{
    access::{Caller, tokens::token_body},
    error,
    names::check_name,
    pager::Pager,
};

impl Organisations {
    /// A page of all organisations, oldest first.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor.
    #[crate::boxed_future]
    pub async fn list_all(&self, caller: &Caller, query: &PageQuery) -> Result<OrganisationList, ApiError> {
        self.ensure_operators().await?;
        let pager = Pager::new(&self.keys, caller.owner(), "organisations", query.limit)?;
        let after = pager.open(query.cursor.as_deref()).await?;
        let records = self.store.organisations().page(after, pager.limit).await;
        let (records, has_more) = records.map_err(error::store)?;
        let last = records.last().map(|record| record.id).filter(|_| has_more);
        let organisations = records.into_iter().map(|record| self.body(caller, record)).collect();
        Ok(OrganisationList { organisations, next_cursor: pager.seal(last).await? })
    }

    /// Any organisation.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn get_any(&self, caller: &Caller, id: OrganisationId) -> Result<OrganisationBody, ApiError> {
        let record = self.record_of(id).await?;
        Ok(self.body(caller, record))
    }

    /// Changes any organisation, and disables or enables it.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` for a bad name or region; `forbidden` for the operator's organisation, if the caller isn't
    /// its owner; `conflict` for disabling it.
    #[crate::boxed_future]
    pub async fn administer(
        &self,
        caller: &Caller,
        id: OrganisationId,
        request: AdministerOrganisation,
    ) -> Result<OrganisationBody, ApiError> {
        let is_operators = self.ensure_operators().await? == id;
        if is_operators {
            require_owner(caller)?;
        }
        if request.disabled == Some(true) && is_operators {
            let message = "the organisation of the gateway's operator can't be disabled";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let name = request.name.as_deref().map(check_name).transpose()?;
        let regions = request.regions.map(checked_regions).transpose()?;
        let change = |record: &mut OrganisationRecord| {
            record.name = name.clone().unwrap_or_else(|| std::mem::take(&mut record.name));
            record.regions = regions.clone().unwrap_or_else(|| std::mem::take(&mut record.regions));
            record.disabled_at = changed_time(record.disabled_at, request.disabled);
        };
        let record = self.change_record(id, change).await?;
        Ok(self.body(caller, record))
    }

    /// Deletes any organisation.
    ///
    /// # Errors
    /// As for [`Organisations::delete`].
    #[crate::boxed_future]
    pub async fn delete_any(&self, id: OrganisationId) -> Result<(), ApiError> {
        self.delete_record(id).await
    }

    /// Adds a user to any organisation, or changes a member's role.
    ///
    /// # Errors
    /// `not_found` if there is no such organisation or user; `forbidden` for a role in the operator's organisation that the
    /// caller's own doesn't cover, and for a higher role if the caller's credential doesn't allow all that it does; `conflict`
    /// for the last owner.
    #[crate::boxed_future]
    pub async fn put_member(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
        request: &PutMember,
    ) -> Result<MemberBody, ApiError> {
        self.record_of(id).await?;
        self.user(user).await?;
        let before = self.store.organisations().member(id, user).await.map_err(error::store)?;
        Self::require_covered_by_operator(caller, id, before.as_ref())?;
        let named = MemberRecord::new(id, user, request.role);
        Self::require_covered_by_operator(caller, id, Some(&named))?;
        if !before.is_some_and(|before| before.role.covers(request.role)) {
            require_whole_credential(caller, request.role)?;
        }
        let member = self.put_member_of(id, user, request.role).await?;
        self.member_body(caller, member).await
    }

    /// Removes a member of any organisation.
    ///
    /// # Errors
    /// As for [`Organisations::put_member`].
    #[crate::boxed_future]
    pub async fn remove_any_member(
        &self,
        caller: &Caller,
        id: OrganisationId,
        user: UserId,
    ) -> Result<(), ApiError> {
        let may_remove = |member: &MemberRecord| Self::require_covered_by_operator(caller, id, Some(member));
        self.remove_member_if(id, user, may_remove).await
    }

    /// A page of all users, oldest first.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor.
    #[crate::boxed_future]
    pub async fn list_users(&self, caller: &Caller, query: &PageQuery) -> Result<AdminUserList, ApiError> {
        self.ensure_operators().await?;
        let pager = Pager::new(&self.keys, caller.owner(), "users", query.limit)?;
        let after = pager.open(query.cursor.as_deref()).await?;
        let (users, has_more) = self.store.users().page(after, pager.limit).await.map_err(error::store)?;
        let last = users.last().map(|user| user.id).filter(|_| has_more);
        let next_cursor = pager.seal(last).await?;
        Ok(AdminUserList { users: users.into_iter().map(user_body).collect(), next_cursor })
    }

    /// A user, with their organisations.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn user_details(&self, user: UserId) -> Result<AdminUserDetails, ApiError> {
        let record = self.user(user).await?;
        let memberships = self.store.organisations().of_user(user).await.map_err(error::store)?;
        let membership = |member: MemberRecord| AdminMembership {
            organisation: member.organisation.to_string(),
            role: member.role,
        };
        let organisations = memberships.into_iter().map(membership).collect();
        Ok(AdminUserDetails { user: user_body(record), organisations })
    }

    /// Disables or enables a user. The credentials of a disabled user aren't accepted.
    ///
    /// # Errors
    /// `not_found`; `conflict` for the caller, and for the gateway's first operator.
    #[crate::boxed_future]
    pub async fn administer_user(
        &self,
        caller: &Caller,
        user: UserId,
        request: &AdministerUser,
    ) -> Result<AdminUserBody, ApiError> {
        let operators = self.ensure_operators().await?;
        if request.disabled && (user == caller.user || operators == OrganisationId::of_operator(user)) {
            let message = "an operator can't disable themselves, nor the gateway's first operator";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let member = self.store.organisations().member(operators, user).await.map_err(error::store)?;
        Self::require_covered_by_operator(caller, operators, member.as_ref())?;
        let disabled = request.disabled;
        if !disabled && self.user(user).await?.erasure.is_some() {
            let message = "the user is being erased, and can't be enabled";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let change = |record: &mut UserRecord| {
            let after = changed_time(record.disabled_at, Some(disabled));
            std::mem::replace(&mut record.disabled_at, after) != after
        };
        let record = self.store.users().change(user, change).await.map_err(error::store)?;
        let record = record.ok_or_else(no_such_user)?;
        self.access.forget_callers();
        tracing::info!(%user, disabled, "a user was disabled or enabled");
        Ok(user_body(record))
    }

    /// A page of the tokens of one user, or of all users.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor; `not_found` if there is no such user.
    #[crate::boxed_future]
    pub async fn list_tokens(
        &self,
        caller: &Caller,
        query: AdminTokenQuery,
    ) -> Result<AdminTokenList, ApiError> {
        let (users, next_cursor) = match query.user {
            Some(user) => (vec![self.user(user).await?], None),
            None => {
                self.ensure_operators().await?;
                let pager = Pager::new(&self.keys, caller.owner(), "tokens", query.limit)?;
                let after = pager.open(query.cursor.as_deref()).await?;
                let users = self.store.users().page(after, pager.limit).await;
                let (users, has_more) = users.map_err(error::store)?;
                let last = users.last().map(|user| user.id).filter(|_| has_more);
                (users, pager.seal(last).await?)
            }
        };
        let mut tokens = Vec::new();
        for user in users {
            let of_user = self.store.tokens().of(user.id).await.map_err(error::store)?;
            tokens.extend(of_user.into_iter().map(token_of_user));
        }
        Ok(AdminTokenList { tokens, next_cursor })
    }

    /// Revokes a token of any user.
    ///
    /// # Errors
    /// `not_found` if the user has no such token; `forbidden` for a token of the operator's organisation whose owner has a
    /// role that the caller's own doesn't cover; `conflict` for the token of the commands on this machine.
    #[crate::boxed_future]
    pub async fn revoke_token(&self, caller: &Caller, user: UserId, token: TokenId) -> Result<(), ApiError> {
        let operators = self.ensure_operators().await?;
        let member = self.store.organisations().member(operators, user).await.map_err(error::store)?;
        Self::require_covered_by_operator(caller, operators, member.as_ref())?;
        self.access.require_not_of_commands(token)?;
        let tokens = self.store.tokens().of(user).await.map_err(error::store)?;
        let message = "the user has no token with this id";
        let token = tokens.iter().find(|one| one.id == token);
        self.access.revoke_record(token.ok_or_else(|| ApiError::new(ErrorCode::NotFound, message))?).await
    }

    async fn user(&self, user: UserId) -> Result<UserRecord, ApiError> {
        self.store.users().get(user).await.map_err(error::store)?.ok_or_else(no_such_user)
    }

    /// Checks that an operator's role covers a member's, if the member is one of the operators.
    fn require_covered_by_operator(
        caller: &Caller,
        id: OrganisationId,
        member: Option<&MemberRecord>,
    ) -> Result<(), ApiError> {
        let Some(member) = member.filter(|_| id == caller.organisation) else { return Ok(()) };
        super::members::require_covered(caller, &[member.role])
    }
}

/// Checks that a caller from the operator's organisation may change that: the actions of operators don't include it.
fn require_owner(caller: &Caller) -> Result<(), ApiError> {
    let permission = Action::ManageOrganisation.permission();
    caller.require_scope(permission.scope)?;
    if permission.is_allowed(caller.role, caller.is_operator) {
        return Ok(());
    }
    let message = "only an owner of the gateway operator's organisation changes it; ask one of them";
    Err(ApiError::new(ErrorCode::Forbidden, message))
}

/// The time since which something is disabled, after a change.
fn changed_time(before: Option<Timestamp>, disabled: Option<bool>) -> Option<Timestamp> {
    match disabled {
        None => before,
        Some(false) => None,
        Some(true) => before.or_else(|| Some(Timestamp::now())),
    }
}

fn user_body(user: UserRecord) -> AdminUserBody {
    AdminUserBody {
        id: user.id.to_string(),
        name: user.name,
        email: user.email,
        created_at: user.created_at.to_string(),
        disabled_at: user.disabled_at.map(|at| at.to_string()),
    }
}

fn token_of_user(token: TokenRecord) -> AdminTokenBody {
    AdminTokenBody {
        owner: token.owner.to_string(),
        organisation: token.organisation.to_string(),
        token: token_body(token),
    }
}

fn no_such_user() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no user with this id")
}
