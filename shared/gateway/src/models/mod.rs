//! Models of nodes and providers: listed, loaded, unloaded, removed.
//!
//! - `local`: the models of nodes, in the table and with their status.
//! - `provider`: the models of providers.
//! - `page`: pages of the list.
//! - `aliases`: aliases as entries of the list.

mod aliases;
mod local;
mod page;
mod provider;

use std::sync::Arc;

use hearth_domain::{RuntimeState, route::provider_and_model};
use hearth_providers::config::LOCAL;
use hearth_store::Store;
use hearth_wire::{
    ApiError, ErrorCode,
    native::models::{ModelBody, ModelQuery, ModelRemoved, place},
    ollama::untagged,
    runtime_status::RuntimeStatus,
};

pub use page::ModelPage;
pub(crate) use provider::ProviderModels;

use crate::{
    access::Caller, configuration::Configuration, error::no_such_model, keys::GatewayKeys, nodes::Nodes,
    providers::Providers, settings::AUTO,
};
use aliases::alias_entries;
use local::LocalModels;
use page::page_of;

/// The models that a user can name.
#[derive(Debug)]
pub(crate) struct Models {
    keys: Arc<GatewayKeys>,
    configuration: Arc<Configuration>,
    providers: Arc<Providers>,
    local: LocalModels,
    provider_models: Arc<ProviderModels>,
}

impl Models {
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        nodes: Arc<Nodes>,
        providers: Arc<Providers>,
        provider_models: Arc<ProviderModels>,
        configuration: Arc<Configuration>,
    ) -> Self {
        Self { keys, configuration, providers, local: LocalModels::new(store, nodes), provider_models }
    }

    /// A page of the models that a query selects.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor; `internal` if the store fails.
    pub(crate) async fn list(&self, caller: &Caller, query: ModelQuery) -> Result<ModelPage, ApiError> {
        page_of(caller.user, &query, &self.keys, self.select(caller, &query)).await
    }

    /// All models that a query selects: aliases, the models of the caller's nodes, and those of providers.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn select(
        &self,
        caller: &Caller,
        query: &ModelQuery,
    ) -> Result<Vec<ModelBody>, ApiError> {
        let provider = query.provider.as_deref();
        let mut models = self.local.list(caller.user).await?;
        if provider != Some(LOCAL) {
            models.extend(self.provider_models.list(provider).await);
        }
        if provider.is_none() {
            // An alias comes before a model of its name, as in a request.
            let routing = self.configuration.current().await;
            models.splice(0..0, alias_entries(&routing.aliases, &models));
        }
        models.retain(|model| {
            query.modality.is_none_or(|modality| model.modality == modality)
                && provider.is_none_or(|provider| model.provider == *provider)
                && query.status.is_none_or(|status| status.fits(model))
        });
        models.sort_by(|a, b| place(&a.id).cmp(&place(&b.id)));
        models.dedup_by(|a, b| a.id == b.id);
        Ok(models)
    }

    /// One model.
    ///
    /// # Errors
    /// `model_not_found`.
    pub(crate) async fn get(&self, caller: &Caller, id: &str) -> Result<ModelBody, ApiError> {
        if id == AUTO || self.configuration.current().await.aliases.contains_key(id) {
            let models = self.select(caller, &ModelQuery::default()).await?;
            return find(models, id).ok_or_else(|| no_such_model(id));
        }
        let local = self.local.list(caller.user).await?;
        let local_id =
            provider_and_model(id).filter(|(provider, _)| *provider == LOCAL).map_or(id, |(_, model)| model);
        if let Some(model) = find(local, local_id) {
            return Ok(model);
        }
        // A provider's model, with or without the provider's name.
        let providers = self.providers.configured().await;
        let owner = providers.iter().find(|provider| provider.models.iter().any(|model| model == id));
        let full_id = owner.map(|provider| format!("{}:{id}", provider.name()));
        let id = full_id.as_deref().unwrap_or(id);
        let model = match provider_and_model(id) {
            Some((provider, _)) => find(self.provider_models.list(Some(provider)).await, id),
            None => None,
        };
        model.ok_or_else(|| no_such_model(id))
    }

    /// The models in memory, or on their way there.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn loaded(&self, caller: &Caller) -> Result<Vec<ModelBody>, ApiError> {
        let mut models = self.local.list(caller.user).await?;
        models.retain(|model| {
            let state = model.runtime_status.as_ref().map(|status| status.state);
            matches!(state, Some(RuntimeState::Loading | RuntimeState::Loaded | RuntimeState::Busy))
        });
        Ok(models)
    }

    /// Begins to load a model on its node; returns its status after that.
    ///
    /// # Errors
    /// `model_not_found`, `model_load_failed`, `no_model_available` if there is no room.
    pub(crate) async fn load(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        self.local.node_of(caller.user, id).await?.load(id).await?;
        self.local.status(caller.user, id).await
    }

    /// Begins to unload a model; returns its status after that.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use.
    pub(crate) async fn unload(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        self.local.node_of(caller.user, id).await?.unload(id).await?;
        self.local.status(caller.user, id).await
    }

    /// Removes a local model's file from its node.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use, a default model, no local one, or lies outside of the folder.
    pub(crate) async fn remove(&self, caller: &Caller, id: &str) -> Result<ModelRemoved, ApiError> {
        let conflict = |message: String| ApiError::new(ErrorCode::Conflict, message).at("model");
        if self.configuration.current().await.aliases.contains_key(id) {
            return Err(conflict(format!("{id} is an alias of the settings, and has no file")));
        }
        let provider = provider_and_model(id).map(|(provider, _)| provider).filter(|name| *name != LOCAL);
        let node = self.local.node_of(caller.user, id).await;
        if let (Err(_), Some(provider)) = (&node, provider) {
            return Err(conflict(format!(
                "{id} is a model of the provider {provider}, and has no file here"
            )));
        }
        let removed = node?.remove(id).await?;
        Ok(ModelRemoved {
            model: id.to_owned(),
            removed: true,
            freed_bytes: removed.freed_bytes,
            link: removed.link,
        })
    }

    /// The model id for a name with the tag `latest`, which Ollama's clients add: the name without it, unless an alias or
    /// a provider's model has the full name.
    pub(crate) async fn without_latest_tag(&self, name: &str) -> String {
        let Some(id) = untagged(name) else { return name.to_owned() };
        let is_alias = self.configuration.current().await.aliases.contains_key(name);
        let is_taken = is_alias
            || self.providers.configured().await.iter().any(|one| one.models.iter().any(|m| m == name));
        if is_taken { name.to_owned() } else { id.to_owned() }
    }
}

fn find(mut models: Vec<ModelBody>, id: &str) -> Option<ModelBody> {
    let index = models.iter().position(|model| model.id == id)?;
    Some(models.swap_remove(index))
}
