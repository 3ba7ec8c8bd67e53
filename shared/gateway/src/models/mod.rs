//! Models of nodes and providers: listed, loaded, unloaded, removed.
//!
//! - `local`: the models of nodes, in the table and with their status.
//! - `provider`: the models of providers.
//! - `page`: pages of the list.
//! - `aliases`: aliases as entries of the list.
//! - `registry`: the registries in this process; `entries`: explicit entries in the list; `registration`: their changes;
//!   `schemas`: schemas of parameters; `access`: what routes call of them.

mod access;
mod aliases;
mod downloading;
mod entries;
mod local;
mod page;
mod provider;
mod registration;
pub(crate) mod registry;
mod schemas;

use std::sync::Arc;

use hearth_domain::{MemberRole, RuntimeState, route::provider_and_model};
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
use aliases::{alias_entries, stands_for_listed};
use entries::lay_over;
use local::LocalModels;
use page::page_of;
pub(crate) use registry::Registries;
pub(crate) use registry::RegistrySnapshot;
use registry::target_of;

/// The models that a user can name.
#[derive(Debug)]
pub(crate) struct Models {
    keys: Arc<GatewayKeys>,
    configuration: Arc<Configuration>,
    providers: Arc<Providers>,
    local: LocalModels,
    provider_models: Arc<ProviderModels>,
    store: Store,
    registries: Arc<Registries>,
}

impl Models {
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        nodes: Arc<Nodes>,
        providers: Arc<Providers>,
        provider_models: Arc<ProviderModels>,
        configuration: Arc<Configuration>,
        registries: Arc<Registries>,
    ) -> Self {
        let local = LocalModels::new(store.clone(), nodes);
        Self { keys, configuration, providers, local, provider_models, store, registries }
    }

    /// A page of the models that a query selects.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor; `internal` if the store fails.
    pub(crate) async fn list(&self, caller: &Caller, query: ModelQuery) -> Result<ModelPage, ApiError> {
        let mut page = page_of(caller.owner(), &query, &self.keys, self.select(caller, &query)).await?;
        page.models.iter_mut().for_each(|model| model.card = None);
        Ok(page)
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
        let registry = self.registries.current(caller.organisation).await;
        let mut models = self.unregistered(caller, provider, &registry).await?;
        let mut aliases = Vec::new();
        if provider.is_none() {
            // An alias comes before a model of its name, as in a request.
            let routing = self.configuration.current().await;
            aliases = alias_entries(&routing.aliases, &models);
            if caller.models.is_some() {
                aliases.retain(|alias| stands_for_listed(&alias.id, &routing.aliases, &models));
            }
        }
        let lists_unknown = provider.is_none() && caller.models.is_none();
        // An explicit entry comes before an alias, as in a request.
        aliases.retain(|alias| !registry.entries.contains_key(&alias.id));
        models = lay_over(models, &registry, lists_unknown);
        models.splice(0..0, aliases);
        hide_registrations(caller, &mut models);
        models.retain(|model| {
            query.modality.is_none_or(|modality| model.modality == modality)
                && provider.is_none_or(|provider| model.provider == *provider)
                && query.status.is_none_or(|status| status.fits(model))
                && query.capability.is_none_or(|capability| model.capabilities.contains(&capability))
                && query.source.is_none_or(|source| model.source == source)
        });
        if let Some(search) = &query.search {
            let search = search.to_lowercase();
            models.retain(|model| contains(model, &search));
        }
        models.sort_by(|a, b| place(&a.id).cmp(&place(&b.id)));
        models.dedup_by(|a, b| a.id == b.id);
        Ok(models)
    }

    /// The models of nodes and providers, without the explicit entries.
    async fn unregistered(
        &self,
        caller: &Caller,
        provider: Option<&str>,
        registry: &RegistrySnapshot,
    ) -> Result<Vec<ModelBody>, ApiError> {
        let mut models = self.local.list(caller, registry).await?;
        if provider != Some(LOCAL) {
            models.extend(self.provider_models.list(caller, provider).await?);
        }
        models.retain(|model| may_use(caller, model));
        Ok(models)
    }

    /// One model.
    ///
    /// # Errors
    /// `model_not_found`.
    pub(crate) async fn get(&self, caller: &Caller, id: &str) -> Result<ModelBody, ApiError> {
        let registry = self.registries.current(caller.organisation).await;
        let is_name = id == AUTO || registry.entries.contains_key(id);
        if is_name || self.configuration.current().await.aliases.contains_key(id) {
            let models = self.select(caller, &ModelQuery::default()).await?;
            return find(models, id).ok_or_else(|| no_such_model(id));
        }
        let model = self.unregistered_model(caller, id, &registry).await?;
        let schema_version = registry.schemas.get(&model.id).map(|schema| schema.version.version());
        Ok(ModelBody { schema_version, ..model })
    }

    /// One model of a node or a provider.
    ///
    /// # Errors
    /// `model_not_found`.
    async fn unregistered_model(
        &self,
        caller: &Caller,
        id: &str,
        registry: &RegistrySnapshot,
    ) -> Result<ModelBody, ApiError> {
        let local = self.local.list(caller, registry).await?;
        let local_id =
            provider_and_model(id).filter(|(provider, _)| *provider == LOCAL).map_or(id, |(_, model)| model);
        if let Some(model) = find(local, local_id) {
            return Some(model).filter(|model| may_use(caller, model)).ok_or_else(|| no_such_model(id));
        }
        // A provider's model, with or without the provider's name.
        let routing = self.configuration.current().await;
        let providers = self.providers.configured_for(caller, &routing).await?;
        let owner = providers.iter().find(|provider| provider.models.iter().any(|model| model == id));
        let full_id = owner.map(|provider| format!("{}:{id}", provider.name()));
        let id = full_id.as_deref().unwrap_or(id);
        let model = match provider_and_model(id) {
            Some((provider, _)) => find(self.provider_models.list(caller, Some(provider)).await?, id),
            None => None,
        };
        model.filter(|model| may_use(caller, model)).ok_or_else(|| no_such_model(id))
    }

    /// The models in memory, or on their way there.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn loaded(&self, caller: &Caller) -> Result<Vec<ModelBody>, ApiError> {
        let registry = self.registries.current(caller.organisation).await;
        let mut models = self.local.list(caller, &registry).await?;
        models.retain(|model| {
            let state = model.runtime_status.as_ref().map(|status| status.state);
            matches!(state, Some(RuntimeState::Loading | RuntimeState::Loaded | RuntimeState::Busy))
                && may_use(caller, model)
        });
        Ok(models)
    }

    /// Begins to load a model on its node; returns its status after that.
    ///
    /// # Errors
    /// `model_not_found`, `model_load_failed`, `no_model_available` if there is no room.
    pub(crate) async fn load(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        let id = &*self.local_name(caller, id).await;
        caller.require_model(LOCAL, id)?;
        self.local.load(caller, id).await?;
        self.local.status(caller, id).await
    }

    /// Begins to unload a model; returns its status after that.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use.
    pub(crate) async fn unload(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        let id = &*self.local_name(caller, id).await;
        caller.require_model(LOCAL, id)?;
        self.local.unload(caller, id).await?;
        self.local.status(caller, id).await
    }

    /// The name of a model on nodes: for an explicit entry, that of its target.
    async fn local_name(&self, caller: &Caller, id: &str) -> String {
        let registry = self.registries.current(caller.organisation).await;
        let target = registry.entries.get(id).map_or(id, |entry| target_of(entry));
        target.strip_prefix("local:").unwrap_or(target).to_owned()
    }

    /// Removes an explicit entry; without one, and unless `only_registration` is set, a local model's file from its node.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use, a default model, no local one, or lies outside of the folder.
    pub(crate) async fn remove(
        &self,
        caller: &Caller,
        id: &str,
        only_registration: bool,
    ) -> Result<ModelRemoved, ApiError> {
        // Read now: another process may have registered it, and a file would be lost.
        if only_registration || self.is_registered(caller, id).await? {
            return self.unregister(caller, id).await;
        }
        caller.require_model(LOCAL, id)?;
        let conflict = |message: String| ApiError::new(ErrorCode::Conflict, message).at("model");
        if self.configuration.current().await.aliases.contains_key(id) {
            return Err(conflict(format!("{id} is an alias of the settings, and has no file")));
        }
        let provider = provider_and_model(id).map(|(provider, _)| provider).filter(|name| *name != LOCAL);
        let node = self.local.node_to_remove_from(caller, id).await;
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
            registration: false,
        })
    }

    /// The model id for a name with the tag `latest`, which Ollama's clients add: the name without it, unless an alias or
    /// a provider's model has the full name. A model of the library that a node has downloaded has its tag behind a dash.
    pub(crate) async fn without_latest_tag(&self, caller: &Caller, name: &str) -> String {
        let Some(id) = untagged(name) else { return self.with_dashed_tag(caller, name).await };
        let is_alias = self.configuration.current().await.aliases.contains_key(name);
        let is_taken = is_alias
            || self.providers.configured().await.iter().any(|one| one.models.iter().any(|m| m == name));
        if is_taken { name.to_owned() } else { id.to_owned() }
    }

    /// The id of a local model whose file was downloaded under this name and tag; else the name.
    async fn with_dashed_tag(&self, caller: &Caller, name: &str) -> String {
        let Some((family, tag)) = name.split_once(':').filter(|(_, tag)| !tag.contains(['/', ':'])) else {
            return name.to_owned();
        };
        let id = format!("{}-{tag}", family.rsplit('/').next().unwrap_or(family));
        let is_local = |model: &ModelBody| model.node.is_some();
        let is_name_free = self.get(caller, name).await.is_err();
        match is_name_free && self.get(caller, &id).await.is_ok_and(|model| is_local(&model)) {
            true => id,
            false => name.to_owned(),
        }
    }
}

/// Removes what the caller may not see of explicit entries: an access key sees none, and only the operator's admins see paths.
fn hide_registrations(caller: &Caller, models: &mut [ModelBody]) {
    let sees_paths = caller.is_operator && matches!(caller.role, MemberRole::Owner | MemberRole::Admin);
    for model in models {
        if caller.models.is_some() {
            (model.registration, model.card) = (None, None);
        } else if let Some(registration) = model.registration.as_mut().filter(|_| !sees_paths) {
            registration.path = None;
        }
    }
}

/// True if the model's id, name or description contains `search`, which is in lower case.
fn contains(model: &ModelBody, search: &str) -> bool {
    [Some(&model.id), Some(&model.name), model.description.as_ref()]
        .into_iter()
        .flatten()
        .any(|text| text.to_lowercase().contains(search))
}

/// True if the caller's credential may use a listed model.
fn may_use(caller: &Caller, model: &ModelBody) -> bool {
    let own_name = provider_and_model(&model.id).filter(|(provider, _)| *provider == model.provider);
    caller.may_use_model(&model.provider, own_name.map_or(&model.id, |(_, name)| name))
}

fn find(mut models: Vec<ModelBody>, id: &str) -> Option<ModelBody> {
    let index = models.iter().position(|model| model.id == id)?;
    Some(models.swap_remove(index))
}
