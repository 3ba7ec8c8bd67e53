//! The registry of configured providers: settings of the operator, with credentials from the store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hearth_domain::{Modality, Secret};
use hearth_providers::{Defaults, Endpoint, HttpProvider, ProviderSettings, VendorClient};
use hearth_store::Store;
use hearth_wire::{ApiError, ErrorCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::breaker::CircuitBreakers;
use crate::{
    background, error,
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
        let endpoint = self.provider.endpoint();
        endpoint.key.is_some() || !endpoint.vendor.needs_key
    }
}

/// The secret of a provider: its key, or settings with a key.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum StoredCredential {
    Key(Secret),
    Settings(ProviderSettings),
}

/// The configured providers. Their credentials are read from the store once a minute.
#[derive(Debug)]
pub(crate) struct ProviderRegistry {
    store: Store,
    configs: BTreeMap<String, ProviderSettings>,
    http: VendorClient,
    breakers: CircuitBreakers,
    configured: TimedCache<(), Arc<[ConfiguredProvider]>>,
    /// Held while credentials are read or changed.
    credentials: tokio::sync::Mutex<()>,
}

impl ProviderRegistry {
    pub(crate) fn new(
        store: Store,
        configs: BTreeMap<String, ProviderSettings>,
        http: VendorClient,
        breakers: CircuitBreakers,
    ) -> Self {
        let configured = TimedCache::new(CREDENTIALS_TTL, 1).stale_up_to(Duration::MAX);
        Self { store, configs, http, breakers, configured, credentials: tokio::sync::Mutex::default() }
    }

    /// The providers, as configured about a minute ago at most: stale ones serve while the credentials are read again.
    pub(crate) async fn configured(self: &Arc<Self>) -> Arc<[ConfiguredProvider]> {
        match self.configured.get_or_stale(&()) {
            Some((providers, Freshness::Fresh)) => providers,
            Some((providers, Freshness::Stale)) => {
                let registry = Arc::clone(self);
                background::spawn(async move {
                    // If the lock is held, another task is reading the credentials.
                    if let Ok(_reading) = registry.credentials.try_lock() {
                        registry.read().await;
                    }
                });
                providers
            }
            None => {
                let _reading = self.credentials.lock().await;
                match self.latest() {
                    Some(providers) => providers,
                    None => self.read().await,
                }
            }
        }
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
        let config = self.configs.get(name).cloned().unwrap_or_default();
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

    /// Reads the credentials and builds the providers. The caller holds the lock.
    async fn read(&self) -> Arc<[ConfiguredProvider]> {
        let before = self.latest();
        let providers = match (self.read_credentials().await, before) {
            (Ok(credentials), before) => {
                let before = before.unwrap_or_default();
                let providers = self.build(&credentials, &before);
                for old in &*before {
                    let is_same =
                        |new: &ConfiguredProvider| new.provider.endpoint() == old.provider.endpoint();
                    if !providers.iter().any(is_same) {
                        self.breakers.forget(old.name());
                    }
                }
                providers
            }
            // The old ones serve until the credentials are read again in a minute.
            (Err(error), Some(before)) => {
                tracing::warn!(error, "the providers' keys can't be read again");
                before
            }
            (Err(error), None) => {
                tracing::error!(error, "the providers' keys can't be read");
                self.build(&BTreeMap::new(), &[])
            }
        };
        self.configured.put((), Arc::clone(&providers));
        providers
    }

    /// The providers as they were built last.
    fn latest(&self) -> Option<Arc<[ConfiguredProvider]>> {
        self.configured.get_within(&(), Duration::MAX)
    }

    /// Builds the providers from settings and credentials. A provider whose endpoint is the same as before stays, with
    /// its runs.
    fn build(
        &self,
        credentials: &BTreeMap<String, StoredCredential>,
        before: &[ConfiguredProvider],
    ) -> Arc<[ConfiguredProvider]> {
        let mut all = self.configs.clone();
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
        let _changing = self.credentials.lock().await;
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

    async fn read_credentials(&self) -> Result<BTreeMap<String, StoredCredential>, String> {
        let secret = self.store.provider_keys().await.map_err(|error| error.to_string())?;
        let Some(secret) = secret else { return Ok(BTreeMap::new()) };
        // A parser's message may show a part of its input.
        serde_json::from_str(secret.expose())
            .map_err(|_| "the secret is not a JSON object of keys".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(settings: &[(&str, &str)]) -> ProviderRegistry {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = |text: &str| serde_json::from_str(text).unwrap();
        let configs = settings.iter().map(|(name, text)| ((*name).to_owned(), config(text))).collect();
        let http = reqwest::Client::new().into();
        ProviderRegistry::new(Store::unconnected(), configs, http, CircuitBreakers::default())
    }

    fn credentials(json: &str) -> BTreeMap<String, StoredCredential> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn stored_key_configures_a_vendor_and_settings_win() {
        let registry = registry(&[("groq", r#"{"api_key": "own", "models": ["m"]}"#), ("xai", "{}")]);
        let credentials = credentials(
            r#"{"openai": "sk-1", "groq": "other", "broken": "k",
                "rig": {"kind": "openai_compatible", "base_url": "http://rig:1/v1"}}"#,
        );
        let providers = registry.build(&credentials, &[]);
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
