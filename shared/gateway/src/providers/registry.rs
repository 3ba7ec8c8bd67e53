//! The registry of configured providers: settings of the operator, with credentials from the store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::{Modality, Payer, Secret};
use hearth_providers::{Defaults, Endpoint, HttpProvider, Provider, ProviderSettings, VendorClient};
use hearth_store::Store;
use hearth_wire::{ApiError, ErrorCode};
use serde_json::{Map, Value};

use super::{
    breaker::CircuitBreakers,
    credentials::{Credentials, StoredKey, stored_settings, with_key},
    own_keys::OwnKey,
};
use crate::{
    background::Background,
    configuration::{Configuration, RoutingSnapshot},
    error,
    timed_cache::{Freshness, TimedCache},
};

/// Age at which the credentials are read again: a change in another process has effect here after this time.
const CREDENTIALS_TTL: Duration = Duration::from_secs(60);

/// A provider that is set up.
#[derive(Debug, Clone)]
pub(crate) struct ConfiguredProvider {
    pub(crate) provider: HttpProvider,
    /// Models that need no `PROVIDER:` before their names.
    pub(crate) models: Vec<String>,
    /// Parameters of requests that don't set them.
    pub(crate) defaults: Defaults,
    /// A key is stored for it, and for another address than it has.
    pub(crate) has_withheld_key: bool,
    /// The key, if it isn't the operator's.
    pub(crate) own_key: Option<OwnKey>,
}

impl ConfiguredProvider {
    pub(crate) fn name(&self) -> &str {
        &self.provider.endpoint().name
    }

    /// The vendor whose API it has.
    pub(crate) fn kind(&self) -> &'static str {
        self.provider.endpoint().vendor.kind
    }

    /// True if its vendor has models of this modality.
    pub(crate) fn makes(&self, modality: Modality) -> bool {
        self.provider.endpoint().vendor.media.supports(modality)
    }

    /// True if it has a key, or needs none.
    pub(crate) fn is_usable(&self) -> bool {
        match &self.own_key {
            Some(key) => key.provider.is_ok(),
            None => !self.has_withheld_key && self.provider.endpoint().has_credentials(),
        }
    }

    /// True if `provider` has the key, so that it can be called: a stored key is decrypted when a run needs it.
    pub(crate) fn can_be_called(&self) -> bool {
        self.is_usable() && self.own_key.as_ref().is_none_or(|key| key.is_open)
    }

    /// The account at the provider: its name for the operator's key.
    pub(crate) fn account(&self) -> &str {
        self.own_key.as_ref().map_or(self.name(), |key| &key.account)
    }

    /// The owner of the key.
    pub(crate) fn payer(&self) -> Payer {
        self.own_key.as_ref().map_or(Payer::Operator, |key| key.payer)
    }

    /// The provider that a run calls.
    ///
    /// # Errors
    /// `provider_auth` if its key can't be used.
    pub(crate) fn to_call(&self) -> Result<Arc<dyn Provider>, ApiError> {
        match &self.own_key {
            Some(key) => key.provider.clone(),
            None => Ok(Arc::new(self.provider.clone())),
        }
    }
}

/// The configured providers. Their credentials are read from the store once a minute.
#[derive(Debug)]
pub(crate) struct ProviderRegistry {
    store: Store,
    configuration: Arc<Configuration>,
    http: VendorClient,
    breakers: CircuitBreakers,
    background: Background,
    credentials: TimedCache<(), Arc<Credentials>>,
    /// Held while credentials are read or changed.
    reading: tokio::sync::Mutex<()>,
    built: Mutex<Option<Built>>,
}

/// The providers, and what they were built from.
#[derive(Debug)]
struct Built {
    routing: Arc<RoutingSnapshot>,
    credentials: Arc<Credentials>,
    providers: Arc<[ConfiguredProvider]>,
}

impl ProviderRegistry {
    pub(crate) fn new(
        store: Store,
        configuration: Arc<Configuration>,
        http: VendorClient,
        breakers: CircuitBreakers,
        background: Background,
    ) -> Self {
        let credentials = TimedCache::new(CREDENTIALS_TTL, 1).stale_up_to(Duration::MAX);
        let (reading, built) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { store, configuration, http, breakers, background, credentials, reading, built }
    }

    /// The providers of the routing in force.
    pub(crate) async fn configured(self: &Arc<Self>) -> Arc<[ConfiguredProvider]> {
        self.configured_by(&self.routing().await).await
    }

    /// The operator's provider of this account, if it is one of his.
    pub(crate) async fn account(self: &Arc<Self>, account: &str) -> Option<ConfiguredProvider> {
        self.configured().await.iter().find(|provider| provider.account() == account).cloned()
    }

    /// The routing in force.
    pub(crate) async fn routing(&self) -> Arc<RoutingSnapshot> {
        self.configuration.current().await
    }

    /// The providers of this routing, with credentials that are about a minute old at most: stale ones serve while they are
    /// read again. A process that is frozen between its requests waits for that instead: its stale credentials may be hours
    /// old.
    pub(crate) async fn configured_by(
        self: &Arc<Self>,
        routing: &Arc<RoutingSnapshot>,
    ) -> Arc<[ConfiguredProvider]> {
        let credentials = match self.credentials.get_or_stale(&()) {
            Some((credentials, Freshness::Fresh)) => credentials,
            Some((credentials, Freshness::Stale)) => {
                let registry = Arc::clone(self);
                let read = async move {
                    // If the lock is held, another task is reading the credentials.
                    if let Ok(_reading) = registry.reading.try_lock() {
                        registry.read().await;
                    }
                };
                self.background.spawn_or_wait(read).await;
                match self.background.outlives_response() {
                    true => credentials,
                    false => self.latest_credentials().unwrap_or(credentials),
                }
            }
            None => {
                let _reading = self.reading.lock().await;
                match self.latest_credentials() {
                    Some(credentials) => credentials,
                    None => self.read().await,
                }
            }
        };
        self.build_for(routing, &credentials)
    }

    /// Stores a provider's key, for the address that the provider has now.
    ///
    /// # Errors
    /// `invalid_request` if no provider can have this name, or the key is malformed; `conflict` if its settings have a
    /// key; `internal` if the store fails.
    pub(crate) async fn set_key(&self, name: &str, key: &Secret) -> Result<(), ApiError> {
        let text = key.expose();
        if text.trim() != text || text.is_empty() || text.len() > 8192 || text.chars().any(char::is_control) {
            return Err(ApiError::invalid(
                "key",
                "key must be 1 to 8192 characters, without spaces around it",
            ));
        }
        let routing = self.configuration.latest().await;
        let has_own = self.configuration.own().providers.contains_key(name);
        self.change_keys(|keys| {
            let config = routing.providers.get(name).cloned();
            let config = config.or_else(|| stored_settings(keys.get(name))).unwrap_or_default();
            let endpoint = Endpoint::new(name, &config, None)
                .map_err(|error| ApiError::invalid("name", error.to_string()))?;
            if routing.providers.get(name).is_some_and(|config| config.api_key.is_some()) {
                let message = format!(
                    "the settings of {name} have a key; remove providers.{name}.api_key from them first"
                );
                return Err(ApiError::new(ErrorCode::Conflict, message));
            }
            let entry = with_key(keys.remove(name), key, &endpoint, has_own);
            keys.insert(name.to_owned(), entry);
            Ok(())
        })
        .await
    }

    /// Deletes a provider's key.
    ///
    /// # Errors
    /// `not_found` if none is stored; `internal` if the store fails.
    pub(crate) async fn remove_key(&self, name: &str) -> Result<(), ApiError> {
        self.change_keys(|keys| match keys.remove(name) {
            Some(_) => Ok(()),
            None => {
                let message = format!(
                    "no key is stored for {name}; `hearth key list` shows the providers that have one"
                );
                Err(ApiError::new(ErrorCode::NotFound, message))
            }
        })
        .await
    }

    /// Reads the credentials. The caller holds the lock.
    async fn read(&self) -> Arc<Credentials> {
        let credentials = match (self.read_credentials().await, self.latest_credentials()) {
            // The same ones stay, and with them the providers that were built from them.
            (Ok(credentials), Some(before)) if credentials.is_same(&before) => before,
            (Ok(mut credentials), before) => {
                credentials.sequence = before.map_or(0, |before| before.sequence + 1);
                Arc::new(credentials)
            }
            // The old ones serve until the credentials are read again in a minute.
            (Err(error), Some(before)) => {
                tracing::warn!(error, "the providers' keys can't be read again");
                before
            }
            (Err(error), None) => {
                tracing::error!(error, "the providers' keys can't be read");
                Arc::default()
            }
        };
        self.credentials.put((), Arc::clone(&credentials));
        credentials
    }

    /// The credentials as they were read last.
    fn latest_credentials(&self) -> Option<Arc<Credentials>> {
        self.credentials.get_within(&(), Duration::MAX)
    }

    /// The providers of this routing and these credentials; built if either is later than those of the latest providers. A
    /// request with earlier ones gets the latest providers.
    fn build_for(
        &self,
        routing: &Arc<RoutingSnapshot>,
        credentials: &Arc<Credentials>,
    ) -> Arc<[ConfiguredProvider]> {
        let mut built = self.built();
        let (mut routing, mut credentials) = (routing, credentials);
        if let Some(built) = built.as_ref() {
            let has_routing = built.routing.sequence >= routing.sequence;
            let has_credentials = built.credentials.sequence >= credentials.sequence;
            if has_routing && has_credentials {
                return Arc::clone(&built.providers);
            }
            routing = if has_routing { &built.routing } else { routing };
            credentials = if has_credentials { &built.credentials } else { credentials };
        }
        let before = built.as_ref().map(|built| Arc::clone(&built.providers)).unwrap_or_default();
        let providers = self.build(&routing.providers, credentials, &before);
        for old in &*before {
            let is_same = |new: &ConfiguredProvider| new.provider.endpoint() == old.provider.endpoint();
            if !providers.iter().any(is_same) {
                self.breakers.forget(old.name());
            }
        }
        let (routing, credentials) = (Arc::clone(routing), Arc::clone(credentials));
        *built = Some(Built { routing, credentials, providers: Arc::clone(&providers) });
        providers
    }

    fn built(&self) -> MutexGuard<'_, Option<Built>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds the providers from settings and credentials. A provider whose endpoint is the same as before stays, with
    /// its runs.
    fn build(
        &self,
        configs: &BTreeMap<String, ProviderSettings>,
        credentials: &Credentials,
        before: &[ConfiguredProvider],
    ) -> Arc<[ConfiguredProvider]> {
        let own = &self.configuration.own().providers;
        let providers = credentials.complete(configs).into_iter().filter_map(|(name, config)| {
            let stored = credentials.key_for(&name, &config, own.get(&name));
            let needs_stored = config.api_key.is_none() && config.credentials.is_none();
            let has_withheld_key = needs_stored && stored == StoredKey::Withheld;
            let key = match stored {
                StoredKey::Usable(key) => Some(key),
                StoredKey::Absent | StoredKey::Withheld => None,
            };
            let endpoint = match Endpoint::new(&name, &config, key) {
                Ok(endpoint) => endpoint,
                Err(error) => {
                    tracing::error!(%error, "a provider can't be used");
                    return None;
                }
            };
            if has_withheld_key {
                tracing::warn!(provider = name, "the stored key isn't used: it is for another address");
            }
            let same = before.iter().find(|known| *known.provider.endpoint() == endpoint);
            let provider = same.map(|known| known.provider.clone());
            let provider = provider.unwrap_or_else(|| HttpProvider::new(endpoint, self.http.clone()));
            let defaults = Defaults::from(&config);
            Some(ConfiguredProvider {
                provider,
                models: config.models,
                defaults,
                has_withheld_key,
                own_key: None,
            })
        });
        providers.collect()
    }

    /// Reads, changes and writes the stored keys, one caller at a time.
    async fn change_keys(
        &self,
        change: impl FnOnce(&mut Map<String, Value>) -> Result<(), ApiError> + Send,
    ) -> Result<(), ApiError> {
        let _changing = self.reading.lock().await;
        let secret = self.store.provider_keys().await.map_err(error::store)?;
        let text = secret.as_ref().map_or("{}", Secret::expose);
        let mut keys: Map<String, Value> = serde_json::from_str(text)
            .map_err(|_| error::internal(&"the providers' keys are not a JSON object"))?;
        change(&mut keys)?;
        let keys = Secret::new(Value::Object(keys).to_string());
        self.store.put_provider_keys(&keys).await.map_err(error::store)?;
        self.read().await;
        Ok(())
    }

    async fn read_credentials(&self) -> Result<Credentials, String> {
        let secret = self.store.provider_keys().await.map_err(|error| error.to_string())?;
        let Some(secret) = secret else { return Ok(Credentials::default()) };
        Credentials::parse(&secret).ok_or_else(|| "the secret is not a JSON object of keys".to_owned())
    }
}

#[cfg(test)]
mod tests;
