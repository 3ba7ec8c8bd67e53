//! Making and revoking API tokens.

use std::time::Duration;

use hearth_auth::ApiToken;
use hearth_domain::{Scope, Timestamp, TokenId, UserId};
use hearth_store::tokens::TokenRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    native::tokens::{CreateToken, TokenBody},
};

use crate::{Caller, Gateway, error};

const MAX_NAME: usize = 100;
const MAX_DAYS: u32 = 3650;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Gateway {
    /// Makes a token for the caller. Its text is in the answer, and nowhere else.
    ///
    /// # Errors
    /// `invalid_request`; `forbidden` for a scope that the caller lacks.
    pub async fn create_token(
        &self,
        caller: &Caller,
        ask: CreateToken,
    ) -> Result<(ApiToken, TokenRecord), ApiError> {
        let scopes = ask.scopes.unwrap_or_else(|| Scope::DEFAULT.to_vec());
        if scopes.is_empty() {
            return Err(ApiError::invalid("scopes", "a token needs at least one scope"));
        }
        for scope in &scopes {
            caller.require(*scope)?;
        }
        let days = ask.expires_in_days;
        if days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
            return Err(ApiError::invalid(
                "expires_in_days",
                format!("expires_in_days must be 1 to {MAX_DAYS}"),
            ));
        }
        let expires_at = days.map(|days| Timestamp::now().plus(DAY * days));
        self.issue_token(caller.user, &ask.name, scopes, expires_at).await
    }

    /// Makes a token for a user, with no caller to ask: for the operator of the data itself.
    ///
    /// # Errors
    /// `invalid_request` for a bad name.
    pub async fn issue_token(
        &self,
        owner: UserId,
        name: &str,
        scopes: Vec<Scope>,
        expires_at: Option<Timestamp>,
    ) -> Result<(ApiToken, TokenRecord), ApiError> {
        if name.trim().is_empty() || name.chars().count() > MAX_NAME {
            return Err(ApiError::invalid("name", format!("name must have 1 to {MAX_NAME} characters")));
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
        self.store().tokens().create(&record).await.map_err(error::store)?;
        Ok((token, record))
    }

    /// A user's tokens, oldest first.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub async fn list_tokens(&self, user: UserId) -> Result<Vec<TokenRecord>, ApiError> {
        self.store().tokens().of(user).await.map_err(error::store)
    }

    /// Revokes a user's token. In this process it acts at once.
    ///
    /// # Errors
    /// `not_found` if the user has no such token.
    pub async fn revoke_token(&self, user: UserId, id: TokenId) -> Result<(), ApiError> {
        let revoked = self.store().tokens().revoke(user, id, Timestamp::now()).await.map_err(error::store)?;
        let record =
            revoked.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no token with this id"))?;
        self.forget_token(&record.hash);
        Ok(())
    }
}

/// A token's record as its owner sees it.
#[must_use]
pub fn shown(record: TokenRecord) -> TokenBody {
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
