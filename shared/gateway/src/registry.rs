//! The models: what the table holds, with what their nodes say.

use std::{collections::HashMap, sync::atomic::Ordering};

use hearth_domain::{
    KeyOwner, Modality, Model, ModelId, ModelSource, RuntimeState, Timestamp, UserId,
    route::provider_and_model,
};
use hearth_providers::{NodeLink, config::LOCAL};
use hearth_wire::{
    ApiError, ErrorCode,
    native::models::{ModelBody, ModelQuery, ModelRemoved, RuntimeStatus, place},
    node::NodeModel,
};

use crate::{Caller, Gateway, error, nodes::LiveNode, resolve::AUTO};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// A page of models, and where the next one begins.
#[derive(Debug, Clone)]
pub struct ModelPage {
    /// The models, local ones first.
    pub models: Vec<ModelBody>,
    /// The cursor of the next page.
    pub next_cursor: Option<String>,
}

impl Gateway {
    /// The models that a query asks for.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor.
    pub async fn list_models(&self, caller: &Caller, query: ModelQuery) -> Result<ModelPage, ApiError> {
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::invalid("limit", format!("limit must be 1 to {MAX_LIMIT}")));
        }
        let filter = (query.modality.map(Modality::as_str), query.provider.as_deref(), query.status);
        let context = format!("{}|models|{filter:?}", caller.user);
        let after = match &query.cursor {
            Some(cursor) => Some(self.keys().await?.open_cursor(&context, cursor).ok_or_else(bad_cursor)?),
            None => None,
        };
        let mut models = self.every_model(caller, &query).await?;
        models.retain(|model| after.as_deref().is_none_or(|after| place(&model.id) > place(after)));
        let more = models.len() > limit as usize;
        models.truncate(limit as usize);
        let next_cursor = match models.last() {
            Some(last) if more => Some(self.keys().await?.seal_cursor(&context, &last.id)),
            _ => None,
        };
        Ok(ModelPage { models, next_cursor })
    }

    /// Every model that a query asks for, whatever page: aliases, those of the caller's nodes, and those of providers.
    /// A provider that hasn't listed its models yet is waited for, a few seconds at most.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub async fn every_model(&self, caller: &Caller, query: &ModelQuery) -> Result<Vec<ModelBody>, ApiError> {
        let provider = query.provider.as_deref();
        let mut models = self.models_of(caller.user).await?;
        if provider != Some(LOCAL) {
            models.extend(self.models_of_providers(KeyOwner::Operator, provider).await);
        }
        if provider.is_none() {
            // An alias stands before a model of its name, as it does in a request.
            let aliases = self.alias_entries(&models);
            models.splice(0..0, aliases);
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
    pub async fn model(&self, caller: &Caller, id: &str) -> Result<ModelBody, ApiError> {
        let find = |mut models: Vec<ModelBody>, id: &str| {
            let found = models.iter().position(|model| model.id == id);
            found.map(|index| models.swap_remove(index))
        };
        if id == AUTO || self.0.directory.routing().aliases.contains_key(id) {
            let found = find(self.every_model(caller, &ModelQuery::default()).await?, id);
            return found.ok_or_else(|| no_such_model(id));
        }
        let local = self.models_of(caller.user).await?;
        let named =
            provider_and_model(id).filter(|(provider, _)| *provider == LOCAL).map_or(id, |(_, model)| model);
        if let Some(model) = find(local, named) {
            return Ok(model);
        }
        // A provider's own, under its whole name or without the provider's.
        let providers = self.providers().await;
        let owner = providers.iter().find(|known| known.models.iter().any(|model| model == id));
        let whole = owner.map(|known| format!("{}:{id}", known.name()));
        let id = whole.as_deref().unwrap_or(id);
        let provider = provider_and_model(id).map(|(provider, _)| provider);
        let found = match provider {
            Some(provider) => find(self.models_of_providers(KeyOwner::Operator, Some(provider)).await, id),
            None => None,
        };
        found.ok_or_else(|| no_such_model(id))
    }

    /// The models in memory, or on their way there.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub async fn loaded_models(&self, caller: &Caller) -> Result<Vec<ModelBody>, ApiError> {
        let mut models = self.models_of(caller.user).await?;
        let resident = [RuntimeState::Loading, RuntimeState::Loaded, RuntimeState::Busy];
        models.retain(|model| resident.contains(&state_of(model)));
        Ok(models)
    }

    /// Begins to load a model on its node; its status after that.
    ///
    /// # Errors
    /// `model_not_found`, `model_load_failed`, `no_model_available` if there is no room.
    pub async fn load_model(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        self.node_with(caller, id).await?.load(id).await?;
        self.fresh_status(caller, id).await
    }

    /// Begins to unload a model; its status after that.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use.
    pub async fn unload_model(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        self.node_with(caller, id).await?.unload(id).await?;
        self.fresh_status(caller, id).await
    }

    /// Removes a local model's file from its node.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use, a default model, no local one, or lies outside of the folder.
    pub async fn remove_model(&self, caller: &Caller, id: &str) -> Result<ModelRemoved, ApiError> {
        let conflict = |message: String| ApiError::new(ErrorCode::Conflict, message).at("model");
        if self.0.directory.routing().aliases.contains_key(id) {
            return Err(conflict(format!("{id} is an alias of the settings, and has no file")));
        }
        let provider = provider_and_model(id).map(|(provider, _)| provider).filter(|name| *name != LOCAL);
        let owner = self.node_with(caller, id).await;
        if let (Err(_), Some(provider)) = (&owner, provider) {
            return Err(conflict(format!(
                "{id} is a model of the provider {provider}, and has no file here"
            )));
        }
        let removed = owner?.remove(id).await?;
        Ok(ModelRemoved {
            model: id.to_owned(),
            removed: true,
            freed_bytes: removed.freed_bytes,
            link: removed.link,
        })
    }

    async fn node_with(&self, caller: &Caller, id: &str) -> Result<NodeLink, ApiError> {
        let nodes = self.live_nodes(caller.user, true).await?;
        let has = |node: &LiveNode| node.status.models.iter().any(|model| model.id == id);
        nodes.into_iter().find(has).map(|node| node.link).ok_or_else(|| no_such_model(id))
    }

    async fn fresh_status(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        let nodes = self.live_nodes(caller.user, true).await?;
        let mut models = nodes.into_iter().flat_map(|node| node.status.models);
        Ok(models.find(|model| model.id == id).map(|model| model.runtime))
    }

    /// Every model, by id. A node that can't be asked leaves its models in the list, without a status.
    async fn models_of(&self, user: UserId) -> Result<Vec<ModelBody>, ApiError> {
        let live = match self.live_nodes(user, true).await {
            Ok(live) => live,
            Err(error) if error.code == ErrorCode::NodeOffline => Vec::new(),
            Err(error) => return Err(error),
        };
        let models = self.update_registry(&live).await?;
        let mut statuses: HashMap<String, RuntimeStatus> = live
            .into_iter()
            .flat_map(|node| node.status.models)
            .map(|model| (model.id, model.runtime))
            .collect();
        let body = |model: Model| {
            let status = statuses.remove(model.id.as_str());
            ModelBody::new(model, status)
        };
        let mut bodies: Vec<ModelBody> = models.into_iter().map(body).collect();
        bodies.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(bodies)
    }

    /// Every model that the table and the nodes know. The table is brought up to date with what the nodes have in
    /// their folders; a model that can't be written there is in the list all the same.
    async fn update_registry(&self, live: &[LiveNode]) -> Result<Vec<Model>, ApiError> {
        let mut models = self.store().models().list(None).await.map_err(error::store)?;
        let mut failure = None;
        for node in live {
            for model in &node.status.models {
                let old = models.iter().position(|known| known.id.as_str() == model.id);
                let entry = discovered(model, node, old.map(|old| &models[old]));
                if old.is_none_or(|old| differs(&models[old], &entry)) {
                    failure = failure.or(self.store().models().put_discovered(&entry).await.err());
                    match old {
                        Some(old) => models[old] = entry,
                        None => models.push(entry),
                    }
                }
            }
            let is_gone = |model: &Model| {
                let listed = node.status.models.iter().any(|m| m.id == model.id.as_str());
                model.node == Some(node.link.id()) && model.source == ModelSource::Discovered && !listed
            };
            for model in models.extract_if(.., |model| is_gone(model)) {
                failure = failure.or(self.store().models().forget_discovered(&model).await.err());
            }
        }
        // The list is asked for again and again: one line says that writing began to fail.
        let was_failing = self.0.registry_is_stale.swap(failure.is_some(), Ordering::Relaxed);
        if let Some(error) = failure
            && !was_failing
        {
            tracing::error!(%error, "the models of the nodes can't be written to the table; they are listed as they are");
        }
        Ok(models)
    }
}

fn discovered(model: &NodeModel, node: &LiveNode, old: Option<&Model>) -> Model {
    let now = Timestamp::now();
    Model {
        id: ModelId::new(&*model.id),
        name: model.name.clone(),
        version: model.version.clone(),
        modality: model.modality,
        capabilities: model.capabilities.clone(),
        provider: "local".to_owned(),
        architecture: model.architecture.clone(),
        context_length: model.context_length,
        size_bytes: Some(model.size_bytes),
        source: ModelSource::Discovered,
        node: Some(node.link.id()),
        created_at: old.map_or(now, |old| old.created_at),
        updated_at: now,
    }
}

/// Whether an entry says something new, its time of change apart. What a person entered is never
/// written over, so it never differs.
fn differs(old: &Model, new: &Model) -> bool {
    old.source == ModelSource::Discovered && Model { updated_at: old.updated_at, ..new.clone() } != *old
}

fn state_of(model: &ModelBody) -> RuntimeState {
    model.runtime_status.as_ref().map_or(RuntimeState::Unloaded, |status| status.state)
}

fn bad_cursor() -> ApiError {
    ApiError::invalid("cursor", "the cursor isn't one of this list; begin without a cursor")
}

pub(crate) fn no_such_model(id: &str) -> ApiError {
    // A model's id comes from the client: what is told back is bounded.
    let shown: String = id.chars().take(100).collect();
    let message = format!("there is no model {shown:?}; GET /v1/models lists the models");
    ApiError::new(ErrorCode::ModelNotFound, message).at("model")
}
