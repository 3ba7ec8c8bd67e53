//! A user's own profile, preferences and password.

use std::{net::IpAddr, time::Duration};

use hearth_auth::{CodeKind, OneTimeCode};
use hearth_domain::{
    Action, OrganisationId, PreferredModels, RevisionId, Secret, Timestamp, UserId, check_email,
};
use hearth_store::{
    StoreError,
    one_time_codes::{CodeMaker, CodePurpose, OneTimeCodeRecord},
    organisations::MemberRecord,
    users::UserRecord,
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::users::{ChangePassword, ChangeUser, CreatedCode, MembershipBody, ResetPassword, UserBody},
};

use super::{common_passwords, invites::require_whole_credential, registration::address_taken};
use crate::{
    Caller, Credential, Gateway,
    error::{self, invalid_code},
    names::check_name,
};

/// Time for which a code for another password is valid.
const PASSWORD_RESET_TTL: Duration = Duration::from_secs(3600);
/// Maximum length of a model's name in the preferences, in characters.
const MODEL_NAME_MAX_CHARS: usize = 200;

impl Gateway {
    /// The caller's profile.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn profile(&self, caller: &Caller) -> Result<UserBody, ApiError> {
        self.user_body(caller.user).await
    }

    /// Changes the caller's name, preferences or address.
    ///
    /// # Errors
    /// `invalid_request`; `forbidden` if the password for a change of the address is wrong; `conflict` if another user has the
    /// address.
    #[crate::boxed_future]
    pub async fn change_profile(&self, caller: &Caller, request: ChangeUser) -> Result<UserBody, ApiError> {
        let ChangeUser { name, preferences, email, password } = request;
        let name = name.as_deref().map(check_name).transpose()?;
        if let Some(preferences) = &preferences {
            check_models(&preferences.models)?;
        }
        let email = email.as_deref().map(check_email).transpose();
        let email = email.map_err(|error| ApiError::invalid("email", error.to_string()))?;
        let before = self.profile_record(caller).await?;
        if email.is_some() {
            if before.password_hash.is_none() {
                let message = "you have no address to sign in with; `hearth user create --owner` gives the operator one";
                return Err(ApiError::new(ErrorCode::Conflict, message).at("email"));
            }
            let Some(password) = &password else {
                return Err(ApiError::invalid(
                    "password",
                    "a change of the address needs the present password",
                ));
            };
            self.check_password(&before, password, "password").await?;
        }
        let change = |user: &mut UserRecord| {
            if let Some(name) = &name {
                user.name.clone_from(name);
            }
            if let Some(preferences) = &preferences {
                user.preferences.clone_from(preferences);
            }
            if let Some(email) = &email {
                user.email = Some(email.clone());
            }
            true
        };
        self.0.store.users().change(caller.user, change).await.map_err(address_taken)?;
        self.0.preferences.forget(caller.user);
        self.user_body(caller.user).await
    }

    /// Changes the caller's password, and ends their other logins.
    ///
    /// # Errors
    /// `forbidden` if the present password is wrong, or is absent without a fresh login; `invalid_request` for a bad new one.
    #[crate::boxed_future]
    pub async fn change_password(&self, caller: &Caller, request: ChangePassword) -> Result<(), ApiError> {
        let ChangePassword { current_password, new_password } = request;
        let user = self.confirm(caller, current_password.as_ref(), "current_password").await?;
        if user.email.is_none() {
            let message = "without an address there is no sign-in by a password; you sign in with your identity provider";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        common_passwords::check(&new_password, "new_password")?;
        let hash = self.0.passwords.hash(&new_password).await.map_err(|error| match error.param {
            Some(_) => error.at("new_password"),
            None => error,
        })?;
        let set = |user: &mut UserRecord| {
            user.password_hash = Some(hash.clone());
            user.password_set_at = Some(Timestamp::now());
            true
        };
        self.0.store.users().change(caller.user, set).await.map_err(error::store)?;
        let own = match caller.credential {
            Credential::Login(id) => Some(id),
            _ => None,
        };
        self.0.logins.end_all(caller.user, own).await
    }

    /// Makes a code by which a member of the caller's organisation sets another password.
    ///
    /// # Errors
    /// `not_found` if the organisation has no such member; `forbidden` if the member's role, in any organisation, isn't
    /// covered by the caller's; `conflict` if the member has no address.
    #[crate::boxed_future]
    pub async fn create_password_reset(
        &self,
        caller: &Caller,
        user: UserId,
    ) -> Result<CreatedCode, ApiError> {
        let organisations = self.0.store.organisations();
        let member = organisations.member(caller.organisation, user).await.map_err(error::store)?;
        let member = member.ok_or_else(no_such_user)?;
        if !caller.role.covers(member.role) {
            let message =
                "this member's role may do more than yours; a member whose role covers it can make the code";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        require_whole_credential(caller, member.role)?;
        if !caller.is_operator && self.has_other_organisations(caller.organisation, user).await? {
            let message = "this member belongs to other organisations too; an operator of the gateway can make the code";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        let record = self.0.store.users().get(user).await.map_err(error::store)?.ok_or_else(no_such_user)?;
        let maker = CodeMaker { user: caller.user, organisation: caller.organisation };
        self.create_reset_code(&record, Some(maker)).await
    }

    /// True if a user's password opens another organisation too.
    async fn has_other_organisations(&self, own: OrganisationId, user: UserId) -> Result<bool, ApiError> {
        let all = self.0.store.organisations().of_user(user).await.map_err(error::store)?;
        Ok(all.iter().any(|member| member.organisation != own))
    }

    /// Checks that the maker of a code could make it now: they may have lost their role meanwhile, or the user may have got a
    /// higher one.
    async fn check_maker(&self, code: &OneTimeCodeRecord) -> Result<(), ApiError> {
        let Some(CodeMaker { user, organisation }) = code.maker else { return Ok(()) };
        let (users, organisations) = (self.0.store.users(), self.0.store.organisations());
        let is_operator = self.0.organisations.ensure_operators().await? == organisation;
        let maker = users.get(user).await.map_err(error::store)?;
        let record = organisations.get(organisation).await.map_err(error::store)?.ok_or_else(invalid_code)?;
        let by = organisations.member(organisation, user).await.map_err(error::store)?;
        let of = organisations.member(organisation, code.user).await.map_err(error::store)?;
        let (by, of) = by.zip(of).ok_or_else(invalid_code)?;
        let may_make = maker.is_none_or(|maker| maker.disabled_at.is_none())
            && record.disabled_at.is_none()
            && Action::ManageMembers.permission().is_allowed(by.role, is_operator)
            && by.role.covers(of.role);
        if may_make && (is_operator || !self.has_other_organisations(organisation, code.user).await?) {
            return Ok(());
        }
        Err(invalid_code())
    }

    /// The same for any user, without a caller: for the operator of the data itself.
    ///
    /// # Errors
    /// `not_found`; `conflict` if the user has no address.
    #[crate::boxed_future]
    pub async fn create_password_reset_of(&self, user: UserId) -> Result<CreatedCode, ApiError> {
        let record = self.0.store.users().get(user).await.map_err(error::store)?.ok_or_else(no_such_user)?;
        self.create_reset_code(&record, None).await
    }

    async fn create_reset_code(
        &self,
        user: &UserRecord,
        maker: Option<CodeMaker>,
    ) -> Result<CreatedCode, ApiError> {
        if user.email.is_none() || user.erasure.is_some() {
            let message = "this user has no address to sign in with, so a password would have no use";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let purpose = CodePurpose::PasswordReset;
        self.create_code(CodeKind::PasswordReset, purpose, user.id, PASSWORD_RESET_TTL, maker).await
    }

    /// Sets another password by a code, and ends all logins of the user. Returns the user, and the organisation in which they
    /// act unless they name one.
    ///
    /// # Errors
    /// `forbidden` if the code isn't valid; `invalid_request` for a bad password.
    #[crate::boxed_future]
    pub async fn reset_password(
        &self,
        request: ResetPassword,
        address: Option<IpAddr>,
    ) -> Result<(UserId, Option<OrganisationId>), ApiError> {
        let reset = self.try_reset_password(request).await;
        let user = self.throttle_invalid(reset, address).await?;
        // The password is set, also for a user who is a member of no organisation.
        Ok((user, self.0.logins.choose_organisation(user, None).await.ok()))
    }

    async fn try_reset_password(&self, request: ResetPassword) -> Result<UserId, ApiError> {
        let code = OneTimeCode::parse(CodeKind::PasswordReset, &request.code).ok_or_else(invalid_code)?;
        let codes = self.0.store.one_time_codes();
        let record = codes.by_hash(&code.hash(), CodePurpose::PasswordReset).await.map_err(error::store)?;
        let record = record.ok_or_else(invalid_code)?;
        let before = self.0.store.users().get(record.user).await.map_err(error::store)?;
        let before = before.filter(|user| user.disabled_at.is_none()).ok_or_else(invalid_code)?;
        // A code is worth nothing after the user has set a password by other means.
        if before.password_set_at.is_some_and(|at| at > record.created_at) {
            return Err(invalid_code());
        }
        self.check_maker(&record).await?;
        common_passwords::check(&request.password, "password")?;
        let hash = self.0.passwords.hash(&request.password).await?;
        let after = UserRecord {
            password_hash: Some(hash),
            password_set_at: Some(Timestamp::now()),
            revision: RevisionId::new(),
            ..before.clone()
        };
        match codes.redeem(&record, Some(&before), &after).await {
            Ok(()) => {
                self.0.logins.end_all(after.id, None).await?;
                Ok(after.id)
            }
            Err(StoreError::Conflict) => Err(invalid_code()),
            Err(error) => Err(error::store(error)),
        }
    }

    /// Confirms that the caller is the user themselves: by their password, or by a fresh login if they have none. Returns their
    /// record.
    ///
    /// # Errors
    /// `forbidden` if they aren't.
    pub(super) async fn confirm(
        &self,
        caller: &Caller,
        password: Option<&Secret>,
        param: &str,
    ) -> Result<UserRecord, ApiError> {
        let user = self.profile_record(caller).await?;
        match password {
            Some(password) => self.check_password(&user, password, param).await?,
            None if user.password_hash.is_some() => {
                return Err(ApiError::invalid(param, format!("{param} is needed")));
            }
            None if self.0.logins.is_fresh(caller).await? => {}
            None => {
                let message = "this needs a login of the last few minutes; sign in again, and repeat it";
                return Err(ApiError::new(ErrorCode::Forbidden, message));
            }
        }
        Ok(user)
    }

    async fn check_password(
        &self,
        user: &UserRecord,
        password: &Secret,
        param: &str,
    ) -> Result<(), ApiError> {
        // As at a sign-in: a stolen token allows no faster guesses.
        self.0.throttle.begin_confirmation(user.id).await?;
        if self.0.passwords.verify(password, user.password_hash.clone()).await? {
            return self.0.throttle.succeed_confirmation(user.id).await;
        }
        let message = format!("{param} isn't your present password");
        Err(ApiError::new(ErrorCode::Forbidden, message).at(param))
    }

    /// The caller's record. The operator has none at first, and gets one.
    pub(super) async fn profile_record(&self, caller: &Caller) -> Result<UserRecord, ApiError> {
        let users = self.0.store.users();
        if let Some(user) = users.get(caller.user).await.map_err(error::store)? {
            return Ok(user);
        }
        let user = UserRecord::new(caller.user, "operator");
        match users.create(&user).await {
            Ok(()) => Ok(user),
            Err(StoreError::Conflict) => {
                users.get(caller.user).await.map_err(error::store)?.ok_or_else(no_such_user)
            }
            Err(error) => Err(error::store(error)),
        }
    }

    /// A user, as they see themselves.
    pub(super) async fn user_body(&self, id: UserId) -> Result<UserBody, ApiError> {
        let user = self.0.store.users().get(id).await.map_err(error::store)?;
        let memberships = self.0.store.organisations().of_user(id).await.map_err(error::store)?;
        let (created_at, disabled_at) = match &user {
            Some(user) => (Some(user.created_at.to_string()), user.disabled_at.map(|at| at.to_string())),
            None => (None, None),
        };
        let user = user.unwrap_or_else(|| UserRecord::new(id, "operator"));
        Ok(UserBody {
            id: id.to_string(),
            has_password: user.password_hash.is_some(),
            email: user.email,
            name: user.name,
            preferences: user.preferences,
            memberships: memberships.into_iter().map(membership_body).collect(),
            created_at,
            disabled_at,
        })
    }
}

fn membership_body(member: MemberRecord) -> MembershipBody {
    let MemberRecord { organisation, role, teams, .. } = member;
    let teams = teams.iter().map(ToString::to_string).collect();
    MembershipBody { organisation: organisation.to_string(), role, teams }
}

/// Checks the names of preferred models. Whether a model exists shows when it is chosen: it may come later.
fn check_models(models: &PreferredModels) -> Result<(), ApiError> {
    for (modality, name) in models.named() {
        if name.trim().is_empty()
            || name.chars().count() > MODEL_NAME_MAX_CHARS
            || name.chars().any(char::is_control)
        {
            let param = format!("preferences.models.{modality}");
            let message =
                format!("{param} must be a model's name, with 1 to {MODEL_NAME_MAX_CHARS} characters");
            return Err(ApiError::invalid(param, message));
        }
    }
    Ok(())
}

pub(super) fn no_such_user() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no user with this id")
}
