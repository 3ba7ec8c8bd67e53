//! Opened credentials, as providers that can be called.
//!
//! A credential is decrypted once, and stays in memory for ten minutes at most; its memory is overwritten when it is
//! dropped.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hearth_domain::{CredentialId, Secret, Timestamp};
use hearth_providers::{Endpoint, HttpProvider, ProviderSettings, VendorClient};
use hearth_settings::KeySettings;
use hearth_store::{Store, StoreError, provider_credentials::CredentialRecord};
use hearth_wire::{ApiError, ErrorCode};

use super::secret::{CredentialSecret, SecretParts};
use crate::{error, public_address, timed_cache::TimedCache};

/// Time for which a decrypted credential stays in memory.
const ACCOUNT_TTL: Duration = Duration::from_secs(600);
/// Limit of the number of decrypted credentials in memory.
const ACCOUNT_MAX_COUNT: usize = 1000;
/// Time before the end of an access token at which it is refreshed.
pub(super) const REFRESH_GRACE: Duration = Duration::from_secs(60);
/// Time after a failed refresh in which requests get its error.
const FAILURE_TTL: Duration = Duration::from_secs(30);

/// Time after a check of a credential in which it isn't checked again.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// An opened credential.
#[derive(Debug, Clone)]
struct Account {
    secret_id: CredentialId,
    provider: HttpProvider,
    /// The end of the access token.
    expires_at: Option<Timestamp>,
}

/// The opened credentials of this process.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(super) store: Store,
    pub(super) settings: KeySettings,
    /// For the vendors' own public addresses, and those of the operator's settings.
    vendors: VendorClient,
    /// For addresses that users have set.
    pub(super) user_servers: VendorClient,
    opened: TimedCache<CredentialId, Account>,
    failed: TimedCache<CredentialId, ApiError>,
    /// The secrets that are being checked, or were a short time ago.
    checked: TimedCache<CredentialId, ()>,
    /// Held while a credential is opened, one for each.
    opening: Mutex<HashMap<CredentialId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Accounts {
    pub(crate) fn new(
        store: Store,
        settings: KeySettings,
        vendors: VendorClient,
        user_servers: VendorClient,
    ) -> Self {
        let opened = TimedCache::new(ACCOUNT_TTL, ACCOUNT_MAX_COUNT);
        let failed = TimedCache::new(FAILURE_TTL, ACCOUNT_MAX_COUNT);
        let checked = TimedCache::new(CHECK_INTERVAL, ACCOUNT_MAX_COUNT);
        Self { store, settings, vendors, user_servers, opened, failed, checked, opening: Mutex::default() }
    }

    /// The provider of a credential, if it is open and its access token hasn't ended.
    pub(crate) fn opened(&self, record: &CredentialRecord) -> Option<HttpProvider> {
        let account = self.opened.get(&record.id).filter(|account| account.secret_id == record.secret_id)?;
        let is_fresh = account.expires_at.is_none_or(|at| Timestamp::now().plus(REFRESH_GRACE) < at);
        is_fresh.then_some(account.provider)
    }

    /// The provider of a credential, with the operator's `settings` of the provider of this name. Of concurrent
    /// callers one opens it.
    ///
    /// # Errors
    /// `provider_auth` if the credential can't be opened or refreshed, or its address isn't allowed.
    pub(crate) async fn open(
        &self,
        record: &CredentialRecord,
        settings: Option<&ProviderSettings>,
    ) -> Result<HttpProvider, ApiError> {
        if let Some(provider) = self.opened(record) {
            return Ok(provider);
        }
        let lock = self.lock(record.id);
        let _opening = lock.lock().await;
        if let Some(provider) = self.opened(record) {
            return Ok(provider);
        }
        if let Some(error) = self.failed.get(&record.id) {
            return Err(error);
        }
        match self.open_now(record, settings).await {
            Ok(account) => {
                let provider = account.provider.clone();
                self.opened.put(record.id, account);
                Ok(provider)
            }
            Err(error) => {
                self.failed.put(record.id, error.clone());
                Err(error)
            }
        }
    }

    /// True once in [`CHECK_INTERVAL`] for each secret: a check calls the address that its owner has named. The caller
    /// checks it now.
    pub(crate) fn begin_check(&self, record: &CredentialRecord) -> bool {
        let is_recent = |at: Timestamp| at.until(Timestamp::now()) < CHECK_INTERVAL;
        if record.verified.as_ref().is_some_and(|verified| is_recent(verified.at))
            || self.checked.get(&record.secret_id).is_some()
        {
            return false;
        }
        self.checked.put(record.secret_id, ());
        true
    }

    /// Drops a credential from memory.
    pub(crate) fn forget(&self, id: CredentialId) {
        self.opened.remove(&id);
        self.failed.remove(&id);
        self.locks(|locks| locks.remove(&id));
    }

    /// The endpoint of an address with these settings. Users' addresses must be public, those of vendors too, unless
    /// the settings allow others or the operator has set the same.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub(crate) fn endpoint(
        &self,
        provider: &str,
        vendor: &str,
        base_url: &str,
        settings: Option<&ProviderSettings>,
    ) -> Result<(Endpoint, VendorClient), ApiError> {
        let of_operator = settings.and_then(|settings| Endpoint::new(provider, settings, None).ok());
        let same = |endpoint: &Endpoint| endpoint.vendor.kind == vendor && endpoint.base_url == base_url;
        if let Some(endpoint) = of_operator.filter(same) {
            let endpoint = Endpoint { key: None, signs_as_process: false, ..endpoint };
            return Ok((endpoint, self.vendors.clone()));
        }
        let own = ProviderSettings {
            kind: Some(vendor.to_owned()),
            base_url: Some(base_url.to_owned()),
            ..ProviderSettings::default()
        };
        let invalid = |error: hearth_providers::config::ConfigError| {
            let name = if error.field == ".kind" { "credential.vendor" } else { "credential.base_url" };
            ApiError::invalid(if error.field.is_empty() { "provider" } else { name }, error.problem)
        };
        let endpoint = Endpoint::new(provider, &own, None).map_err(invalid)?;
        // A vendor's address may be this machine, as Ollama's: there it is a user's like any other.
        let is_vendors =
            endpoint.vendor.base_url.is_some_and(|url| url.trim_end_matches('/') == endpoint.base_url);
        if is_vendors && public_address::is_public(&endpoint.base_url) {
            return Ok((endpoint, self.vendors.clone()));
        }
        self.check_address("credential.base_url", base_url)?;
        let client = if self.settings.private_addresses { &self.vendors } else { &self.user_servers };
        Ok((endpoint, client.clone()))
    }

    /// Checks an address that a user has set.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub(crate) fn check_address(&self, field: &str, url: &str) -> Result<(), ApiError> {
        if self.settings.private_addresses || public_address::is_public(url) {
            return Ok(());
        }
        let problem = "it must be an https:// address of the public internet; the operator can allow others with \
                       keys.private_addresses";
        Err(ApiError::invalid(field, problem))
    }

    /// The settings of stored keys.
    pub(crate) fn settings(&self) -> &KeySettings {
        &self.settings
    }

    /// A provider that can't be called, in the place of one whose address isn't valid.
    pub(super) fn unusable(&self, provider: &str) -> HttpProvider {
        let endpoint = Endpoint::unusable(provider);
        HttpProvider::new(endpoint, self.user_servers.clone())
    }

    /// The client of token endpoints.
    pub(super) fn token_client(&self) -> &VendorClient {
        if self.settings.private_addresses { &self.vendors } else { &self.user_servers }
    }

    async fn open_now(
        &self,
        record: &CredentialRecord,
        settings: Option<&ProviderSettings>,
    ) -> Result<Account, ApiError> {
        let secret = self.read(record).await?;
        let (endpoint, client) = self
            .endpoint(&record.provider, &secret.vendor, &secret.base_url, settings)
            .map_err(|error| locked(record, &error.message))?;
        let (endpoint, expires_at) = match &secret.parts {
            SecretParts::ApiKey { key } => (Endpoint { key: key.clone(), ..endpoint }, None),
            SecretParts::OauthToken(_) | SecretParts::ServiceAccount { .. } => {
                let (token, expires_at): (Secret, _) = self.access_token(record, &secret).await?;
                (endpoint.with_access_token(token), expires_at)
            }
        };
        let provider = HttpProvider::new(endpoint, client);
        Ok(Account { secret_id: record.secret_id, provider, expires_at })
    }

    /// Decrypts a credential.
    pub(super) async fn read(&self, record: &CredentialRecord) -> Result<CredentialSecret, ApiError> {
        let opened = self.store.open_sealed(&record.context(), &record.sealed).await;
        let text = opened.map_err(|error| match error {
            StoreError::Unsealable(_) => {
                tracing::error!(credential = %record.id, %error, "a stored key can't be decrypted");
                locked(record, "it can't be decrypted; store it again")
            }
            error => error::store(error),
        })?;
        CredentialSecret::parse(&text)
            .ok_or_else(|| locked(record, "this version can't read it; store it again"))
    }

    fn lock(&self, id: CredentialId) -> Arc<tokio::sync::Mutex<()>> {
        self.locks(|locks| {
            if locks.len() > ACCOUNT_MAX_COUNT {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(locks.entry(id).or_default())
        })
    }

    fn locks<T>(&self, run: impl FnOnce(&mut HashMap<CredentialId, Arc<tokio::sync::Mutex<()>>>) -> T) -> T {
        run(&mut self.opening.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The error of a credential that can't be used. The operator's key isn't used in its place.
pub(super) fn locked(record: &CredentialRecord, reason: &str) -> ApiError {
    let message = format!("the key {} of {} can't be used: {reason}", record.id, record.provider);
    ApiError::new(ErrorCode::ProviderAuth, message).with("provider", record.provider.clone())
}
