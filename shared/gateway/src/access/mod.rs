//! Callers, and the API tokens by which they are known.

pub mod tokens;

use std::{sync::Arc, time::Duration};

use hearth_auth::ApiToken;
use hearth_domain::{Scope, Timestamp, TokenId, UserId};
use hearth_store::{Store, tokens::TokenRecord};
use hearth_wire::{ApiError, ErrorCode};

use crate::{error, timed_cache::TimedCache};

/// Age at which a cached token is read again: a revocation in another process has effect here after this time.
const TOKEN_TTL: Duration = Duration::from_secs(60);
/// Limit of the number of cached tokens.
const TOKEN_MAX_COUNT: usize = 10_000;

/// The caller of a request, and their permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user who owns the token.
    pub user: UserId,
    /// The token.
    pub token: TokenId,
    /// Its permissions.
    pub scopes: Vec<Scope>,
    /// The time at which it ends.
    pub expires_at: Option<Timestamp>,
}

impl Caller {
    /// Checks a permission.
    ///
    /// # Errors
    /// `forbidden`, naming the scope.
    pub fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let message = format!("this token lacks the scope {:?}; make one that has it", scope.as_str());
        Err(ApiError::new(ErrorCode::Forbidden, message).with("scope", scope.as_str()))
    }
}

/// The API tokens, cached for a minute.
#[derive(Debug)]
pub struct Access {
    store: Store,
    /// Tokens by their hashes.
    cache: TimedCache<String, Arc<TokenRecord>>,
    /// Held while a token is revoked.
    revoking: tokio::sync::Mutex<()>,
}

impl Access {
    pub(crate) fn new(store: Store) -> Self {
        let cache = TimedCache::new(TOKEN_TTL, TOKEN_MAX_COUNT);
        Self { store, cache, revoking: tokio::sync::Mutex::default() }
    }

    /// The caller whose credential this is.
    ///
    /// # Errors
    /// `unauthorized` if it isn't a token, or no longer valid.
    pub(crate) async fn authenticate(&self, credential: &str) -> Result<Caller, ApiError> {
        if let Some(result) = self.authenticate_cached(credential) {
            return result;
        }
        let token: ApiToken = credential.parse().map_err(|_| unauthorized())?;
        let record = self.store.tokens().by_hash(&token.hash()).await.map_err(error::store)?;
        let record = Arc::new(record.ok_or_else(unauthorized)?);
        self.cache.put(record.hash.clone(), Arc::clone(&record));
        caller(&record)
    }

    /// The same from the cache alone; `None` for a token that isn't there.
    pub(crate) fn authenticate_cached(&self, credential: &str) -> Option<Result<Caller, ApiError>> {
        match credential.parse::<ApiToken>() {
            Ok(token) => self.cache.get(token.hash().as_str()).map(|record| caller(&record)),
            Err(_) => Some(Err(unauthorized())),
        }
    }
}

fn caller(record: &TokenRecord) -> Result<Caller, ApiError> {
    if !record.is_valid(Timestamp::now()) {
        return Err(unauthorized());
    }
    let TokenRecord { id: token, owner: user, ref scopes, expires_at, .. } = *record;
    Ok(Caller { user, token, scopes: scopes.clone(), expires_at })
}

fn unauthorized() -> ApiError {
    ApiError::new(
        ErrorCode::Unauthorized,
        "the API token isn't valid; send one as `Authorization: Bearer hth_...`",
    )
}
