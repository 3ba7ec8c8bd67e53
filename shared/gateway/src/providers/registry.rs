//! The registry of configured providers: settings of the operator, with credentials from the store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::{Modality, Secret};
use hearth_providers::{Defaults, Endpoint, HttpProvider, ProviderSettings, VendorClient};
use hearth_store::Store;
use hearth_wire::{ApiError, ErrorCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::breaker::CircuitBreakers;
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
        self.provider.endpoint().has_credentials()
    }
}

/// The secret of a provider: its key, or settings with a key.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum StoredCredential {
    Key(Secret),
    Settings(ProviderSettings),
}

/// The secrets of providers, by name.
type Credentials = BTreeMap<String, StoredCredential>;

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
        self.build_for(routing, credentials)
    }

    /// Stores a provider's key.
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
        let config = self.routing().await.providers.get(name).cloned().unwrap_or_default();
        let checked = Endpoint::new(name, &config, Some(key.clone()));
        checked.map_err(|error| ApiError::invalid("name", error.to_string()))?;
        if config.api_key.is_some() {
            let message =
                format!("the settings of {name} have a key; remove providers.{name}.api_key from them first");
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        self.change_keys(|keys| {
            match keys.get_mut(name) {
                Some(Value::Object(settings)) => {
                    settings.insert("api_key".to_owned(), json!(key.expose()));
                }
                _ => {
                    keys.insert(name.to_owned(), json!(key.expose()));
                }
            }
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
            (Ok(credentials), _) => Arc::new(credentials),
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

    /// The providers of this routing and these credentials; built if either has changed. A request that follows an earlier
    /// routing gets the latest providers.
    fn build_for(
        &self,
        routing: &Arc<RoutingSnapshot>,
        credentials: Arc<Credentials>,
    ) -> Arc<[ConfiguredProvider]> {
        let mut built = self.built();
        let is_current = |built: &Built| {
            built.routing.sequence > routing.sequence
                || (built.routing.sequence == routing.sequence
                    && Arc::ptr_eq(&built.credentials, &credentials))
        };
        if let Some(built) = built.as_ref().filter(|built| is_current(built)) {
            return Arc::clone(&built.providers);
        }
        let before = built.as_ref().map(|built| Arc::clone(&built.providers)).unwrap_or_default();
        let providers = self.build(&routing.providers, &credentials, &before);
        for old in &*before {
            let is_same = |new: &ConfiguredProvider| new.provider.endpoint() == old.provider.endpoint();
            if !providers.iter().any(is_same) {
                self.breakers.forget(old.name());
            }
        }
        *built = Some(Built { routing: Arc::clone(routing), credentials, providers: Arc::clone(&providers) });
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
        let mut all = configs.clone();
        let mut keys = BTreeMap::new();
        for (name, credential) in credentials {
            match credential {
                StoredCredential::Key(key) => {
                    keys.insert(name.as_str(), key.clone());
                    all.entry(name.clone()).or_default();
                }
                StoredCredential::Settings(settings) => {
                    keys.extend(settings.api_key.clone().map(|key| (name.as_str(), key)));
                    all.entry(name.clone()).or_insert_with(|| settings.clone());
                }
            }
        }
        let providers = all.into_iter().filter_map(|(name, config)| {
            let endpoint = match Endpoint::new(&name, &config, keys.get(name.as_str()).cloned()) {
                Ok(endpoint) => endpoint,
                Err(error) => {
                    tracing::error!(%error, "a provider can't be used");
                    return None;
                }
            };
            let same = before.iter().find(|known| *known.provider.endpoint() == endpoint);
            let provider = same.map(|known| known.provider.clone());
            let provider = provider.unwrap_or_else(|| HttpProvider::new(endpoint, self.http.clone()));
            let defaults = Defaults::from(&config);
            Some(ConfiguredProvider { provider, models: config.models, defaults })
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
        let Some(secret) = secret else { return Ok(Credentials::new()) };
        // A parser's message may show a part of its input.
        serde_json::from_str(secret.expose())
            .map_err(|_| "the secret is not a JSON object of keys".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Routing;

    fn registry() -> ProviderRegistry {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::new().into();
        let breakers = CircuitBreakers::default();
        let (store, interval) = (Store::unconnected(), Duration::from_secs(60));
        let configuration = Arc::new(Configuration::new(store.clone(), Routing::default(), interval, true));
        ProviderRegistry::new(store, configuration, http, breakers, Background::new(true))
    }

    fn credentials(json: &str) -> Credentials {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn stored_key_configures_a_vendor_and_settings_win() {
        let configs =
            serde_json::from_str(r#"{"groq": {"api_key": "own", "models": ["m"]}, "xai": {}}"#).unwrap();
        let credentials = credentials(
            r#"{"openai": "sk-1", "groq": "other", "broken": "k",
                "rig": {"kind": "openai_compatible", "base_url": "http://rig:1/v1"}}"#,
        );
        let providers = registry().build(&configs, &credentials, &[]);
        let summary: Vec<_> = providers
            .iter()
            .map(|one| {
                (one.name(), one.provider.endpoint().key.as_ref().map(Secret::expose), one.is_usable())
            })
            .collect();
        assert_eq!(
            summary,
            [
                ("groq", Some("own"), true),
                ("openai", Some("sk-1"), true),
                ("rig", None, true),
                ("xai", None, false)
            ]
        );
    }
}
