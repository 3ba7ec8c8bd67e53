//! Lists of the models that the providers' keys can reach.
//!
//! A provider's list is fetched at the start, when its key changes, and when the list is an hour old and is used. It is
//! cached in the process, and stored in the table, so that the next process needn't fetch it. One task at a time fetches
//! a list, and at most once a minute, whether that succeeds or not. Only a request for the list itself waits for it, and
//! for a limited time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::{CredentialId, Secret, Timestamp};
use hearth_providers::{Endpoint, model_info::ListedModel};
use hearth_store::{Store, discoveries::Discovery};
use hearth_wire::ErrorCode;

use super::{balance::Balances, registry::ConfiguredProvider};
use crate::{
    background::{self, Background},
    keys::GatewayKeys,
};

/// Age at which a list is fetched again.
const MODEL_LIST_TTL: Duration = Duration::from_secs(3600);
/// Interval between two attempts to fetch a list.
const FETCH_INTERVAL: Duration = Duration::from_secs(60);
/// Timeout of a request that waits for the lists of all providers.
const MODEL_LISTS_TIMEOUT: Duration = Duration::from_secs(3);

/// Limit of the number of lists in memory.
const SLOT_MAX_COUNT: usize = 2000;

/// The providers' lists of models.
#[derive(Debug)]
pub(crate) struct ModelLists {
    store: Store,
    keys: Arc<GatewayKeys>,
    balances: Arc<Balances>,
    background: Background,
    /// By account.
    slots: Mutex<HashMap<String, Arc<ListSlot>>>,
}

/// The list of one provider, for one key.
#[derive(Debug)]
struct ListSlot {
    /// The account at the provider.
    account: String,
    /// The version of a key that isn't the operator's.
    version: Option<CredentialId>,
    /// The address and the key of the list.
    endpoint: Endpoint,
    /// Held while the list is fetched.
    fetching: tokio::sync::Mutex<()>,
    listing: Mutex<ModelListing>,
}

/// A provider's list of models, as it was fetched last.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelListing {
    /// The models, sorted by id; none if the list was never fetched.
    pub(crate) models: Option<Arc<[ListedModel]>>,
    /// The error of the latest attempt.
    pub(crate) problem: Option<ErrorCode>,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    /// The stored list was read.
    is_restored: bool,
}

impl ListSlot {
    fn listing(&self) -> MutexGuard<'_, ModelListing> {
        self.listing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModelListing {
    /// The entry of this id.
    pub(crate) fn entry(&self, model: &str) -> Option<&ListedModel> {
        let models = self.models.as_ref()?;
        models.binary_search_by(|listed| listed.id.as_str().cmp(model)).ok().and_then(|at| models.get(at))
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let since = |at: Option<Timestamp>| at.map(|at| at.until(now));
        since(self.tried_at).is_none_or(|passed| passed >= FETCH_INTERVAL)
            && since(self.fetched_at).is_none_or(|passed| passed >= MODEL_LIST_TTL)
    }
}

impl ModelLists {
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        balances: Arc<Balances>,
        background: Background,
    ) -> Self {
        Self { store, keys, balances, background, slots: Mutex::default() }
    }

    /// A provider's list as it is cached.
    pub(crate) fn cached(&self, provider: &ConfiguredProvider) -> ModelListing {
        self.slot(provider).listing().clone()
    }

    /// A provider's list as it is cached. If it is due, it is fetched in the background.
    pub(crate) fn get(self: &Arc<Self>, provider: &ConfiguredProvider) -> ModelListing {
        let listing = self.cached(provider);
        let can_list = provider.can_be_called() && provider.provider.lists_models();
        if can_list && (!listing.is_restored || listing.is_due(Timestamp::now())) {
            self.refresh_later(provider);
        }
        listing
    }

    /// Fetches all lists that are due. Returns when they are there, or after a timeout.
    pub(crate) async fn refresh_all(self: Arc<Self>, providers: Arc<[ConfiguredProvider]>) {
        let fetches = providers.iter().map(|provider| {
            let (lists, provider) = (Arc::clone(&self), provider.clone());
            // In a task of its own, so that the timeout doesn't end it.
            background::spawn(async move { lists.refresh(&provider).await })
        });
        let _ = tokio::time::timeout(MODEL_LISTS_TIMEOUT, futures::future::join_all(fetches)).await;
    }

    /// Fetches a provider's list in the background, if it is due. A process that is frozen after a response only reads
    /// the stored list.
    pub(crate) fn refresh_later(self: &Arc<Self>, provider: &ConfiguredProvider) {
        let slot = self.slot(provider);
        if slot.fetching.try_lock().is_err() {
            return;
        }
        let (lists, provider) = (Arc::clone(self), provider.clone());
        background::spawn(async move {
            if lists.background.outlives_response() {
                lists.refresh(&provider).await;
            } else {
                let _fetching = slot.fetching.lock().await;
                lists.restore(&slot).await;
            }
        });
    }

    /// Fetches a provider's list and its balance, if they are due.
    pub(crate) async fn refresh(&self, provider: &ConfiguredProvider) {
        let slot = self.slot(provider);
        // Concurrent callers wait here; then the list is no longer due.
        let _fetching = slot.fetching.lock().await;
        self.restore(&slot).await;
        self.balances.poll(provider).await;
        let now = Timestamp::now();
        if !provider.can_be_called() || !provider.provider.lists_models() || !slot.listing().is_due(now) {
            return;
        }
        slot.listing().tried_at = Some(now);
        let result = provider.provider.models().await;
        {
            let (name, mut listing) = (provider.name(), slot.listing());
            match result {
                Ok(models) => {
                    tracing::info!(provider = name, models = models.len(), "a provider listed its models");
                    listing.models = Some(models.into());
                    (listing.fetched_at, listing.problem) = (Some(now), None);
                }
                Err(error) => {
                    // Some servers have no list: one line in the log is enough.
                    if listing.problem != Some(error.code) {
                        let code = error.code.as_str();
                        tracing::warn!(provider = name, code, "a provider's models can't be listed");
                    }
                    listing.problem = Some(error.code);
                }
            }
        }
        self.store_listing(&slot).await;
    }

    /// Reads the stored list, once, if it is of the same address and key.
    async fn restore(&self, slot: &ListSlot) {
        if slot.listing().is_restored {
            return;
        }
        let stored = match self.store.discoveries().get(&slot.account).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "a stored list of models can't be read");
                return;
            }
        };
        let fingerprint = self.fingerprint(slot).await;
        let mut listing = slot.listing();
        listing.is_restored = true;
        let Some(stored) = stored.filter(|stored| Some(&stored.fingerprint) == fingerprint.as_ref()) else {
            return;
        };
        if listing.tried_at.is_some_and(|at| at >= stored.tried_at) {
            return;
        }
        let models = stored.models.and_then(|json| serde_json::from_str::<Vec<ListedModel>>(&json).ok());
        listing.fetched_at = stored.found_at.filter(|_| models.is_some());
        listing.models = models.map(Into::into);
        listing.tried_at = Some(stored.tried_at);
        let code = |name: String| ErrorCode::ALL.iter().find(|code| code.as_str() == name).copied();
        listing.problem = stored.problem.and_then(code);
    }

    async fn store_listing(&self, slot: &ListSlot) {
        let Some(fingerprint) = self.fingerprint(slot).await else { return };
        let ModelListing { models, problem, fetched_at, tried_at, .. } = slot.listing().clone();
        let discovery = Discovery {
            fingerprint,
            tried_at: tried_at.unwrap_or_else(Timestamp::now),
            found_at: fetched_at,
            models: models.and_then(|models| serde_json::to_string(&*models).ok()),
            problem: problem.map(|code| code.as_str().to_owned()),
        };
        let discoveries = self.store.discoveries();
        if let Err(error) = discoveries.put(&slot.account, discovery).await {
            tracing::warn!(%error, "a list of models can't be stored");
        }
    }

    /// The slot of a provider; a new one if its address or its key has changed.
    fn slot(&self, provider: &ConfiguredProvider) -> Arc<ListSlot> {
        let (endpoint, account) = (provider.provider.endpoint(), provider.account());
        let version = provider.own_key.as_ref().and_then(|key| key.secret_id);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let (fetching, listing) = (tokio::sync::Mutex::default(), Mutex::default());
            let (account, endpoint) = (account.to_owned(), endpoint.clone());
            Arc::new(ListSlot { account, version, endpoint, fetching, listing })
        };
        if let Some(slot) = slots.get_mut(account) {
            // An access token changes with each refresh, and the account doesn't.
            if slot.version != version || (version.is_none() && slot.endpoint != *endpoint) {
                *slot = new();
            }
            return Arc::clone(slot);
        }
        if slots.len() >= SLOT_MAX_COUNT {
            // The slots that a fetch holds stay.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(account.to_owned()).or_insert_with(new))
    }

    /// Identifies an address and a key, without the key.
    async fn fingerprint(&self, slot: &ListSlot) -> Option<String> {
        let ListSlot { endpoint, version, .. } = slot;
        let stored = version.map(|version| version.to_string());
        let key = stored.as_deref().or(endpoint.key.as_ref().map(Secret::expose)).unwrap_or_default();
        let text = format!("{}|{}|{key}", endpoint.vendor.kind, endpoint.base_url);
        self.keys.get().await.ok().map(|keys| keys.fingerprint(&text))
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::Secret;
    use hearth_providers::{Endpoint, HttpProvider, ProviderSettings};

    use super::{
        super::{breaker::CircuitBreakers, registry::ProviderRegistry},
        *,
    };
    use crate::{configuration::Configuration, settings::Routing};

    fn provider(key: &str) -> ConfiguredProvider {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = Endpoint::new("openai", &ProviderSettings::default(), Some(Secret::new(key))).unwrap();
        let provider = HttpProvider::new(endpoint, reqwest::Client::new());
        let defaults = hearth_providers::Defaults::default();
        ConfiguredProvider { provider, models: Vec::new(), defaults, has_withheld_key: false, own_key: None }
    }

    fn lists() -> ModelLists {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (store, background) = (Store::unconnected(), Background::new(true));
        let http = reqwest::Client::new().into();
        let breakers = CircuitBreakers::default();
        let interval = Duration::from_secs(60);
        let configuration = Configuration::new(store.clone(), Routing::default(), interval, true, background);
        let configuration = Arc::new(configuration);
        let registry = ProviderRegistry::new(store.clone(), configuration, http, breakers, background);
        let balances = Arc::new(Balances::new(Arc::new(registry), background));
        let keys = Arc::new(GatewayKeys::new(store.clone(), None));
        ModelLists::new(store, keys, balances, background)
    }

    fn listing(fetched: Option<i64>, tried: Option<i64>) -> ModelListing {
        let at = |second: i64| Timestamp::from_unix(second);
        ModelListing { fetched_at: fetched.map(at), tried_at: tried.map(at), ..ModelListing::default() }
    }

    #[test]
    fn list_is_due_hourly_and_a_minute_after_a_failure() {
        let due = |state: &ModelListing, second| state.is_due(Timestamp::from_unix(second));
        assert!(due(&ModelListing::default(), 0));
        let fetched = listing(Some(0), Some(0));
        assert!(!due(&fetched, 3599) && due(&fetched, 3600));
        let failed = listing(None, Some(0));
        assert!(!due(&failed, 59) && due(&failed, 60));
        // Fetched long ago, and failed just now.
        let stale = listing(Some(0), Some(4000));
        assert!(!due(&stale, 4059) && due(&stale, 4060));
    }

    #[test]
    fn each_key_has_a_list_of_its_own() {
        let lists = lists();
        let slot = lists.slot(&provider("a"));
        assert!(Arc::ptr_eq(&slot, &lists.slot(&provider("a"))));
        assert!(!Arc::ptr_eq(&slot, &lists.slot(&provider("b"))));
        assert!(!format!("{slot:?}").contains("Secret(\"a"));
    }

    #[test]
    fn entry_is_found_by_its_id() {
        let listed = |id: &str| ListedModel { id: id.to_owned(), created: None, info: Default::default() };
        let listing = ModelListing { models: Some(["a", "c"].map(listed).into()), ..ModelListing::default() };
        assert_eq!(listing.entry("c").map(|listed| listed.id.as_str()), Some("c"));
        assert_eq!(listing.entry("b"), None);
        assert_eq!(ModelListing::default().entry("a"), None);
    }
}
