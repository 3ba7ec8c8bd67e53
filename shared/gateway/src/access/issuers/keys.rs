//! The keys of an issuer, cached.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hearth_auth::{IssuerKeys, UnverifiedToken};
use hearth_settings::IdentityProviderSettings;

use super::{
    fetch::{self, FetchError, Issuer},
    fetch_budget::FetchBudget,
};
use crate::moment::Moment;

/// Age at which the keys are fetched again: a key that the issuer has withdrawn is refused after this time.
const KEYS_TTL: Duration = Duration::from_secs(10 * 60);
/// Age up to which the keys are used while the issuer can't be reached.
const KEYS_MAX_STALE_AGE: Duration = Duration::from_secs(6 * 3600);

/// The keys of an issuer. One request at a time fetches them.
#[derive(Debug)]
pub(super) struct IssuerKeyCache {
    issuer: Issuer,
    http: reqwest::Client,
    /// The keys of the last fetch that has succeeded.
    fetched: Mutex<Option<FetchedKeys>>,
    /// Held while the keys are fetched.
    fetching: tokio::sync::Mutex<FetchBudget>,
}

#[derive(Debug, Clone)]
struct FetchedKeys {
    keys: Arc<IssuerKeys>,
    at: Moment,
}

impl FetchedKeys {
    fn is_younger_than(&self, age: Duration) -> bool {
        self.at.age() < age
    }
}

impl IssuerKeyCache {
    pub(super) fn new(settings: &IdentityProviderSettings, http: reqwest::Client) -> Self {
        let fetching = tokio::sync::Mutex::new(FetchBudget::new());
        Self { issuer: Issuer::new(settings), http, fetched: Mutex::default(), fetching }
    }

    /// The keys for a token: the cached ones, unless they are too old, or lack the token's key, which the issuer may have
    /// added since.
    ///
    /// # Errors
    /// If the keys can't be fetched, and there are none, or they are older than six hours.
    pub(super) async fn get(&self, token: &UnverifiedToken) -> Result<Arc<IssuerKeys>, FetchError> {
        let is_fit =
            |fetched: &FetchedKeys| fetched.is_younger_than(KEYS_TTL) && token.has_key_in(&fetched.keys);
        if let Some(fetched) = self.fetched().filter(is_fit) {
            return Ok(fetched.keys);
        }
        let mut budget = match self.fetching.try_lock() {
            Ok(budget) => budget,
            Err(_) => {
                // Another request fetches. Stale keys are good until it has ended.
                let usable = |fetched: &FetchedKeys| {
                    fetched.is_younger_than(KEYS_MAX_STALE_AGE) && token.has_key_in(&fetched.keys)
                };
                if let Some(fetched) = self.fetched().filter(usable) {
                    return Ok(fetched.keys);
                }
                let budget = self.fetching.lock().await;
                if let Some(fetched) = self.fetched().filter(is_fit) {
                    return Ok(fetched.keys);
                }
                budget
            }
        };
        let error = if budget.take() {
            match fetch::keys(&self.http, &self.issuer).await {
                Ok(keys) => return Ok(self.store(keys)),
                Err(error) => error,
            }
        } else {
            FetchError::Budget
        };
        match self.fetched().filter(|fetched| fetched.is_younger_than(KEYS_MAX_STALE_AGE)) {
            Some(fetched) => {
                tracing::debug!(%error, "an issuer's cached keys are used");
                Ok(fetched.keys)
            }
            None => Err(error),
        }
    }

    fn store(&self, keys: IssuerKeys) -> Arc<IssuerKeys> {
        let keys = Arc::new(keys);
        let fetched = FetchedKeys { keys: Arc::clone(&keys), at: Moment::now() };
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        keys
    }

    fn fetched(&self) -> Option<FetchedKeys> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the cached keys as old as `age`.
    #[cfg(test)]
    pub(super) fn set_age(&self, age: Duration) {
        if let Some(fetched) = &mut *self.fetched.lock().unwrap() {
            fetched.at = Moment::ago(age);
        }
    }
}
