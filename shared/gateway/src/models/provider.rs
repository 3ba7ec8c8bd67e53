//! The models of providers, with their metadata.

use std::{borrow::Cow, sync::Arc};

use hearth_domain::ModelInfo;
use hearth_providers::ModelInfoTable;
use hearth_wire::{
    ApiError, ErrorCode,
    native::models::{Availability, ModelBody, tell_names_apart},
};

use crate::{
    access::Caller,
    providers::{ConfiguredProvider, Providers, model_lists::ModelListing},
    settings::Routing,
};

/// A model of a provider.
#[derive(Debug, Clone)]
struct OfferedModel {
    /// The provider's name for it.
    model: String,
    info: ModelInfo,
    availability: Availability,
    /// The time since which the provider has it, in seconds since 1970.
    created: Option<i64>,
}

/// The models of providers: those of the table of models, with those that the providers list.
#[derive(Debug)]
pub(crate) struct ProviderModels {
    providers: Arc<Providers>,
}

impl ProviderModels {
    pub(crate) fn new(providers: Arc<Providers>) -> Self {
        Self { providers }
    }

    /// The models of one provider, or of all, that the caller's keys reach. Waits for their lists, for a limited time.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        provider: Option<&str>,
    ) -> Result<Vec<ModelBody>, ApiError> {
        let routing = self.providers.routing().await;
        let providers = self.providers.listed_for(caller, &routing).await?;
        let mut selected = providers.to_vec();
        selected.retain(|one| provider.is_none_or(|name| one.name() == name));
        Arc::clone(&self.providers.model_lists).refresh_all(selected.clone().into()).await;
        let mut models = Vec::new();
        for provider in &selected {
            let listing = self.providers.model_lists.cached(provider);
            let offered = self.offered(&routing.model_info, provider, &listing).into_iter().map(|offered| {
                let OfferedModel { model, info, availability, created } = offered;
                ModelBody::offered(provider.name(), &model, info, availability, created)
            });
            let mut offered: Vec<_> = offered.collect();
            tell_names_apart(&mut offered);
            models.extend(offered);
        }
        Ok(models)
    }

    /// The models of a provider that serve a request that names none, in the order of preference: those of the settings;
    /// else those that it lists, or, without a list, those of the table of models.
    pub(crate) fn default_models(&self, routing: &Routing, provider: &ConfiguredProvider) -> Vec<String> {
        if !provider.models.is_empty() {
            return provider.models.clone();
        }
        let (name, kind) = (provider.name(), provider.kind());
        let mut models: Vec<String> =
            routing.model_info.models_of(name, kind).into_iter().map(|(model, _)| model).collect();
        if let Some(listed) = self.providers.model_lists.get(provider).models {
            models.retain(|model| listed.iter().any(|listed| listed.id == *model));
            let others = listed.iter().map(|listed| &listed.id);
            let others: Vec<String> = others
                .filter(|model| !models.contains(model) && !routing.model_info.is_unsupported(kind, model))
                .cloned()
                .collect();
            models.extend(others);
        }
        models
    }

    /// The metadata of a provider's model, as far as it is in this process.
    pub(crate) fn info(
        &self,
        routing: &Routing,
        provider: &ConfiguredProvider,
        model: &str,
    ) -> Option<ModelInfo> {
        let (name, kind, model_info) = (provider.name(), provider.kind(), &routing.model_info);
        match self.providers.model_lists.get(provider).entry(model) {
            Some(listed) if listed.has_info() => Some(model_info.info_of_listed(name, kind, listed)),
            _ => model_info.info(name, kind, model).map(Cow::into_owned),
        }
    }

    /// The models of a provider: those of its settings, those that it lists, and without a list those of the table of models.
    fn offered(
        &self,
        model_info: &ModelInfoTable,
        provider: &ConfiguredProvider,
        listing: &ModelListing,
    ) -> Vec<OfferedModel> {
        let (name, kind) = (provider.name(), provider.kind());
        let is_refused = listing.problem == Some(ErrorCode::ProviderAuth);
        let mut models: Vec<String> = provider.models.clone();
        models.extend(model_info.overridden_models(name).map(str::to_owned));
        match &listing.models {
            Some(listed) => {
                let served = listed.iter().filter(|listed| !model_info.is_unsupported(kind, &listed.id));
                models.extend(served.map(|listed| listed.id.clone()));
            }
            None if provider.is_usable() && provider.provider.lists_models() && !is_refused => {
                models.extend(model_info.models_of(name, kind).into_iter().map(|(model, _)| model));
            }
            None => {}
        }
        models.sort_unstable();
        models.dedup();
        let offered = |model: String| {
            let listed = listing.entry(&model);
            let info = match listed {
                Some(listed) => model_info.info_of_listed(name, kind, listed),
                None => model_info.info(name, kind, &model).unwrap_or_default().into_owned(),
            };
            let is_listed = listing.models.as_ref().map(|_| listed.is_some());
            let availability = match self.providers.availability(provider, &model, &info, is_listed) {
                Availability::Unknown if is_refused => Availability::NoKey,
                availability => availability,
            };
            OfferedModel { availability, created: listed.and_then(|listed| listed.created), info, model }
        };
        models.into_iter().map(offered).collect()
    }
}
