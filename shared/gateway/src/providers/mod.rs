//! The configured providers: credentials, circuit breakers, load, balances, lists of models.
//!
//! - `registry`: the configured providers; `credentials`: their stored keys.
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
pub(crate) mod registry;

use std::{sync::Arc, time::Instant};

use hearth_domain::{CreditStatus, ModelInfo, Secret};
use hearth_providers::{Provider as _, VendorClient};
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
    background::Background,
    configuration::{Configuration, RoutingSnapshot},
    keys::GatewayKeys,
};
use balance::Balances;
use breaker::{CircuitBreakers, OpenCircuit, State};
use load::LoadTracker;
use model_lists::{ModelListing, ModelLists};
use registry::ProviderRegistry;

/// The configured providers.
#[derive(Debug)]
pub(crate) struct Providers {
    registry: Arc<ProviderRegistry>,
    pub(crate) breakers: CircuitBreakers,
    pub(crate) load: LoadTracker,
    pub(crate) balances: Arc<Balances>,
    pub(crate) model_lists: Arc<ModelLists>,
    background: Background,
}

impl Providers {
    /// `configuration` has the settings of the providers.
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        http: VendorClient,
        configuration: Arc<Configuration>,
        background: Background,
    ) -> Self {
        let breakers = CircuitBreakers::default();
        let registry =
            ProviderRegistry::new(store.clone(), configuration, http, breakers.clone(), background);
        let registry = Arc::new(registry);
        let balances = Arc::new(Balances::new(Arc::clone(&registry), background));
        let model_lists = Arc::new(ModelLists::new(store, keys, Arc::clone(&balances), background));
        Self { registry, breakers, load: LoadTracker::default(), balances, model_lists, background }
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

    /// The providers, as clients see them.
    pub(crate) async fn list(&self) -> Vec<ProviderBody> {
        let providers = self.configured().await;
        // After the providers, since a changed one's circuits are forgotten.
        let open = self.breakers.open(Instant::now());
        let refresh = Arc::clone(&self.model_lists).refresh_all(Arc::clone(&providers));
        self.background.spawn_or_wait(refresh).await;
        providers
            .iter()
            .map(|provider| provider_body(provider, &self.model_lists.cached(provider), &open))
            .collect()
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
        if self.balances.is_out_of_credit(&provider.provider, Some(info)) {
            return Availability::OutOfCredit;
        }
        if self.breakers.state(provider.name(), model, Instant::now()) != State::Closed {
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
    let unavailable = open.iter().filter(|circuit| circuit.provider == endpoint.name);
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
        models: provider.models.clone(),
        unavailable: unavailable.collect(),
        listed_models: listing.models.as_ref().map(|models| models.len()),
        credits: credits.map(|credits| CreditsBody::new(&endpoint.name, &credits)),
    }
}
