//! Creates, lists and revokes API tokens.

use std::time::Duration;

use hearth_auth::ApiToken;
use hearth_domain::{Scope, Timestamp, TokenId, UserId};
use hearth_store::tokens::TokenRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    native::tokens::{CreateToken, TokenBody},
};

use super::{Access, Caller};
use crate::error;

/// Name of the token that a gateway at home issues for the commands on its machine. It ends with the process, so it
/// doesn't count as a token that could replace another one.
pub const COMMANDS_TOKEN_NAME: &str = "commands on this machine";

const NAME_MAX_CHARS: usize = 100;
const LIFETIME_MAX_DAYS: u32 = 3650;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Access {
    /// Creates a token for the caller. Its text is in the response, and nowhere else. It ends when the caller's token
    /// does, unless `request` says sooner.
    ///
    /// # Errors
    /// `invalid_request`; `forbidden` for a scope that the caller lacks, and for an end after the caller's.
    pub async fn create_token(
        &self,
        caller: &Caller,
        request: CreateToken,
    ) -> Result<(ApiToken, TokenRecord), ApiError> {
        let scopes = request.scopes.unwrap_or_else(|| Scope::DEFAULT.to_vec());
        for scope in &scopes {
            caller.require(*scope)?;
        }
        let expires_at = end_after(request.expires_in_days)?.or(caller.expires_at);
        if outlives(expires_at, caller.expires_at) {
            let end = caller.expires_at.map(|at| at.to_string()).unwrap_or_default();
            let message = format!(
                "this token ends at {end}, and makes none that ends later; leave expires_in_days out for the same end"
            );
            return Err(ApiError::new(ErrorCode::Forbidden, message).at("expires_in_days"));
        }
        self.issue_token(caller.user, &request.name, scopes, expires_at).await
    }

    /// Creates a token for a user without a caller's token: for the operator of the data itself.
    ///
    /// # Errors
    /// `invalid_request` for a bad name, or no scope.
    pub async fn issue_token(
        &self,
        owner: UserId,
        name: &str,
        scopes: Vec<Scope>,
        expires_at: Option<Timestamp>,
    ) -> Result<(ApiToken, TokenRecord), ApiError> {
        if name.trim().is_empty()
            || name.chars().count() > NAME_MAX_CHARS
            || name.chars().any(char::is_control)
        {
            let message = format!(
                "name must have 1 to {NAME_MAX_CHARS} characters, and no line breaks or other control characters"
            );
            return Err(ApiError::invalid("name", message));
        }
        // Each scope once, in one order.
        let scopes: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| scopes.contains(scope)).collect();
        if scopes.is_empty() {
            return Err(ApiError::invalid("scopes", "a token needs at least one scope"));
        }
        let token = ApiToken::generate();
        let record = TokenRecord {
            id: TokenId::new(),
            hash: token.hash(),
            owner,
            name: name.to_owned(),
            prefix: token.prefix().to_owned(),
            scopes,
            created_at: Timestamp::now(),
            expires_at,
            revoked_at: None,
        };
        self.store.tokens().create(&record).await.map_err(error::store)?;
        Ok((token, record))
    }

    /// A user's tokens, oldest first.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub async fn list_tokens(&self, user: UserId) -> Result<Vec<TokenRecord>, ApiError> {
        self.store.tokens().of(user).await.map_err(error::store)
    }

    /// Revokes a token of the caller's user: the caller's own, or one that the caller could have created. In this
    /// process that has effect at once.
    ///
    /// # Errors
    /// `not_found` if the user has no such token; `forbidden` if it may do more than the caller, or ends later;
    /// `conflict` if no other token with every scope would be left for as long.
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<(), ApiError> {
        // Of two requests that revoke the last two tokens at the same time, one sees the other's change.
        let _revoking = self.revoking.lock().await;
        let tokens = self.list_tokens(caller.user).await?;
        let revoked = tokens.iter().find(|token| token.id == id).ok_or_else(no_such_token)?;
        let is_own = id == caller.token;
        if let Some(scope) = revoked.scopes.iter().find(|scope| !caller.scopes.contains(scope) && !is_own) {
            let message = format!(
                "the token {id} has the scope {:?}, which this one lacks; revoke it with a token that has it",
                scope.as_str()
            );
            return Err(ApiError::new(ErrorCode::Forbidden, message).with("scope", scope.as_str()));
        }
        if outlives(revoked.expires_at, caller.expires_at) && !is_own {
            let message = format!(
                "the token {id} ends later than this one; revoke it with a token that ends no sooner than it"
            );
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        if is_last_full(revoked, &tokens, Timestamp::now()) {
            let message = format!(
                "the token {id} is the last one that has every scope, and nothing could be managed without it; \
                 make another one with every scope first"
            );
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        self.revoke_token_of(caller.user, id).await
    }

    /// Revokes a user's token without a caller's token: for the operator of the data itself.
    ///
    /// # Errors
    /// `not_found` if the user has no such token.
    pub async fn revoke_token_of(&self, user: UserId, id: TokenId) -> Result<(), ApiError> {
        let revoked = self.store.tokens().revoke(user, id, Timestamp::now()).await.map_err(error::store)?;
        self.cache.remove(revoked.ok_or_else(no_such_token)?.hash.as_str());
        Ok(())
    }
}

/// The end of a token that is created now; none if it never ends.
///
/// # Errors
/// `invalid_request` for a number of days that isn't 1 to 3650.
pub fn end_after(days: Option<u32>) -> Result<Option<Timestamp>, ApiError> {
    if days.is_some_and(|days| !(1..=LIFETIME_MAX_DAYS).contains(&days)) {
        let message = format!("expires_in_days must be 1 to {LIFETIME_MAX_DAYS}");
        return Err(ApiError::invalid("expires_in_days", message));
    }
    Ok(days.map(|days| Timestamp::now().plus(DAY * days)))
}

fn no_such_token() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no token with this id")
}

/// True if `end` is later than `other`. None stands for no end.
fn outlives(end: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    other.is_some_and(|other| end.is_none_or(|end| end > other))
}

/// True if `token` has every scope, and no other valid one of `tokens` has for as long.
fn is_last_full(token: &TokenRecord, tokens: &[TokenRecord], now: Timestamp) -> bool {
    let is_full = |token: &TokenRecord| {
        token.is_valid(now)
            && token.name != COMMANDS_TOKEN_NAME
            && Scope::ALL.iter().all(|scope| token.scopes.contains(scope))
    };
    let is_spare = |other: &TokenRecord| {
        other.id != token.id && is_full(other) && !outlives(token.expires_at, other.expires_at)
    };
    is_full(token) && !tokens.iter().any(is_spare)
}

/// A token's record as its owner sees it.
#[must_use]
pub fn token_body(record: TokenRecord) -> TokenBody {
    TokenBody {
        id: record.id.to_string(),
        name: record.name,
        prefix: record.prefix,
        scopes: record.scopes,
        created_at: record.created_at.to_string(),
        expires_at: record.expires_at.map(|at| at.to_string()),
        revoked_at: record.revoked_at.map(|at| at.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(scopes: &[Scope], expires_at: Option<i64>) -> TokenRecord {
        TokenRecord {
            id: TokenId::new(),
            hash: String::new(),
            owner: UserId::new(),
            name: "t".to_owned(),
            prefix: String::new(),
            scopes: scopes.to_vec(),
            created_at: Timestamp::from_unix(0),
            expires_at: expires_at.map(Timestamp::from_unix),
            revoked_at: None,
        }
    }

    #[test]
    fn last_full_token_is_the_one_without_a_spare() {
        let now = Timestamp::from_unix(100);
        let full = || token(&Scope::ALL, None);
        let is_last = |first: TokenRecord, others: &[TokenRecord]| {
            let tokens = [std::slice::from_ref(&first), others].concat();
            is_last_full(&first, &tokens, now)
        };
        assert!(is_last(full(), &[]));
        assert!(is_last(full(), &[token(&Scope::DEFAULT, None)]));
        assert!(is_last(full(), &[token(&Scope::ALL, Some(200))]), "the spare ends sooner");
        let commands = || TokenRecord { name: COMMANDS_TOKEN_NAME.to_owned(), ..full() };
        assert!(is_last(full(), &[commands()]), "the spare ends with the process");
        assert!(!is_last(commands(), &[]));
        assert!(is_last(full(), &[TokenRecord { revoked_at: Some(now), ..full() }]));
        assert!(is_last(token(&Scope::ALL, Some(200)), &[token(&Scope::ALL, Some(99))]));
        assert!(!is_last(full(), &[full()]));
        assert!(!is_last(token(&Scope::ALL, Some(200)), &[token(&Scope::ALL, Some(200))]));
        assert!(!is_last(token(&Scope::DEFAULT, None), &[]));
        assert!(!is_last(token(&Scope::ALL, Some(99)), &[]), "it has ended");
    }

    #[test]
    fn no_end_outlives_every_end() {
        let at = |second| Some(Timestamp::from_unix(second));
        assert!(outlives(None, at(5)) && outlives(at(6), at(5)));
        assert!(
            !outlives(at(5), at(5))
                && !outlives(at(4), at(5))
                && !outlives(at(5), None)
                && !outlives(None, None)
        );
    }
}
