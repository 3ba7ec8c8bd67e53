//! Who is calling.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hearth_auth::ApiToken;
use hearth_domain::{Scope, Timestamp, TokenId, UserId};
use hearth_store::tokens::TokenRecord;
use hearth_wire::{ApiError, ErrorCode};

use crate::{Gateway, error};

/// A token is asked for again after this: a revocation elsewhere takes so long to be noticed here.
const CACHED: Duration = Duration::from_secs(60);
/// More tokens than this aren't remembered.
const MAX_CACHED: usize = 10_000;

/// Who is calling, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user whose token it is.
    pub user: UserId,
    /// The token.
    pub token: TokenId,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it ends.
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

/// Tokens seen lately.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<String, (Instant, Arc<TokenRecord>)>>);

impl Cache {
    fn get(&self, hash: &str) -> Option<Arc<TokenRecord>> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, record) = cache.get(hash)?;
        (at.elapsed() < CACHED).then(|| Arc::clone(record))
    }

    fn put(&self, record: TokenRecord) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_CACHED {
            cache.retain(|_, (at, _)| at.elapsed() < CACHED);
        }
        if cache.len() < MAX_CACHED {
            cache.insert(record.hash.clone(), (Instant::now(), Arc::new(record)));
        }
    }

    /// Forgets a token, so that its revocation acts at once here.
    pub(crate) fn forget(&self, hash: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(hash);
    }
}

impl Gateway {
    /// Who has this credential.
    ///
    /// # Errors
    /// `unauthorized` if it isn't one, or isn't valid any more.
    pub async fn authenticate(&self, credential: &str) -> Result<Caller, ApiError> {
        if let Some(known) = self.authenticate_cached(credential) {
            return known;
        }
        let token: ApiToken = credential.parse().map_err(|_| refused())?;
        let record = self.store().tokens().by_hash(&token.hash()).await.map_err(error::store)?;
        let record = record.ok_or_else(refused)?;
        self.0.access.put(record.clone());
        caller(&record)
    }

    /// The same, where it takes no look at the store: for a token that was seen lately, and what is no token at all.
    #[must_use]
    pub fn authenticate_cached(&self, credential: &str) -> Option<Result<Caller, ApiError>> {
        match credential.parse::<ApiToken>() {
            Ok(token) => self.0.access.get(&token.hash()).map(|record| caller(&record)),
            Err(_) => Some(Err(refused())),
        }
    }

    pub(crate) fn forget_token(&self, hash: &str) {
        self.0.access.forget(hash);
    }
}

fn caller(record: &TokenRecord) -> Result<Caller, ApiError> {
    if !record.is_valid(Timestamp::now()) {
        return Err(refused());
    }
    let TokenRecord { id: token, owner: user, ref scopes, expires_at, .. } = *record;
    Ok(Caller { user, token, scopes: scopes.clone(), expires_at })
}

fn refused() -> ApiError {
    ApiError::new(
        ErrorCode::Unauthorized,
        "the API token isn't valid; send one as `Authorization: Bearer hth_...`",
    )
}
