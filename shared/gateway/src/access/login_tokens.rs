//! Callers by access tokens of logins.

use hearth_auth::access_token;
use hearth_domain::{LoginId, ScopeSet, Timestamp};
use hearth_store::{logins::LoginRecord, users::LoginsEnded};
use hearth_wire::{ApiError, ErrorCode};

use super::{Access, Caller, Credential, membership::Membership, signing_keys::invalid_access_token};
use crate::error;

impl Access {
    /// The caller of an access token: the signature is verified here, and the login read, so that its end has effect within
    /// the time for which a caller is cached.
    ///
    /// # Errors
    /// `unauthorized` if it isn't valid, or its login has ended.
    pub(super) async fn caller_of_access_token(&self, token: &str) -> Result<Caller, ApiError> {
        let kid = access_token::read_key_id(token).map_err(|_| invalid_access_token())?;
        let claims = self.signing_keys.verify(token, &kid).await?;
        let login = self.store.logins().get(claims.sid).await.map_err(error::store)?;
        let login = login.filter(|login| {
            login.is_valid(Timestamp::now()) && login.user == claims.sub && login.organisation == claims.org
        });
        let login = login.ok_or_else(login_ended)?;
        let membership = self.membership(login.organisation, login.user).await.map_err(of_login)?;
        if is_ended_with_others(&login, membership.logins_ended) {
            return Err(login_ended());
        }
        let Membership { role, teams, is_operator, regions, .. } = membership;
        Ok(Caller {
            user: login.user,
            organisation: login.organisation,
            role,
            teams,
            is_operator,
            regions,
            credential: Credential::Login(login.id),
            scopes: ScopeSet::ALL,
            models: None,
            record_hash: None,
            expires_at: Some(Timestamp::from_unix(claims.exp)),
        })
    }
}

impl Access {
    /// True if a login has ended since its caller was authenticated. A store that fails counts as no.
    pub(super) async fn is_login_ended(&self, id: LoginId) -> bool {
        match self.store.logins().get(id).await {
            Ok(login) => login.is_none_or(|login| login.ended_at.is_some()),
            Err(error) => {
                tracing::warn!(%error, "the login of a run can't be read again");
                false
            }
        }
    }
}

/// Returns whether a login has ended because all logins of its user have.
pub(crate) fn is_ended_with_others(login: &LoginRecord, ended: Option<LoginsEnded>) -> bool {
    ended.is_some_and(|ended| login.created_at <= ended.at && ended.except != Some(login.id))
}

/// The error of a login whose user is no member any longer.
pub(crate) fn of_login(error: ApiError) -> ApiError {
    if error.code == ErrorCode::Unauthorized { login_ended() } else { error }
}

pub(crate) fn login_ended() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "the login has ended; sign in again")
}

#[cfg(test)]
mod tests {
    use hearth_domain::{OrganisationId, UserId};

    use super::*;

    #[test]
    fn end_of_all_logins_ends_those_opened_before_but_one() {
        let login = |created_at: i64| LoginRecord {
            id: LoginId::new(),
            user: UserId::new(),
            organisation: OrganisationId::new(),
            method: "password".to_owned(),
            client: None,
            address: None,
            created_at: Timestamp::from_unix(created_at),
            refreshed_at: Timestamp::from_unix(created_at),
            expires_at: Timestamp::from_unix(1 << 40),
            refresh_hash: String::new(),
            previous_hash: String::new(),
            nonce: String::new(),
            tag_key: String::new(),
            ended_at: None,
            end_reason: None,
        };
        let (before, at, after) = (login(99), login(100), login(101));
        let ended = |except| Some(LoginsEnded { at: Timestamp::from_unix(100), except });
        assert!(is_ended_with_others(&before, ended(None)) && is_ended_with_others(&at, ended(None)));
        assert!(!is_ended_with_others(&after, ended(None)) && !is_ended_with_others(&before, None));
        assert!(!is_ended_with_others(&before, ended(Some(before.id))));
        assert!(is_ended_with_others(&before, ended(Some(at.id))));
    }
}
