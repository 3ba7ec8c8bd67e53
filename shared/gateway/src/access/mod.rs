//! Callers, and the API tokens by which they are known.

pub mod access_keys;
mod caller;
pub(crate) mod issuers;
mod last_use;
pub(crate) mod login_tokens;
mod membership;
mod renewal;
pub mod signing_keys;
mod token_rules;
pub mod tokens;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use hearth_auth::{AccessKey, ApiToken, issuer::ISSUER_TOKEN_MAX_BYTES, sha256};
use hearth_domain::{OrganisationId, Scope, ScopeSet, Secret, Timestamp, TokenId};
use hearth_store::{Store, access_keys::AccessKeyRecord, tokens::TokenRecord};
use hearth_wire::{ApiError, ErrorCode};
use tokio::sync::{
    Mutex, OnceCell,
    broadcast::{self, error::RecvError},
};

use crate::{
    background::Background,
    error,
    read_cache::{ReadCache, ReadCacheLimits},
    timed_cache::TimedCache,
};

use issuers::Issuers;
use last_use::USE_RECORD_INTERVAL;
pub(crate) use membership::Membership;
use signing_keys::SigningKeys;

pub use caller::{Caller, Credential};

/// Limit of the number of cached callers.
const CALLER_MAX_COUNT: usize = 10_000;
/// A cached caller is read again after ten seconds: where processes share the store, a revocation in another one has effect then. A
/// process that is alone with its store has its own revocations, which end the cached callers.
const CALLER_LIMITS: ReadCacheLimits = ReadCacheLimits {
    ttl: Duration::from_secs(10),
    max_stale_age: Duration::from_secs(60),
    max_count: CALLER_MAX_COUNT,
};
/// Time after a revocation within which a run of an earlier request may start.
const ENDED_TTL: Duration = Duration::from_secs(60);
/// Limit of the revoked credentials that a run which isn't polled meanwhile still receives.
const ENDED_MAX_COUNT: usize = 1024;

/// The callers, cached.
#[derive(Debug)]
pub struct Access {
    store: Store,
    /// The identity providers of the settings.
    issuers: Issuers,
    /// The keys of access tokens.
    signing_keys: Arc<SigningKeys>,
    background: Background,
    /// Callers by the SHA-256 of their credentials.
    callers: ReadCache<[u8; 32], Arc<Caller>>,
    /// The credentials whose use was recorded within the hour.
    recorded_uses: TimedCache<Credential, ()>,
    /// The organisation of the gateway's operator, which never changes.
    operators: OnceCell<OrganisationId>,
    /// The credentials that were revoked in this process within the minute.
    ended_lately: TimedCache<Credential, ()>,
    /// Sends the credentials that are revoked in this process.
    ended: broadcast::Sender<Credential>,
    /// Held while a token is revoked.
    revoking: Mutex<()>,
    /// The token of the commands on this machine, in the process that serves them.
    commands_token: OnceLock<TokenId>,
}

impl Access {
    pub(crate) fn new(
        store: Store,
        issuers: Issuers,
        signing_keys: Arc<SigningKeys>,
        background: Background,
    ) -> Self {
        let callers = ReadCache::new(CALLER_LIMITS, background);
        let recorded_uses = TimedCache::new(USE_RECORD_INTERVAL, CALLER_MAX_COUNT);
        let (operators, revoking) = (OnceCell::new(), Mutex::default());
        let ended = broadcast::Sender::new(ENDED_MAX_COUNT);
        Self {
            store,
            issuers,
            signing_keys,
            background,
            callers,
            recorded_uses,
            operators,
            ended_lately: TimedCache::new(ENDED_TTL, CALLER_MAX_COUNT),
            ended,
            revoking,
            commands_token: OnceLock::new(),
        }
    }

    /// The caller whose credential this is.
    ///
    /// # Errors
    /// `unauthorized` if it isn't a token, or no longer valid.
    pub(crate) async fn authenticate(self: &Arc<Self>, credential: &str) -> Result<Caller, ApiError> {
        if let Some(result) = self.authenticate_cached(credential) {
            return result;
        }
        let read = || async { Ok(Arc::new(self.read_caller(credential).await?)) };
        let caller = self.callers.read(sha256(credential.as_bytes()), read).await?;
        Ok(Caller::clone(&caller))
    }

    async fn read_caller(&self, credential: &str) -> Result<Caller, ApiError> {
        if let Some((provider, token)) = self.issuers.of_token(credential) {
            return self.caller_of_issuer(credential, &provider, &token).await;
        }
        if is_jwt(credential) {
            return self.caller_of_access_token(credential).await;
        }
        if let Ok(key) = credential.parse::<AccessKey>() {
            let record = self.store.access_keys().by_hash(&key.hash()).await.map_err(error::store)?;
            let record = record.filter(|record| record.is_valid(Timestamp::now()));
            return self.caller_of_access_key(record.ok_or_else(unauthorized)?).await;
        }
        let token: ApiToken = credential.parse().map_err(|_| unauthorized())?;
        let record = self.store.tokens().by_hash(&token.hash()).await.map_err(error::store)?;
        let record = record.filter(|record| record.is_valid(Timestamp::now()));
        self.caller_of_token(record.ok_or_else(unauthorized)?).await
    }

    /// The same from the cache alone; `None` for a token that isn't there.
    pub(crate) fn authenticate_cached(
        self: &Arc<Self>,
        credential: &str,
    ) -> Option<Result<Caller, ApiError>> {
        if credential.len() > ISSUER_TOKEN_MAX_BYTES {
            return Some(Err(unauthorized()));
        }
        let read = || {
            let (access, credential) = (Arc::clone(self), Secret::new(credential));
            async move { Ok(Arc::new(access.read_caller(credential.expose()).await?)) }
        };
        let caller = self.callers.cached(&sha256(credential.as_bytes()), read)?;
        let is_valid = caller.expires_at.is_none_or(|at| Timestamp::now() < at);
        Some(if is_valid { Ok(Caller::clone(&caller)) } else { Err(unauthorized()) })
    }

    async fn caller_of_token(&self, record: TokenRecord) -> Result<Caller, ApiError> {
        let TokenRecord { id, owner, organisation, scopes, models, expires_at, .. } = record;
        let (membership, ()) =
            tokio::join!(self.membership(organisation, owner), self.record_use(owner, Credential::Token(id)));
        let Membership { role, teams, is_operator, regions, .. } = membership?;
        Ok(Caller {
            user: owner,
            organisation,
            role,
            teams,
            is_operator,
            regions,
            credential: Credential::Token(id),
            scopes: scopes.into_iter().collect(),
            models: models.map(Arc::new),
            record_hash: Some(record.hash.into()),
            expires_at,
        })
    }

    async fn caller_of_access_key(&self, record: AccessKeyRecord) -> Result<Caller, ApiError> {
        let AccessKeyRecord { id, owner, organisation, models, expires_at, .. } = record;
        let (membership, ()) = tokio::join!(
            self.membership(organisation, owner),
            self.record_use(owner, Credential::AccessKey(id))
        );
        let Membership { role, teams, is_operator, regions, .. } = membership?;
        Ok(Caller {
            user: owner,
            organisation,
            role,
            teams,
            is_operator,
            regions,
            credential: Credential::AccessKey(id),
            scopes: ScopeSet::of(&[Scope::Generate, Scope::ModelsRead]),
            models: Some(Arc::new(access_keys::limits_of(&models))),
            record_hash: Some(record.hash.into()),
            expires_at,
        })
    }

    /// True if the record of a caller's API token or access key has been revoked or deleted since the caller was authenticated. A
    /// store that fails counts as no.
    pub(crate) async fn is_revoked(&self, caller: &Caller) -> bool {
        if let Credential::Login(id) = caller.credential {
            return self.is_login_ended(id).await;
        }
        let Some(hash) = &caller.record_hash else { return false };
        let revoked = match caller.credential {
            Credential::Token(_) => {
                let record = self.store.tokens().by_hash(hash).await;
                record.map(|record| record.is_none_or(|record| record.revoked_at.is_some()))
            }
            Credential::AccessKey(_) => {
                let record = self.store.access_keys().by_hash(hash).await;
                record.map(|record| record.is_none_or(|record| record.revoked_at.is_some()))
            }
            _ => return false,
        };
        revoked.unwrap_or_else(|error| {
            tracing::warn!(%error, "the credential of a run can't be read again");
            false
        })
    }

    /// Has the next requests of a credential read it again.
    fn forget_credential(&self, credential: Credential) {
        self.callers.retain(|caller| caller.credential != credential);
    }

    /// Ends a credential whose record is revoked: its next requests are refused, and its runs in this process stop.
    pub(crate) fn end_credential(&self, credential: Credential) {
        self.ended_lately.put(credential, ());
        self.end_runs(credential);
    }

    /// Stops the runs of a credential in this process, and has its next requests read it again.
    fn end_runs(&self, credential: Credential) {
        self.forget_credential(credential);
        // Without a run nobody receives it.
        let _ = self.ended.send(credential);
    }

    /// Waits until a credential is revoked in this process.
    pub(crate) async fn revoked(&self, credential: Credential) {
        let mut ended = self.ended.subscribe();
        // A run may start a moment after its credential was revoked, by a request that came before.
        if self.ended_lately.get(&credential).is_some() {
            return;
        }
        loop {
            match ended.recv().await {
                Ok(one) if one == credential => return,
                // Of so many at once one may be missed: the check of the record, where there are other processes, finds it.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    /// True if the organisation is that of the gateway's operator.
    async fn is_of_operators(&self, organisation: OrganisationId) -> Result<bool, ApiError> {
        if let Some(operators) = self.operators.get() {
            return Ok(*operators == organisation);
        }
        let Some(operator) = self.store.find_operator().await.map_err(error::store)? else {
            return Ok(false);
        };
        // A second writer has the same value.
        let _ = self.operators.set(OrganisationId::of_operator(operator));
        Ok(OrganisationId::of_operator(operator) == organisation)
    }

    /// The organisation of the gateway's operator, if it has been read.
    pub(crate) fn operators(&self) -> Option<OrganisationId> {
        self.operators.get().copied()
    }

    /// Has the next requests of all callers read their credentials and memberships again.
    pub(crate) fn forget_callers(&self) {
        self.callers.clear();
    }
}

/// True if a credential has the form of a JWT.
fn is_jwt(credential: &str) -> bool {
    credential.len() <= ISSUER_TOKEN_MAX_BYTES && credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn unauthorized() -> ApiError {
    ApiError::new(
        ErrorCode::Unauthorized,
        "the API token isn't valid; send one as `Authorization: Bearer hth_...`",
    )
}
