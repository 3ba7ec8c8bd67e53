//! New users: by an invitation, by an admin, by the operator's bootstrap code, or by open registration.

use std::{net::IpAddr, time::Duration};

use hearth_auth::{CodeKind, OneTimeCode};
use hearth_domain::{MemberRole, OrganisationId, Owner, Secret, Timestamp, UserId, check_email};
use hearth_store::{
    StoreError,
    invites::InviteRecord,
    one_time_codes::{CodeMaker, CodePurpose, OneTimeCodeRecord},
    organisations::{MemberRecord, OrganisationRecord},
    users::UserRecord,
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::users::{CreateUser, CreatedCode, RegisterUser, SetSignIn, UserBody},
};

use super::{common_passwords, invites};
use crate::{
    Caller, Gateway,
    error::{self, invalid_code},
    names::check_name,
};

/// Time for which a bootstrap code is valid.
const BOOTSTRAP_TTL: Duration = Duration::from_secs(15 * 60);
/// Attempts at a transaction while the organisation is changed by others at the same time.
const ATTEMPT_MAX_COUNT: u32 = 8;
/// Registrations by one invitation whose address has an account: then it ends, so that nobody asks by it who has one.
const CONFLICT_MAX_COUNT: u32 = 5;
/// Role of a user who registers without an invitation.
const OPEN_REGISTRATION_ROLE: MemberRole = MemberRole::Developer;

/// Address, name and password of a new user, which have passed their checks.
struct NewSignIn {
    email: String,
    name: String,
    password: Secret,
}

impl Gateway {
    /// Registers a user by a code, or without one if the operator has opened the registration. Returns the user and the
    /// organisation, too.
    ///
    /// # Errors
    /// `rate_limited` after too many registrations from one network; `forbidden` if the code isn't valid, or is for another
    /// address; `invalid_request`; `conflict` if the address has an account already.
    #[crate::boxed_future]
    pub async fn register(
        &self,
        request: RegisterUser,
        address: Option<IpAddr>,
    ) -> Result<(Owner, UserBody), ApiError> {
        self.0.throttle.by_address(address).await?;
        let RegisterUser { code, email, name, password } = request;
        let Some(code) = code else {
            if !self.0.accounts.open_registration {
                let message = "a registration needs the code of an invitation; ask an admin of the organisation for one";
                return Err(ApiError::new(ErrorCode::Forbidden, message).at("code"));
            }
            let sign_in = NewSignIn::check(&email, &name, password)?;
            let organisation = self.0.organisations.ensure_operators().await?;
            return self.create_member(sign_in, organisation, OPEN_REGISTRATION_ROLE, Vec::new()).await;
        };
        if let Some(code) = OneTimeCode::parse(CodeKind::Bootstrap, &code) {
            return self.register_operator(&code, NewSignIn::check(&email, &name, password)?).await;
        }
        // Before the password is hashed: a guess at a code or an address costs a read.
        let invite = self.valid_invite(&code).await?;
        let sign_in = NewSignIn::check(&email, &name, password)?;
        invites::check_address(&invite, &sign_in.email)?;
        let taken = self.0.store.users().id_of_address(&sign_in.email).await.map_err(error::store)?;
        if taken.is_some() {
            let counted = self.0.store.invites().count_conflict(&invite, CONFLICT_MAX_COUNT).await;
            counted.map_err(error::store)?;
            return Err(address_taken(StoreError::Conflict));
        }
        let user = self.new_user(sign_in).await?;
        self.accept(&invite, user.id, Some(&user)).await?;
        let owner = Owner { user: user.id, organisation: invite.organisation };
        Ok((owner, self.user_body(user.id).await?))
    }

    /// Creates a member of the caller's organisation, with a sign-in.
    ///
    /// # Errors
    /// `forbidden` for a role that the caller's doesn't cover; `invalid_request`; `conflict` if the address has an account
    /// already.
    #[crate::boxed_future]
    pub async fn create_user(&self, caller: &Caller, request: CreateUser) -> Result<UserBody, ApiError> {
        let CreateUser { email, name, password, role, teams } = request;
        invites::check_role(caller, role)?;
        let teams = self.teams_of(caller.organisation, &teams).await?;
        let sign_in = NewSignIn::check(&email, &name, password)?;
        Ok(self.create_member(sign_in, caller.organisation, role, teams).await?.1)
    }

    /// Gives the gateway's operator, who has neither, an address and a password.
    ///
    /// # Errors
    /// `forbidden` for another user, and if the credential lacks a scope or a model, or is a token that ends: a sign-in has
    /// every permission of its user; `conflict` if the caller has a sign-in, or another user has the address.
    #[crate::boxed_future]
    pub async fn set_sign_in(&self, caller: &Caller, request: SetSignIn) -> Result<UserBody, ApiError> {
        for scope in hearth_domain::Scope::ALL {
            caller.require_scope(scope)?;
        }
        invites::require_whole_credential(caller, caller.role)?;
        let sign_in = NewSignIn::check(&request.email, &request.name, request.password)?;
        let before = self.0.store.users().get(caller.user).await.map_err(error::store)?;
        if before.as_ref().is_some_and(has_sign_in) {
            let message = "you have a sign-in already; change it with PATCH /v1/users/me and POST /v1/users/me/password";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        // A user of an identity provider would sign in by the password after the provider has removed them.
        if self.operator().await.map_err(error::store)? != caller.user {
            let message = "you sign in with your identity provider; an admin of the organisation can invite you with an address \
                           and a password of its own";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        let new = self.new_user(sign_in).await?;
        match before {
            None => {
                let user = UserRecord { id: caller.user, ..new };
                self.0.store.users().create(&user).await.map_err(address_taken)?;
            }
            Some(_) => {
                let set = |user: &mut UserRecord| {
                    set_sign_in(user, &new);
                    true
                };
                self.0.store.users().change(caller.user, set).await.map_err(address_taken)?;
            }
        }
        self.user_body(caller.user).await
    }

    /// Makes a code by which the operator registers, so that everything of theirs stays theirs. For the operator of the data
    /// itself.
    ///
    /// # Errors
    /// `conflict` if the operator has a sign-in; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn create_bootstrap_code(&self) -> Result<CreatedCode, ApiError> {
        let operator = self.operator().await.map_err(error::store)?;
        let user = self.0.store.users().get(operator).await.map_err(error::store)?;
        if user.as_ref().is_some_and(has_sign_in) {
            let message = "the operator has a sign-in already; make a code for another password with `hearth user \
                           reset-password`";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        self.create_code(CodeKind::Bootstrap, CodePurpose::Bootstrap, operator, BOOTSTRAP_TTL, None).await
    }

    /// Makes and stores a code.
    pub(super) async fn create_code(
        &self,
        kind: CodeKind,
        purpose: CodePurpose,
        user: UserId,
        ttl: Duration,
        maker: Option<CodeMaker>,
    ) -> Result<CreatedCode, ApiError> {
        let code = OneTimeCode::generate(kind);
        let created_at = Timestamp::now();
        let expires_at = created_at.plus(ttl);
        let record = OneTimeCodeRecord { hash: code.hash(), purpose, user, maker, created_at, expires_at };
        self.0.store.one_time_codes().create(&record).await.map_err(error::store)?;
        Ok(CreatedCode { code: code.expose().to_owned(), expires_at: expires_at.to_string() })
    }

    /// Counts an invalid code against the network that it comes from, and refuses further ones.
    pub(super) async fn throttle_invalid<T>(
        &self,
        result: Result<T, ApiError>,
        address: Option<IpAddr>,
    ) -> Result<T, ApiError> {
        if result.as_ref().is_err_and(|error| error.code == ErrorCode::Forbidden) {
            self.0.throttle.by_address(address).await?;
        }
        result
    }

    /// Gives the operator the address and the password of the registration.
    async fn register_operator(
        &self,
        code: &OneTimeCode,
        sign_in: NewSignIn,
    ) -> Result<(Owner, UserBody), ApiError> {
        let codes = self.0.store.one_time_codes();
        let record = codes.by_hash(&code.hash(), CodePurpose::Bootstrap).await.map_err(error::store)?;
        let record = record.ok_or_else(invalid_code)?;
        let before = self.0.store.users().get(record.user).await.map_err(error::store)?;
        if before.as_ref().is_some_and(has_sign_in) {
            return Err(invalid_code());
        }
        let new = self.new_user(sign_in).await?;
        let mut after = before.clone().unwrap_or_else(|| UserRecord { id: record.user, ..new.clone() });
        set_sign_in(&mut after, &new);
        match codes.redeem(&record, before.as_ref(), &after).await {
            Ok(()) => {
                let owner = Owner { user: after.id, organisation: OrganisationId::of_operator(after.id) };
                Ok((owner, self.user_body(after.id).await?))
            }
            Err(StoreError::Conflict) if self.is_taken(&after).await? => {
                Err(address_taken(StoreError::Conflict))
            }
            Err(StoreError::Conflict) => Err(invalid_code()),
            Err(error) => Err(error::store(error)),
        }
    }

    async fn create_member(
        &self,
        sign_in: NewSignIn,
        organisation: OrganisationId,
        role: MemberRole,
        teams: Vec<hearth_domain::TeamId>,
    ) -> Result<(Owner, UserBody), ApiError> {
        if self.0.store.users().id_of_address(&sign_in.email).await.map_err(error::store)?.is_some() {
            return Err(address_taken(StoreError::Conflict));
        }
        let user = self.new_user(sign_in).await?;
        for _ in 0..ATTEMPT_MAX_COUNT {
            let organisation = self.organisation(organisation).await?;
            let member =
                MemberRecord { teams: teams.clone(), ..MemberRecord::new(organisation.id, user.id, role) };
            match self.0.store.invites().create_member(&user, &organisation, &member).await {
                Ok(()) => {
                    let owner = Owner { user: user.id, organisation: organisation.id };
                    return Ok((owner, self.user_body(user.id).await?));
                }
                Err(StoreError::Conflict) if self.is_taken(&user).await? => break,
                // The organisation was changed meanwhile.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
        }
        Err(address_taken(StoreError::Conflict))
    }

    /// Adds the member whom an invitation is for, and stores `new_user` if the member is one.
    pub(super) async fn accept(
        &self,
        invite: &InviteRecord,
        user: UserId,
        new_user: Option<&UserRecord>,
    ) -> Result<(), ApiError> {
        for _ in 0..ATTEMPT_MAX_COUNT {
            let organisation = self.organisation(invite.organisation).await?;
            let member = MemberRecord::new(invite.organisation, user, invite.role);
            let member = MemberRecord { teams: invite.teams.clone(), ..member };
            match self.0.store.invites().accept(invite, &organisation, &member, new_user).await {
                Ok(()) => {
                    self.0.access.forget_callers();
                    return Ok(());
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
            // Another process has used the invitation, has the address, or has changed the organisation.
            if self.0.store.invites().by_hash(&invite.hash).await.map_err(error::store)?.is_none() {
                return Err(invalid_code());
            }
            if let Some(user) = new_user
                && self.is_taken(user).await?
            {
                return Err(address_taken(StoreError::Conflict));
            }
            let organisations = self.0.store.organisations();
            if organisations.member(invite.organisation, user).await.map_err(error::store)?.is_some() {
                let message = "you are a member of this organisation already";
                return Err(ApiError::new(ErrorCode::Conflict, message));
            }
        }
        let message = "the organisation is being changed by others; try again";
        Err(ApiError::new(ErrorCode::Conflict, message))
    }

    /// The organisation with this id. The operator's has no record before the first change of its members.
    pub(super) async fn organisation(&self, id: OrganisationId) -> Result<OrganisationRecord, ApiError> {
        let organisations = self.0.store.organisations();
        if let Some(organisation) = organisations.get(id).await.map_err(error::store)? {
            return Ok(organisation);
        }
        if self.0.organisations.ensure_operators().await? != id {
            return Err(invalid_code());
        }
        organisations.get(id).await.map_err(error::store)?.ok_or_else(invalid_code)
    }

    /// A new user with the hash of the password.
    async fn new_user(&self, sign_in: NewSignIn) -> Result<UserRecord, ApiError> {
        let NewSignIn { email, name, password } = sign_in;
        let password_hash = Some(self.0.passwords.hash(&password).await?);
        let user = UserRecord::new(UserId::new(), name);
        let password_set_at = Some(user.created_at);
        Ok(UserRecord { email: Some(email), password_hash, password_set_at, ..user })
    }

    /// True if another user has the address of `user`.
    async fn is_taken(&self, user: &UserRecord) -> Result<bool, ApiError> {
        let Some(email) = &user.email else { return Ok(false) };
        let owner = self.0.store.users().id_of_address(email).await.map_err(error::store)?;
        Ok(owner.is_some_and(|owner| owner != user.id))
    }
}

impl NewSignIn {
    fn check(email: &str, name: &str, password: Secret) -> Result<Self, ApiError> {
        let email = check_email(email).map_err(|error| ApiError::invalid("email", error.to_string()))?;
        let name = check_name(name)?;
        common_passwords::check(&password, "password")?;
        Ok(Self { email, name, password })
    }
}

fn has_sign_in(user: &UserRecord) -> bool {
    user.email.is_some() || user.password_hash.is_some()
}

fn set_sign_in(user: &mut UserRecord, new: &UserRecord) {
    user.name.clone_from(&new.name);
    user.email.clone_from(&new.email);
    user.password_hash.clone_from(&new.password_hash);
    user.password_set_at = new.password_set_at;
}

pub(super) fn address_taken(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict => {
            let message = "an account with this address exists; sign in with it, and accept the invitation by \
                           POST /v1/users/me/invites/accept";
            ApiError::new(ErrorCode::Conflict, message).at("email")
        }
        error => error::store(error),
    }
}
