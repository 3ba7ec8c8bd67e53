//! Signs access tokens, and verifies them.
//!
//! A process caches the public keys, and reads them again after a minute, or at a token of a key that isn't among them: that at
//! most ten times a second, so that forged tokens cause little load. A process that signs caches the private key for a minute.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hearth_auth::{
    AccessClaims, AccessTokenSigner, AccessTokenVerifier,
    access_token::{ACCESS_TOKEN_TTL, CLOCK_SKEW_LIMIT},
};
use hearth_domain::{LoginId, OrganisationId, Secret, Timestamp, UserId};
use hearth_store::{
    Store, StoreError,
    signing_keys::{PublicKeyRecord, PublicKeySet},
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::logins::{Jwk, JwkSet, SigningKeyBody, SigningKeyList},
};

use crate::{error, moment::Moment};

/// Age at which a process reads the keys again.
const KEYS_TTL: Duration = Duration::from_secs(60);
/// Age at which the keys that other programs get are read again: anybody may ask for them.
const JWKS_MAX_AGE: Duration = Duration::from_secs(5);
/// Reads in each interval for tokens of unknown keys.
const UNKNOWN_KEY_READ_MAX_COUNT: u32 = 10;
const UNKNOWN_KEY_READ_INTERVAL: Duration = Duration::from_secs(1);
/// Attempts at a change of the keys that other processes change at the same time.
const CHANGE_ATTEMPT_MAX_COUNT: usize = 5;

/// The public keys, as they were read.
#[derive(Debug, Clone)]
struct ReadKeys {
    at: Moment,
    verifiers: Arc<[(PublicKeyRecord, AccessTokenVerifier)]>,
}

/// The keys that sign access tokens.
#[derive(Debug)]
pub struct SigningKeys {
    store: Store,
    public: Mutex<Option<ReadKeys>>,
    /// The key that signs, and the time at which it was read.
    signer: Mutex<Option<(Moment, AccessTokenSigner)>>,
    /// The beginning of the present interval of reads for unknown keys, and their number.
    unknown_reads: Mutex<(Moment, u32)>,
}

impl SigningKeys {
    pub(crate) fn new(store: Store) -> Self {
        let unknown_reads = Mutex::new((Moment::now(), 0));
        Self { store, public: Mutex::default(), signer: Mutex::default(), unknown_reads }
    }

    /// Signs an access token.
    ///
    /// # Errors
    /// `internal` if the key can't be read.
    pub(crate) async fn sign(
        &self,
        user: UserId,
        organisation: OrganisationId,
        login: LoginId,
    ) -> Result<Secret, ApiError> {
        let claims = AccessClaims::new(user, organisation, login, Timestamp::now().unix());
        let signer = self.signer().await?;
        signer.sign(&claims).map_err(|error| error::internal(&error))
    }

    /// The claims of a valid access token that was signed by the key `kid`.
    ///
    /// # Errors
    /// `unauthorized` if it isn't valid; `internal` if the keys can't be read.
    pub(crate) async fn verify(&self, token: &str, kid: &str) -> Result<AccessClaims, ApiError> {
        let verifier = self.verifier(kid).await?.ok_or_else(invalid_access_token)?;
        verifier.verify(token).map_err(|_| invalid_access_token())
    }

    /// The public keys, for other programs that verify access tokens: at most [`JWKS_MAX_AGE`] old.
    ///
    /// # Errors
    /// `internal` if they can't be read.
    #[crate::boxed_future]
    pub async fn jwks(&self) -> Result<JwkSet, ApiError> {
        let keys = match self.cached(JWKS_MAX_AGE) {
            Some(keys) => keys,
            None => self.read().await?,
        };
        let jwk = |(key, _): &(PublicKeyRecord, _)| Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
            kid: key.kid.clone(),
            x: key.public_key.clone(),
        };
        Ok(JwkSet { keys: keys.iter().map(jwk).collect() })
    }

    /// The keys, for the operator.
    ///
    /// # Errors
    /// `internal` if they can't be read.
    #[crate::boxed_future]
    pub async fn list(&self) -> Result<SigningKeyList, ApiError> {
        let set = self.store.signing_keys().public().await.map_err(error::store)?;
        Ok(key_list(&set.unwrap_or_default(), Timestamp::now()))
    }

    /// Generates a key, which signs from now on. The one before verifies until its last token has expired; with `revokes` no
    /// earlier one verifies any more, here at once, in other processes after [`KEYS_TTL`].
    ///
    /// # Errors
    /// `internal` if the keys can't be read or written.
    pub(crate) async fn rotate(&self, revokes: bool) -> Result<SigningKeyList, ApiError> {
        for _ in 0..CHANGE_ATTEMPT_MAX_COUNT {
            let before = self.store.signing_keys().public().await.map_err(error::store)?;
            match self.add(before.as_ref(), revokes).await {
                Ok(after) => return Ok(key_list(&after, Timestamp::now())),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
        }
        let message = "the signing keys are being rotated by others; look at them, then try again";
        Err(ApiError::new(ErrorCode::Conflict, message))
    }

    /// Adds a key to `before`, and returns the set after that.
    async fn add(&self, before: Option<&PublicKeySet>, revokes: bool) -> Result<PublicKeySet, StoreError> {
        let unusable = |error| StoreError::Unsealable(format!("a signing key can't be generated: {error}"));
        let (signer, stored) = AccessTokenSigner::generate().map_err(unusable)?;
        let now = Timestamp::now();
        let mut keys = before.map(|set| set.keys.clone()).unwrap_or_default();
        let replaced: Vec<String> = keys.iter().map(|key| key.kid.clone()).collect();
        keys.retain(|key| !revokes && verifies_at(key, now));
        for key in &mut keys {
            key.replaced_at.get_or_insert(now);
        }
        keys.push(PublicKeyRecord {
            kid: signer.kid().to_owned(),
            public_key: signer.public_key(),
            created_at: now,
            replaced_at: None,
        });
        let revision = before.and_then(|set| set.revision.parse::<u64>().ok()).unwrap_or_default();
        let after = PublicKeySet { revision: (revision + 1).to_string(), keys };
        let replaced: Vec<&str> = replaced.iter().map(String::as_str).collect();
        self.store.signing_keys().add(before, &after, (signer.kid(), &stored), &replaced).await?;
        *self.signer.lock().unwrap_or_else(PoisonError::into_inner) = Some((Moment::now(), signer));
        *self.public.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(after)
    }

    /// The key that signs. Where there is none, it is generated.
    async fn signer(&self) -> Result<AccessTokenSigner, ApiError> {
        let cached = self.signer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, signer)) = cached
            && at.age() < KEYS_TTL
        {
            return Ok(signer);
        }
        for _ in 0..CHANGE_ATTEMPT_MAX_COUNT {
            let keys = self.store.signing_keys();
            let set = keys.public().await.map_err(error::store)?;
            let kid = set.as_ref().and_then(|set| set.keys.last()).map(|key| key.kid.clone());
            let stored = match &kid {
                Some(kid) => keys.private(kid).await.map_err(error::store)?,
                None => None,
            };
            if let Some(stored) = stored {
                let signer = AccessTokenSigner::from_stored(&stored).map_err(|e| error::internal(&e))?;
                *self.signer.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((Moment::now(), signer.clone()));
                return Ok(signer);
            }
            // This is the first sign-in; or the operator has removed the secrets of a lost master key; or a rotation comes in
            // between, and then this is a conflict.
            match self.add(set.as_ref(), false).await {
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
        }
        let message = "the signing keys are being rotated by others; try again";
        Err(ApiError::new(ErrorCode::Overloaded, message))
    }

    /// The key `kid`, if it verifies now.
    async fn verifier(&self, kid: &str) -> Result<Option<AccessTokenVerifier>, ApiError> {
        let now = Timestamp::now();
        let find = |keys: &[(PublicKeyRecord, AccessTokenVerifier)]| {
            let key = keys.iter().find(|(key, _)| key.kid == kid && verifies_at(key, now));
            key.map(|(_, verifier)| verifier.clone())
        };
        if let Some(cached) = self.cached(KEYS_TTL) {
            if let Some(verifier) = find(&cached) {
                return Ok(Some(verifier));
            }
            // The key may be new.
            if !self.may_read_for_unknown_key() {
                return Ok(None);
            }
        }
        Ok(find(&self.read().await?))
    }

    fn cached(&self, max_age: Duration) -> Option<Arc<[(PublicKeyRecord, AccessTokenVerifier)]>> {
        let public = self.public.lock().unwrap_or_else(PoisonError::into_inner);
        public.as_ref().filter(|keys| keys.at.age() < max_age).map(|keys| Arc::clone(&keys.verifiers))
    }

    fn may_read_for_unknown_key(&self) -> bool {
        let mut reads = self.unknown_reads.lock().unwrap_or_else(PoisonError::into_inner);
        if reads.0.age() >= UNKNOWN_KEY_READ_INTERVAL {
            *reads = (Moment::now(), 0);
        }
        reads.1 += 1;
        reads.1 <= UNKNOWN_KEY_READ_MAX_COUNT
    }

    async fn read(&self) -> Result<Arc<[(PublicKeyRecord, AccessTokenVerifier)]>, ApiError> {
        let at = Moment::now();
        let set = self.store.signing_keys().public().await.map_err(error::store)?.unwrap_or_default();
        let now = Timestamp::now();
        let verifier = |key: PublicKeyRecord| {
            let verifier = AccessTokenVerifier::new(&key.public_key).ok()?;
            Some((key, verifier))
        };
        let keys = set.keys.into_iter().filter(|key| verifies_at(key, now));
        let verifiers: Arc<[_]> = keys.filter_map(verifier).collect();
        let read = ReadKeys { at, verifiers: Arc::clone(&verifiers) };
        *self.public.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        Ok(verifiers)
    }
}

/// The time from which a replaced key's tokens are refused: the last process to sign with it does so a minute after it was
/// replaced, and that token is valid for a quarter of an hour.
fn verifies_until(key: &PublicKeyRecord) -> Option<Timestamp> {
    key.replaced_at.map(|at| at.plus(KEYS_TTL + ACCESS_TOKEN_TTL + CLOCK_SKEW_LIMIT * 2))
}

fn verifies_at(key: &PublicKeyRecord, now: Timestamp) -> bool {
    verifies_until(key).is_none_or(|end| now < end)
}

fn key_list(set: &PublicKeySet, now: Timestamp) -> SigningKeyList {
    let keys = set.keys.iter().filter(|key| verifies_at(key, now));
    let body = |key: &PublicKeyRecord| SigningKeyBody {
        kid: key.kid.clone(),
        state: if key.replaced_at.is_none() { "signing" } else { "verifying" }.to_owned(),
        created_at: key.created_at.to_string(),
        replaced_at: key.replaced_at.map(|at| at.to_string()),
        verifies_until: verifies_until(key).map(|at| at.to_string()),
    };
    SigningKeyList { keys: keys.map(body).collect() }
}

/// The error of an access token whose form, signature or time is wrong.
pub(super) fn invalid_access_token() -> ApiError {
    ApiError::new(
        ErrorCode::Unauthorized,
        "the access token isn't valid, or has expired; get another one by POST /v1/users/refresh",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_key_verifies_until_its_last_token_has_expired() {
        let at = Timestamp::from_unix(1000);
        let mut key = PublicKeyRecord {
            kid: "a".to_owned(),
            public_key: String::new(),
            created_at: at,
            replaced_at: None,
        };
        assert!(verifies_at(&key, at.plus(Duration::from_secs(1 << 30))));
        key.replaced_at = Some(at);
        let last_token = at.plus(KEYS_TTL + ACCESS_TOKEN_TTL);
        assert!(verifies_at(&key, last_token));
        assert!(!verifies_at(&key, last_token.plus(Duration::from_secs(60))));
    }
}
