//! The providers that an operator has set up.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hearth_domain::{KeyOwner, Modality, Secret};
use hearth_providers::{Defaults, HttpProvider, Provider as _, ProviderConfig, VendorClient};
use hearth_wire::{
    ApiError, ErrorCode,
    native::providers::{CreditsBody, ProviderBody, UnavailableModel},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Gateway, Routing, background, discovery::Found, error};

/// Keys are read again after this: one that is changed elsewhere is noticed so late.
const CACHED: Duration = Duration::from_secs(60);

/// A provider that is set up.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) provider: HttpProvider,
    /// The models that are its own when they are asked for without its name.
    pub(crate) models: Vec<String>,
    /// What its models are asked with where a request doesn't say.
    pub(crate) defaults: Defaults,
}

impl Known {
    pub(crate) fn name(&self) -> &str {
        &self.provider.endpoint().name
    }

    /// Whose API it is.
    pub(crate) fn kind(&self) -> &'static str {
        self.provider.endpoint().vendor.kind
    }

    /// Whether its vendor makes such things.
    pub(crate) fn makes(&self, modality: Modality) -> bool {
        self.provider.endpoint().vendor.media.makes(modality)
    }

    /// Whether it has what it needs to be called.
    pub(crate) fn is_usable(&self) -> bool {
        let endpoint = self.provider.endpoint();
        endpoint.key.is_some() || !endpoint.vendor.needs_key
    }
}

/// What a provider's secret is: its key, or settings with a key.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Kept {
    Key(Secret),
    Settings(ProviderConfig),
}

/// The providers, with the keys that are kept as a secret.
#[derive(Debug)]
pub(crate) struct Directory {
    routing: Routing,
    http: VendorClient,
    /// As they were read last, and when.
    known: Mutex<Option<(Instant, Arc<[Known]>)>>,
    /// Held while keys are read or changed.
    keys: tokio::sync::Mutex<()>,
}

impl Directory {
    pub(crate) fn new(routing: Routing, http: VendorClient) -> Self {
        Self { routing, http, known: Mutex::default(), keys: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Option<(Instant, Arc<[Known]>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The providers, and whether it is time to read their keys again; nothing if nobody has read them.
    fn last_known(&self) -> Option<(Arc<[Known]>, bool)> {
        self.known().as_ref().map(|(at, list)| (Arc::clone(list), at.elapsed() >= CACHED))
    }

    pub(crate) fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Puts together settings and keys. A provider that is called as before stays the same, with its runs.
    fn build(&self, kept: &BTreeMap<String, Kept>, before: &[Known]) -> Arc<[Known]> {
        let mut all = self.routing.providers.clone();
        let mut keys = BTreeMap::new();
        for (name, kept) in kept {
            match kept {
                Kept::Key(key) => {
                    keys.insert(name.as_str(), key.clone());
                    all.entry(name.clone()).or_default();
                }
                Kept::Settings(settings) => {
                    keys.extend(settings.api_key.clone().map(|key| (name.as_str(), key)));
                    all.entry(name.clone()).or_insert_with(|| settings.clone());
                }
            }
        }
        let known = all.into_iter().filter_map(|(name, config)| {
            let endpoint = match config.endpoint(&name, keys.get(name.as_str()).cloned()) {
                Ok(endpoint) => endpoint,
                Err(error) => {
                    tracing::error!(%error, "a provider can't be used");
                    return None;
                }
            };
            let same = before.iter().find(|known| *known.provider.endpoint() == endpoint);
            let provider = same.map(|known| known.provider.clone());
            let provider = provider.unwrap_or_else(|| HttpProvider::new(endpoint, self.http.clone()));
            let defaults = config.defaults();
            Some(Known { provider, models: config.models, defaults })
        });
        known.collect()
    }
}

impl Gateway {
    /// The providers, as they were set up about a minute ago at most. Nobody waits for keys that are read
    /// again: what was known serves meanwhile.
    pub(crate) async fn providers(&self) -> Arc<[Known]> {
        match self.0.directory.last_known() {
            Some((list, false)) => list,
            Some((list, true)) => {
                let gateway = self.clone();
                background::spawn(async move {
                    // Who finds it locked has somebody else read them.
                    if let Ok(_reading) = gateway.0.directory.keys.try_lock() {
                        gateway.read_providers().await;
                    }
                });
                list
            }
            None => {
                let _reading = self.0.directory.keys.lock().await;
                match self.0.directory.last_known() {
                    Some((list, _)) => list,
                    None => self.read_providers().await,
                }
            }
        }
    }

    /// Reads the keys and puts the providers together; whoever calls holds the lock.
    async fn read_providers(&self) -> Arc<[Known]> {
        let directory = &self.0.directory;
        let kept = self.kept_keys().await;
        let before = directory.last_known().map(|(list, _)| list);
        let list = match (kept, before) {
            (Ok(kept), before) => {
                let before = before.unwrap_or_default();
                let list = directory.build(&kept, &before);
                for old in &*before {
                    let same = |new: &Known| new.provider.endpoint() == old.provider.endpoint();
                    if !list.iter().any(same) {
                        self.0.breakers.forget(old.name());
                    }
                }
                list
            }
            // What was known is better than nothing; it is tried again in a minute.
            (Err(error), Some(before)) => {
                tracing::warn!(error, "the providers' keys can't be read again");
                before
            }
            (Err(error), None) => {
                tracing::error!(error, "the providers' keys can't be read");
                directory.build(&BTreeMap::new(), &[])
            }
        };
        *directory.known() = Some((Instant::now(), Arc::clone(&list)));
        list
    }

    /// Sets the metrics that tell a state rather than count: to be called before they are read.
    pub async fn update_metrics(&self) {
        let providers = self.providers().await;
        self.0.breakers.update_gauges(providers.iter().map(Known::name), Instant::now());
    }

    /// The providers, as clients see them.
    pub async fn list_providers(&self) -> Vec<ProviderBody> {
        let open = self.0.breakers.open(Instant::now());
        let providers = self.providers().await;
        let finds = if self.outlives_answers() {
            for known in providers.iter() {
                self.discover_later(KeyOwner::Operator, known);
            }
            providers.iter().map(|known| self.found(KeyOwner::Operator, known)).collect()
        } else {
            self.discover_all(KeyOwner::Operator, &providers).await
        };
        let body = |(known, found): (&Known, &Found)| {
            let endpoint = known.provider.endpoint();
            let unavailable = open.iter().filter(|circuit| circuit.provider == endpoint.name);
            let unavailable = unavailable.map(|circuit| UnavailableModel {
                model: circuit.model.clone(),
                state: circuit.state.as_str().to_owned(),
                retry_after_seconds: circuit.retry_after.as_secs_f64().ceil() as u64,
            });
            ProviderBody {
                name: endpoint.name.clone(),
                kind: endpoint.vendor.kind.to_owned(),
                title: endpoint.vendor.title.to_owned(),
                configured: known.is_usable(),
                models: known.models.clone(),
                unavailable: unavailable.collect(),
                listed_models: found.models.as_ref().map(|models| models.len()),
                credits: known
                    .provider
                    .credits()
                    .filter(|_| known.is_usable())
                    .map(|credits| CreditsBody::new(&endpoint.name, &credits)),
            }
        };
        providers.iter().zip(&finds).map(body).collect()
    }

    /// Keeps a provider's key, in place of the one before; it is used from now on here, and within a minute
    /// everywhere.
    ///
    /// # Errors
    /// `invalid_request` if no provider can have this name, or the key is none; `conflict` if its settings
    /// have a key; `internal` if the store fails.
    pub async fn set_provider_key(&self, name: &str, key: &Secret) -> Result<(), ApiError> {
        let text = key.expose();
        if text.trim() != text || text.is_empty() || text.len() > 8192 || text.chars().any(char::is_control) {
            return Err(ApiError::invalid(
                "key",
                "key must be 1 to 8192 characters, without spaces around it",
            ));
        }
        let config = self.0.directory.routing.providers.get(name).cloned().unwrap_or_default();
        let checked = config.endpoint(name, Some(key.clone()));
        checked.map_err(|error| ApiError::invalid("name", error.to_string()))?;
        if config.api_key.is_some() {
            let message =
                format!("the settings of {name} have a key; take providers.{name}.api_key out of them first");
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
        .await?;
        self.key_changed(KeyOwner::Operator, name).await;
        Ok(())
    }

    /// Forgets a provider's key.
    ///
    /// # Errors
    /// `not_found` if none is kept; `internal` if the store fails.
    pub async fn remove_provider_key(&self, name: &str) -> Result<(), ApiError> {
        self.change_keys(|keys| match keys.remove(name) {
            Some(_) => Ok(()),
            None => {
                let message =
                    format!("no key is kept for {name}; `hearth key list` shows for whom there is one");
                Err(ApiError::new(ErrorCode::NotFound, message))
            }
        })
        .await
    }

    /// Reads, changes and writes what is kept; nobody else here does meanwhile.
    async fn change_keys(
        &self,
        change: impl FnOnce(&mut Map<String, Value>) -> Result<(), ApiError> + Send,
    ) -> Result<(), ApiError> {
        let _changing = self.0.directory.keys.lock().await;
        let secret = self.store().provider_keys().await.map_err(error::store)?;
        let text = secret.as_ref().map_or("{}", Secret::expose);
        let mut keys: Map<String, Value> = serde_json::from_str(text)
            .map_err(|_| error::internal(&"the providers' keys are no JSON object"))?;
        change(&mut keys)?;
        let keys = Secret::new(Value::Object(keys).to_string());
        self.store().put_provider_keys(&keys).await.map_err(error::store)?;
        self.read_providers().await;
        Ok(())
    }

    async fn kept_keys(&self) -> Result<BTreeMap<String, Kept>, String> {
        let secret = self.store().provider_keys().await.map_err(|error| error.to_string())?;
        let Some(secret) = secret else { return Ok(BTreeMap::new()) };
        // A parser's words may show a part of what it reads.
        serde_json::from_str(secret.expose()).map_err(|_| "the secret is no JSON object of keys".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(toml: &[(&str, &str)]) -> Directory {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = |text: &str| serde_json::from_str(text).unwrap();
        let providers = toml.iter().map(|(name, text)| ((*name).to_owned(), config(text))).collect();
        Directory::new(Routing { providers, ..Routing::default() }, reqwest::Client::new().into())
    }

    fn kept(json: &str) -> BTreeMap<String, Kept> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_key_alone_sets_a_vendor_up_and_settings_win() {
        let directory = directory(&[("groq", r#"{"api_key": "own", "models": ["m"]}"#), ("xai", "{}")]);
        let kept = kept(
            r#"{"openai": "sk-1", "groq": "other", "broken": "k",
                "rig": {"kind": "openai_compatible", "base_url": "http://rig:1/v1"}}"#,
        );
        let known = directory.build(&kept, &[]);
        let told: Vec<_> = known
            .iter()
            .map(|known| {
                (known.name(), known.provider.endpoint().key.as_ref().map(Secret::expose), known.is_usable())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("groq", Some("own"), true),
                ("openai", Some("sk-1"), true),
                ("rig", None, true),
                ("xai", None, false)
            ]
        );
    }
}
