//! The models of the users' nodes: in the table, with their status from the nodes.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use hearth_domain::{Model, ModelId, ModelSource, Timestamp, UserId};
use hearth_providers::NodeLink;
use hearth_store::Store;
use hearth_wire::{
    ApiError, ErrorCode, native::models::ModelBody, node::NodeModel, runtime_status::RuntimeStatus,
};

use crate::{
    error::{self, no_such_model},
    nodes::{LiveNode, Nodes, StatusAge},
};

/// The models of nodes.
#[derive(Debug)]
pub(crate) struct LocalModels {
    store: Store,
    nodes: Arc<Nodes>,
    /// The table lacks a change, since it can't be written.
    is_table_stale: AtomicBool,
}

impl LocalModels {
    pub(crate) fn new(store: Store, nodes: Arc<Nodes>) -> Self {
        Self { store, nodes, is_table_stale: AtomicBool::new(false) }
    }

    /// A user's models, sorted by id. The models of a node that is offline are listed without a status.
    pub(crate) async fn list(&self, user: UserId) -> Result<Vec<ModelBody>, ApiError> {
        let live = match self.nodes.live(user, StatusAge::Listed).await {
            Ok(live) => live,
            Err(error) if error.code == ErrorCode::NodeOffline => Vec::new(),
            Err(error) => return Err(error),
        };
        let models = self.update_table(&live).await?;
        let mut statuses: HashMap<&str, &RuntimeStatus> = live
            .iter()
            .flat_map(|node| &node.status.models)
            .map(|model| (model.id.as_str(), &model.runtime))
            .collect();
        let body = |model: Model| {
            let status = statuses.remove(model.id.as_str()).cloned();
            ModelBody::new(model, status)
        };
        let mut bodies: Vec<ModelBody> = models.into_iter().map(body).collect();
        bodies.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(bodies)
    }

    /// The node that has a model.
    pub(crate) async fn node_of(&self, user: UserId, id: &str) -> Result<NodeLink, ApiError> {
        let nodes = self.nodes.live(user, StatusAge::Current).await?;
        let node = nodes.into_iter().find(|node| node.model(id).is_some());
        node.map(|node| node.link).ok_or_else(|| no_such_model(id))
    }

    /// The present status of a model.
    pub(crate) async fn status(&self, user: UserId, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        let nodes = self.nodes.live(user, StatusAge::Current).await?;
        Ok(nodes.iter().find_map(|node| node.model(id)).map(|model| model.runtime.clone()))
    }

    /// Brings the table up to date with the nodes' folders, and returns all models. A model that can't be written is
    /// returned all the same.
    async fn update_table(&self, live: &[LiveNode]) -> Result<Vec<Model>, ApiError> {
        let mut models = self.store.models().list(None).await.map_err(error::store)?;
        let mut failure = None;
        for node in live {
            for model in &node.status.models {
                let old = models.iter().position(|entry| entry.id.as_str() == model.id);
                let entry = discovered(model, node, old.map(|old| &models[old]));
                if old.is_none_or(|old| differs(&models[old], &entry)) {
                    failure = failure.or(self.store.models().put_discovered(&entry).await.err());
                    match old {
                        Some(old) => models[old] = entry,
                        None => models.push(entry),
                    }
                }
            }
            let is_gone =
                |model: &Model| model.node == Some(node.link.id()) && node.model(model.id.as_str()).is_none();
            for model in models.extract_if(.., |model| is_gone(model)) {
                failure = failure.or(self.store.models().forget_discovered(&model).await.err());
            }
        }
        // Lists are frequent: only the first failure is logged.
        let was_stale = self.is_table_stale.swap(failure.is_some(), Ordering::Relaxed);
        if let Some(error) = failure
            && !was_stale
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
        description: model.description.clone(),
        provider: "local".to_owned(),
        size_bytes: Some(model.size_bytes),
        source: ModelSource::Discovered,
        node: Some(node.link.id()),
        created_at: old.map_or(now, |old| old.created_at),
        updated_at: now,
    }
}

/// True if an entry has changed, apart from its time of change.
fn differs(old: &Model, new: &Model) -> bool {
    Model { updated_at: old.updated_at, ..new.clone() } != *old
}
