//! The configured providers: credentials, circuit breakers, load, balances, lists of models.
//!
//! - `registry`: the configured providers; `credentials`: the operator's stored keys.
//! - `own_keys`: the stored keys of users, teams and organisations.
//! - `breaker`: circuit breakers, one for each model of a provider.
//! - `load`: requests in progress, and the time to the first token.
//! - `balance`: balances, read in the background.
//! - `model_metrics`: the metrics of a model's operations, tokens and cost.
//! - `model_lists`: the models that a provider lists, cached for an hour.

pub(crate) mod balance;
pub(crate) mod breaker;
mod credentials;
pub(crate) mod load;
pub(crate) mod model_lists;
pub(crate) mod model_metrics;
pub(crate) mod own_keys;
pub(crate) mod registry;

use std::{sync::Arc, time::Instant};

use hearth_domain::{CreditStatus, ModelInfo, Secret};
use hearth_providers::{Provider as _, VendorClient};
use hearth_settings::KeySettings;
use hearth_store::Store;
use hearth_wire::{
    ApiError,
    native::{
        models::Availability,
        providers::{CreditsBody, ProviderBody, UnavailableModel},
    },
};

pub(crate) use registry::ConfiguredProvider;

use crate::{
    access::Caller,
    background::Background,
    configuration::{Configuration, RoutingSnapshot},
    keys::GatewayKeys,
};
use balance::Balances;
use breaker::{CircuitBreakers, OpenCircuit, State};
use load::LoadTracker;
use model_lists::{ModelListing, ModelLists};
use own_keys::{StoredKeys, accounts::Accounts};
use registry::ProviderRegistry;

/// The configured providers.
#[derive(Debug)]
pub(crate) struct Providers {
    registry: Arc<ProviderRegistry>,
    pub(crate) breakers: CircuitBreakers,
    pub(crate) load: LoadTracker,
    pub(crate) balances: Arc<Balances>,
    pub(crate) model_lists: Arc<ModelLists>,
    pub(crate) stored_keys: StoredKeys,
    pub(crate) accounts: Arc<Accounts>,
    background: Background,
}

impl Providers {
    /// `configuration` has the settings of the providers. `http`: the clients for vendors, and for users' servers.
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        settings: KeySettings,
        http: (VendorClient, VendorClient),
        configuration: Arc<Configuration>,
        background: Background,
    ) -> Self {
        let (http, user_servers) = http;
        let stored_keys = StoredKeys::new(store.clone());
        let accounts = Accounts::new(store.clone(), settings, http.clone(), user_servers);
        let accounts = Arc::new(accounts);
        let breakers = CircuitBreakers::default();
        let registry =
            ProviderRegistry::new(store.clone(), configuration, http, breakers.clone(), background);
        let registry = Arc::new(registry);
        let balances = Arc::new(Balances::new(Arc::clone(&registry), background));
        let model_lists = Arc::new(ModelLists::new(store, keys, Arc::clone(&balances), background));
        let load = LoadTracker::default();
        Self { registry, breakers, load, balances, model_lists, stored_keys, accounts, background }
    }

    /// The configured providers, without waiting for credentials that are read again.
    pub(crate) async fn configured(&self) -> Arc<[ConfiguredProvider]> {
        self.registry.configured().await
    }

    /// The configured providers of this routing.
    pub(crate) async fn configured_by(&self, routing: &Arc<RoutingSnapshot>) -> Arc<[ConfiguredProvider]> {
        self.registry.configured_by(routing).await
    }

    /// The routing in force.
    pub(crate) async fn routing(&self) -> Arc<RoutingSnapshot> {
        self.registry.routing().await
    }

    /// The providers, as the caller sees them.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn list(&self, caller: &Caller) -> Result<Vec<ProviderBody>, ApiError> {
        let providers = self.listed_for(caller, &self.routing().await).await?;
        // After the providers, since a changed one's circuits are forgotten.
        let open = self.breakers.open(Instant::now());
        let refresh = Arc::clone(&self.model_lists).refresh_all(Arc::clone(&providers));
        self.background.spawn_or_wait(refresh).await;
        let body = |provider| provider_body(provider, &self.model_lists.cached(provider), &open);
        Ok(providers.iter().map(body).collect())
    }

    /// Stores a provider's key, and reads its balance and its models with it.
    pub(crate) async fn set_key(&self, name: &str, key: &Secret) -> Result<(), ApiError> {
        self.registry.set_key(name, key).await?;
        self.balances.forget(name);
        if let Some(provider) = self.configured().await.iter().find(|provider| provider.name() == name) {
            self.model_lists.refresh_later(provider);
        }
        Ok(())
    }

    /// Deletes a provider's key.
    pub(crate) async fn remove_key(&self, name: &str) -> Result<(), ApiError> {
        self.registry.remove_key(name).await
    }

    /// Fetches the model list of each provider in the background, if it is due.
    pub(crate) async fn refresh_model_lists(&self) {
        for provider in self.configured().await.iter() {
            self.model_lists.refresh_later(provider);
        }
    }

    /// Sets the gauges of the providers' states.
    pub(crate) async fn update_gauges(&self) {
        let providers = self.configured().await;
        self.breakers.update_gauges(providers.iter().map(ConfiguredProvider::name), Instant::now());
    }

    /// The availability of a provider's model. `is_listed`: the provider lists it for this key; none if it hasn't listed
    /// any.
    pub(crate) fn availability(
        &self,
        provider: &ConfiguredProvider,
        model: &str,
        info: &ModelInfo,
        is_listed: Option<bool>,
    ) -> Availability {
        if !provider.is_usable() {
            return Availability::NoKey;
        }
        if self.balances.is_out_of_credit(&provider.provider, provider.account(), Some(info)) {
            return Availability::OutOfCredit;
        }
        if self.breakers.state(provider.account(), model, Instant::now()) != State::Closed {
            return Availability::Unavailable;
        }
        let credits = provider.provider.credits();
        if credits.is_some_and(|credits| credits.status == CreditStatus::RateLimited) {
            return Availability::RateLimited;
        }
        if is_listed == Some(true) { Availability::Available } else { Availability::Unknown }
    }
}

fn provider_body(
    provider: &ConfiguredProvider,
    listing: &ModelListing,
    open: &[OpenCircuit],
) -> ProviderBody {
    let endpoint = provider.provider.endpoint();
    let unavailable = open.iter().filter(|circuit| circuit.account == provider.account());
    let unavailable = unavailable.map(|circuit| UnavailableModel {
        model: circuit.model.clone(),
        state: circuit.state.as_str().to_owned(),
        retry_after_seconds: circuit.retry_after.as_secs_f64().ceil() as u64,
    });
    let credits = provider.provider.credits().filter(|_| provider.is_usable());
    ProviderBody {
        name: endpoint.name.clone(),
        kind: endpoint.vendor.kind.to_owned(),
        title: endpoint.vendor.title.to_owned(),
        configured: provider.is_usable(),
        payer: provider.is_usable().then(|| provider.payer()),
        models: provider.models.clone(),
        unavailable: unavailable.collect(),
        listed_models: listing.models.as_ref().map(|models| models.len()),
        credits: credits.map(|credits| CreditsBody::new(&endpoint.name, &credits)),
    }
}
