//! Logins: sign-in by a password, refresh tokens, and the end of a login.
//!
//! A refresh token is valid once. Its replacement follows from its text and a stored nonce, so a client that lost the response
//! gets the same replacement again, for a minute. Any other use of an old token ends the login: the token was copied.

mod sign_in;

use std::{net::IpAddr, sync::Arc, time::Duration};

use hearth_auth::{RefreshToken, access_token::ACCESS_TOKEN_TTL, refresh_token::new_nonce};
use hearth_domain::{LoginId, MemberRole, OrganisationId, Secret, Timestamp, UserId};
use hearth_store::{
    Store, StoreError,
    logins::{LoginRecord, Rotation},
    users::LoginsEnded,
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::logins::{LoginBody, LoginItem, LoginList},
};

use super::{passwords::Passwords, throttle::Throttle};
use crate::{
    access::{
        Access, Caller, Credential,
        login_tokens::{is_ended_with_others, login_ended, of_login},
        signing_keys::SigningKeys,
    },
    error,
};

/// Time after its last use for which a refresh token is valid.
const REFRESH_TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// Time after the sign-in at which a login ends, however often it was used.
const LOGIN_MAX_TTL: Duration = Duration::from_secs(180 * 24 * 3600);
/// The same after a sign-in at an identity provider: a user who was removed there has no access after it.
const EXTERNAL_LOGIN_MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Time after a replacement in which the replaced token gets the same replacement again.
const REPLACED_TOKEN_GRACE: Duration = Duration::from_secs(60);
/// Age up to which a login counts as a recent sign-in.
const FRESH_LOGIN_TTL: Duration = Duration::from_secs(600);
/// Reads and writes of a login that other requests change at the same time.
const CHANGE_ATTEMPT_MAX_COUNT: usize = 5;
/// Limit of the characters of a client's name.
const CLIENT_MAX_CHARS: usize = 200;

/// The way in which a user signed in.
#[derive(Debug, Clone, Default)]
pub struct LoginOrigin {
    /// `password`, or the name of the identity provider.
    pub method: String,
    /// The client, as it named itself.
    pub client: Option<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// The logins.
#[derive(Debug)]
pub struct Logins {
    store: Store,
    access: Arc<Access>,
    signing_keys: Arc<SigningKeys>,
    passwords: Arc<Passwords>,
    throttle: Arc<Throttle>,
}

impl Logins {
    pub(crate) fn new(
        store: Store,
        access: Arc<Access>,
        signing_keys: Arc<SigningKeys>,
        passwords: Arc<Passwords>,
        throttle: Arc<Throttle>,
    ) -> Self {
        Self { store, access, signing_keys, passwords, throttle }
    }

    /// Opens a login of a user who has signed in.
    ///
    /// # Errors
    /// `unauthorized` if the user is no member of the organisation; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn open(
        &self,
        user: UserId,
        organisation: OrganisationId,
        origin: LoginOrigin,
    ) -> Result<LoginBody, ApiError> {
        self.open_since(user, organisation, origin, Timestamp::now()).await
    }

    /// Opens a login of a sign-in that began at `began`: a change of the password since then ends it.
    async fn open_since(
        &self,
        user: UserId,
        organisation: OrganisationId,
        origin: LoginOrigin,
        began: Timestamp,
    ) -> Result<LoginBody, ApiError> {
        let tag_key = new_nonce();
        let id = LoginId::new();
        let token = RefreshToken::generate(id, &tag_key);
        let client = origin.client.map(|client| {
            client.chars().filter(|character| !character.is_control()).take(CLIENT_MAX_CHARS).collect()
        });
        let expires_at = began.plus(REFRESH_TOKEN_TTL.min(max_ttl(&origin.method)));
        let login = LoginRecord {
            id,
            user,
            organisation,
            method: origin.method,
            client,
            address: origin.address.map(|address| address.to_string()),
            created_at: began,
            refreshed_at: began,
            expires_at,
            refresh_hash: token.hash(),
            previous_hash: String::new(),
            nonce: String::new(),
            tag_key,
            ended_at: None,
            end_reason: None,
        };
        self.store.logins().create(&login).await.map_err(error::store)?;
        // The membership is read after the login is stored, so that an end of all logins is seen by one of the two.
        let role = self.role(&login).await?;
        self.body(&login, &token, role).await
    }

    /// Replaces a refresh token, and returns a new access token.
    ///
    /// # Errors
    /// `unauthorized` if the token isn't valid, or the user is no member any longer.
    #[crate::boxed_future]
    pub async fn refresh(&self, text: &Secret) -> Result<LoginBody, ApiError> {
        let token: RefreshToken = text.expose().parse().map_err(|_| invalid_refresh_token())?;
        let hash = token.hash();
        for _ in 0..CHANGE_ATTEMPT_MAX_COUNT {
            let now = Timestamp::now();
            let login = self.store.logins().get(token.login()).await.map_err(error::store)?;
            let login = login.filter(|login| login.is_valid(now)).ok_or_else(login_ended)?;
            if hash == login.previous_hash && now < login.refreshed_at.plus(REPLACED_TOKEN_GRACE) {
                let role = self.role(&login).await?;
                return self.body(&login, &token.successor(&login.nonce, &login.tag_key), role).await;
            }
            if hash != login.refresh_hash {
                return Err(self.refuse_replaced(&login, &token).await?);
            }
            self.check_provider(&login)?;
            let end = login.created_at.plus(max_ttl(&login.method));
            // A login of before the limit may have a later end.
            if end <= now {
                return Err(login_ended());
            }
            // Before the replacement: a user who is no member has the old token afterwards, for the time when they are.
            let role = self.role(&login).await?;
            let nonce = new_nonce();
            let next = token.successor(&nonce, &login.tag_key);
            let rotation = Rotation {
                from_hash: hash.clone(),
                to_hash: next.hash(),
                nonce,
                at: now,
                expires_at: now.plus(REFRESH_TOKEN_TTL).min(end),
            };
            match self.store.logins().rotate(&login, &rotation).await {
                Ok(()) => {
                    let login = LoginRecord { expires_at: rotation.expires_at, ..login };
                    return self.body(&login, &next, role).await;
                }
                // Another request has replaced it, or ended the login.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
        }
        let message = "the login is being changed by other requests; try again";
        Err(ApiError::new(ErrorCode::Overloaded, message))
    }

    /// The valid logins of the caller's user.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list(&self, caller: &Caller) -> Result<LoginList, ApiError> {
        let now = Timestamp::now();
        let logins = self.store.logins().of(caller.user).await.map_err(error::store)?;
        let user = self.store.users().get(caller.user).await.map_err(error::store)?;
        let ended = user.and_then(|user| user.logins_ended);
        let is_valid = |login: &LoginRecord| login.is_valid(now) && !is_ended_with_others(login, ended);
        let own = login_of(caller);
        let logins = logins.into_iter().filter(is_valid).map(|login| item(login, own)).collect();
        Ok(LoginList { logins })
    }

    /// Ends the login that the caller's request was sent with.
    ///
    /// # Errors
    /// `invalid_request` if it was sent with another credential.
    #[crate::boxed_future]
    pub async fn end_own(&self, caller: &Caller) -> Result<(), ApiError> {
        let Some(id) = login_of(caller) else {
            let message =
                "this request wasn't sent with a login's access token; send one, or `everywhere: true`";
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        };
        self.end_one(id, "logout").await
    }

    /// Ends a login of the caller's user.
    ///
    /// # Errors
    /// `not_found` if the user has no such login.
    #[crate::boxed_future]
    pub async fn end(&self, caller: &Caller, id: LoginId) -> Result<(), ApiError> {
        let login = self.store.logins().get(id).await.map_err(error::store)?;
        let is_own = login.is_some_and(|login| login.user == caller.user && login.is_valid(Timestamp::now()));
        if !is_own {
            return Err(ApiError::new(ErrorCode::NotFound, "there is no login with this id"));
        }
        self.end_one(id, "ended by its user").await
    }

    /// Ends every login of a user, but the one of `except`.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn end_all(&self, user: UserId, except: Option<LoginId>) -> Result<(), ApiError> {
        let at = Timestamp::now();
        let ended = LoginsEnded { at, except };
        // The user's record is read with each login, and isn't late as the list of logins may be.
        let users = self.store.users();
        let change = users.change(user, |user| {
            user.logins_ended = Some(ended);
            true
        });
        change.await.map_err(error::store)?;
        for login in self.store.logins().of(user).await.map_err(error::store)? {
            if login.ended_at.is_none() && login.created_at <= at && Some(login.id) != except {
                self.store.logins().end(login.id, "all logins ended", at).await.map_err(error::store)?;
                self.access.end_credential(Credential::Login(login.id));
            }
        }
        self.access.forget_callers();
        Ok(())
    }

    /// True if the caller has signed in a short time ago: the request's login was opened then, and not only refreshed.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn is_fresh(&self, caller: &Caller) -> Result<bool, ApiError> {
        let Some(id) = login_of(caller) else { return Ok(false) };
        let login = self.store.logins().get(id).await.map_err(error::store)?;
        Ok(login.is_some_and(|login| Timestamp::now() < login.created_at.plus(FRESH_LOGIN_TTL)))
    }

    async fn end_one(&self, id: LoginId, reason: &str) -> Result<(), ApiError> {
        self.store.logins().end(id, reason, Timestamp::now()).await.map_err(error::store)?;
        self.access.end_credential(Credential::Login(id));
        Ok(())
    }

    /// The error for a token that isn't the login's present one. An old token was copied: its login ends.
    async fn refuse_replaced(&self, login: &LoginRecord, token: &RefreshToken) -> Result<ApiError, ApiError> {
        if !token.is_genuine(&login.tag_key) {
            return Ok(invalid_refresh_token());
        }
        tracing::warn!(login = %login.id, user = %login.user, "a replaced refresh token was used; its login is ended");
        self.end_one(login.id, "a replaced refresh token was used").await?;
        let message = "this refresh token was replaced before, so it may have been copied, and its login has ended; \
                       sign in again";
        Ok(ApiError::new(ErrorCode::Unauthorized, message))
    }

    /// Refuses a login by an identity provider that the settings no longer have.
    fn check_provider(&self, login: &LoginRecord) -> Result<(), ApiError> {
        if login.method == sign_in::METHOD || self.access.has_sign_in_provider(&login.method) {
            Ok(())
        } else {
            Err(login_ended())
        }
    }

    /// The present role of a login's user.
    ///
    /// # Errors
    /// `unauthorized` if the user is no member any longer, or has ended all logins.
    async fn role(&self, login: &LoginRecord) -> Result<MemberRole, ApiError> {
        let membership = self.access.membership(login.organisation, login.user).await.map_err(of_login)?;
        let is_ended = is_ended_with_others(login, membership.logins_ended);
        if is_ended { Err(login_ended()) } else { Ok(membership.role) }
    }

    /// The tokens of a login.
    async fn body(
        &self,
        login: &LoginRecord,
        token: &RefreshToken,
        role: MemberRole,
    ) -> Result<LoginBody, ApiError> {
        let access_token = self.signing_keys.sign(login.user, login.organisation, login.id).await?;
        Ok(LoginBody {
            access_token,
            token_type: "Bearer".to_owned(),
            expires_in: ACCESS_TOKEN_TTL.as_secs(),
            refresh_token: Secret::new(token.expose()),
            refresh_expires_at: login.expires_at.to_string(),
            login: login.id,
            user: login.user,
            organisation: login.organisation,
            role,
        })
    }
}

/// Time after the sign-in at which a login of this method ends.
fn max_ttl(method: &str) -> Duration {
    if method == sign_in::METHOD { LOGIN_MAX_TTL } else { EXTERNAL_LOGIN_MAX_TTL }
}

fn login_of(caller: &Caller) -> Option<LoginId> {
    match caller.credential {
        Credential::Login(id) => Some(id),
        _ => None,
    }
}

fn item(login: LoginRecord, own: Option<LoginId>) -> LoginItem {
    LoginItem {
        id: login.id.to_string(),
        current: own == Some(login.id),
        method: login.method,
        organisation: login.organisation.to_string(),
        client: login.client,
        address: login.address,
        created_at: login.created_at.to_string(),
        refreshed_at: login.refreshed_at.to_string(),
        expires_at: login.expires_at.to_string(),
    }
}

fn invalid_refresh_token() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "the refresh token isn't valid; sign in again")
}
