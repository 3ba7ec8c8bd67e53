//! The models of the organisations' nodes: in the table, with their status from the nodes.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hearth_domain::{Model, ModelId, ModelSource, NodeId, NodeTransport, RuntimeState, Timestamp};
use hearth_providers::NodeLink;
use hearth_store::Store;
use hearth_wire::{
    ApiError, ErrorCode,
    native::models::ModelBody,
    node::{NodeModel, NodeModelSettings},
    runtime_status::RuntimeStatus,
};

use super::downloading::downloading;
use super::registry::RegistrySnapshot;
use crate::{
    access::Caller,
    background,
    error::{self, no_such_model},
    nodes::{
        LiveNode, NodeRecord, Nodes, StatusAge, may_manage, may_use,
        placement::{NodeOption, place},
    },
    timed_cache::TimedCache,
};

/// Interval until settings are sent again to a node that doesn't follow them.
const CONFIGURE_INTERVAL: Duration = Duration::from_secs(60);
/// Limit of the nodes whose latest settings are remembered.
const CONFIGURED_MAX_COUNT: usize = 10_000;

/// The models of nodes.
#[derive(Debug)]
pub(crate) struct LocalModels {
    store: Store,
    nodes: Arc<Nodes>,
    /// The table lacks a change, since it can't be written.
    is_table_stale: AtomicBool,
    /// Nodes that the registry's settings were sent to lately.
    configured: TimedCache<NodeId, ()>,
}

impl LocalModels {
    pub(crate) fn new(store: Store, nodes: Arc<Nodes>) -> Self {
        let configured = TimedCache::new(CONFIGURE_INTERVAL, CONFIGURED_MAX_COUNT);
        Self { store, nodes, is_table_stale: AtomicBool::new(false), configured }
    }

    /// The models of the nodes that the caller may use, sorted by id. The models of a node that is offline are listed without a
    /// status.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        registry: &RegistrySnapshot,
    ) -> Result<Vec<ModelBody>, ApiError> {
        let live = match self.nodes.live(caller, StatusAge::Listed).await {
            Ok(live) => live,
            Err(error) if error.code == ErrorCode::NodeOffline => Vec::new(),
            Err(error) => return Err(error),
        };
        let records = self.nodes.records_for(caller).await?;
        let models = self.update_table(caller, &live, &records).await?;
        self.synchronize_settings(&live, registry);
        let statuses = best_statuses(&live);
        let paths = own_paths(caller, &live);
        let mut bodies: Vec<ModelBody> = models
            .into_iter()
            .map(|model| {
                let status = statuses.get(model.id.as_str()).copied().cloned();
                let path = paths.get(model.id.as_str()).map(|path| (*path).to_owned());
                ModelBody { path, ..ModelBody::new(model, status) }
            })
            .collect();
        let downloading = downloading(&live, &bodies);
        bodies.extend(downloading);
        bodies.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(bodies)
    }

    /// Sends the registry's settings to the nodes that have others: such as a node that was away when they changed.
    fn synchronize_settings(&self, live: &[LiveNode], registry: &RegistrySnapshot) {
        // One that couldn't be read says nothing about settings.
        for node in live.iter().filter(|_| registry.read_at.is_some()) {
            let settings = settings_for(node, registry);
            let id = node.link.id();
            if node.status.model_settings.has_settings_of(&settings) || self.configured.get(&id).is_some() {
                continue;
            }
            self.configured.put(id, ());
            let (link, name) = (node.link.clone(), node.record.name.clone());
            background::spawn(async move {
                if let Err(error) = link.configure(&settings).await {
                    tracing::warn!(node = name, %error, "the settings of models can't be sent to a node");
                }
            });
        }
    }

    /// Sends the settings of `registry` to the nodes that the caller manages; waits for them.
    pub(crate) async fn configure(&self, caller: &Caller, registry: &RegistrySnapshot) {
        if registry.read_at.is_none() {
            return;
        }
        let Ok(nodes) = self.nodes.live_or_managed(caller).await else { return };
        for node in nodes.iter().filter(|node| may_manage(caller, &node.record)) {
            let settings = settings_for(node, registry);
            if node.status.model_settings.has_settings_of(&settings) {
                continue;
            }
            if let Err(error) = node.link.configure(&settings).await {
                tracing::warn!(node = node.record.name, %error, "the settings of models can't be sent to a node");
            }
        }
    }

    /// Has the node in this process look at a file, and returns the id of its model.
    ///
    /// # Errors
    /// `conflict` without such a node; `invalid_request` if it isn't a model that can be used.
    pub(crate) async fn add_file(
        &self,
        caller: &Caller,
        path: &str,
        registry: &RegistrySnapshot,
    ) -> Result<String, ApiError> {
        let find = |nodes: Vec<LiveNode>| {
            nodes.into_iter().find(|node| node.link.transport() == NodeTransport::InProcess)
        };
        let no_node = || {
            let message =
                "this gateway has no node in its process; put the file into the model folder of a node";
            ApiError::new(ErrorCode::Conflict, message).at("path")
        };
        let node = find(self.nodes.live_or_managed(caller).await?).ok_or_else(no_node)?;
        if registry.read_at.is_none() {
            return Err(ApiError::new(ErrorCode::Internal, "the registry can't be read; try again"));
        }
        let mut settings = settings_for(&node, registry);
        settings.read_at = Some(Timestamp::now());
        if !settings.files.iter().any(|file| file == path) {
            settings.files.push(path.to_owned());
        }
        node.link.configure(&settings).await?;
        let node = find(self.nodes.live_or_managed(caller).await?).ok_or_else(no_node)?;
        let model = node.status.models.iter().find(|model| model.path.as_deref() == Some(path));
        let invalid = |reason: &str| ApiError::invalid("path", format!("path isn't a model: {reason}"));
        let model = model.ok_or_else(|| invalid("there is no GGUF file that the gateway can read"))?;
        match &model.runtime.error {
            Some(error) if model.runtime.state == RuntimeState::Failed => Err(invalid(error)),
            _ => Ok(model.id.clone()),
        }
    }

    /// Begins to load a model on the first node of its placement.
    pub(crate) async fn load(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let nodes = self.nodes.live_or_managed(caller).await?;
        // A draining node loads too: its owner may want to look at it.
        let with_model: Vec<_> = nodes.iter().filter_map(|node| Some((node, node.model(id)?))).collect();
        let option = |(node, model): &(&LiveNode, &NodeModel)| NodeOption {
            is_draining: false,
            runs_max_count: None,
            ..self.nodes.option(caller, node, model)
        };
        let options: Vec<NodeOption> = with_model.iter().map(option).collect();
        let first = place(&options).order.first().map(|index| with_model[*index].0);
        first.ok_or_else(|| no_such_model(id))?.link.load(id).await
    }

    /// Begins to unload a model on each node that has it in memory.
    pub(crate) async fn unload(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let nodes = self.nodes.live_or_managed(caller).await?;
        let with_model: Vec<&LiveNode> = nodes.iter().filter(|node| node.model(id).is_some()).collect();
        let first = with_model.first().ok_or_else(|| no_such_model(id))?;
        let loaded: Vec<&&LiveNode> = with_model.iter().filter(|node| node.has_loaded(id)).collect();
        if loaded.is_empty() {
            return first.link.unload(id).await;
        }
        for node in loaded {
            node.link.unload(id).await?;
        }
        Ok(())
    }

    /// The node that a model's file is removed from: one that the caller may manage, the caller's own first.
    ///
    /// # Errors
    /// `model_not_found`; `forbidden` if only nodes of others have it.
    pub(crate) async fn node_to_remove_from(&self, caller: &Caller, id: &str) -> Result<NodeLink, ApiError> {
        let nodes = self.nodes.live_or_managed(caller).await?;
        let mut with_model: Vec<&LiveNode> = nodes.iter().filter(|node| node.model(id).is_some()).collect();
        if with_model.is_empty() {
            return Err(no_such_model(id));
        }
        with_model.sort_by_key(|node| node.record.owner != caller.user);
        let managed = with_model.into_iter().find(|node| may_manage(caller, &node.record));
        let message =
            "this node is shared with you; its owner, or an admin of the organisation, removes its files";
        managed.map(|node| node.link.clone()).ok_or_else(|| ApiError::new(ErrorCode::Forbidden, message))
    }

    /// The present status of a model: of the node where it is nearest to serving.
    pub(crate) async fn status(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        let nodes = self.nodes.live_or_managed(caller).await?;
        Ok(best_status(&nodes, id).cloned())
    }

    /// Brings the table up to date with the nodes' folders, and returns the models of nodes that the caller may use. A model that
    /// can't be written is returned all the same.
    async fn update_table(
        &self,
        caller: &Caller,
        live: &[LiveNode],
        records: &[Arc<NodeRecord>],
    ) -> Result<Vec<Model>, ApiError> {
        let stored = self.store.models((!caller.is_operator).then_some(caller.organisation));
        let listed = stored.list(None).await.map_err(error::store)?;
        let mut models: HashMap<String, Model> =
            listed.into_iter().map(|model| (model.id.to_string(), model)).collect();
        let usable: HashSet<NodeId> =
            records.iter().filter(|node| may_use(caller, node)).map(|node| node.id).collect();
        let registered: HashSet<NodeId> = records.iter().map(|node| node.id).collect();
        let served: HashMap<NodeId, HashSet<&str>> =
            live.iter().map(|node| (node.link.id(), model_ids(node))).collect();
        let serves = |id: NodeId, model: &str| served.get(&id).is_some_and(|models| models.contains(model));
        let mut failure = None;
        for node in live {
            for model in &node.status.models {
                let old = models.get(&model.id);
                let old_node = old.and_then(|old| old.node);
                let is_of_another = |other: &NodeId| *other != node.link.id();
                let other = old_node.filter(is_of_another);
                // The entry of a model that several nodes have is the first one's, as long as that has it.
                if other.is_some_and(|other| serves(other, &model.id)) {
                    continue;
                }
                let entry = discovered(model, node, old);
                // The entry of a node that the caller may not use is another member's: it is only hidden by this one.
                let is_hidden =
                    other.is_some_and(|other| registered.contains(&other) && !usable.contains(&other));
                let has_changed = old.is_none_or(|old| differs(old, &entry));
                if has_changed && !is_hidden {
                    failure = failure.or(stored.put_discovered(&entry).await.err());
                }
                if has_changed || is_hidden {
                    models.insert(model.id.clone(), entry);
                }
            }
        }
        let is_unknown = |model: &Model| model.node.is_some_and(|node| !registered.contains(&node));
        // The records may be older than the entry of a new node.
        let present = match models.values().any(is_unknown) {
            true => Some(self.nodes.read_records(caller.organisation).await?),
            false => None,
        };
        let is_revoked =
            |id: NodeId| present.as_ref().is_some_and(|present| present.iter().all(|node| node.id != id));
        let is_gone = |model: &Model| {
            model.node.is_some_and(|node| {
                is_revoked(node) || served.contains_key(&node) && !serves(node, model.id.as_str())
            })
        };
        let gone: Vec<Model> = models.extract_if(|_, model| is_gone(model)).map(|(_, model)| model).collect();
        for model in gone {
            failure = failure.or(stored.forget_discovered(&model).await.err());
        }
        let is_listed = |model: &Model| {
            model.node.is_none_or(|node| usable.contains(&node) || !registered.contains(&node))
        };
        let models = models.into_values().filter(is_listed).collect();
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

/// The settings of the registry for a node.
fn settings_for(node: &LiveNode, registry: &RegistrySnapshot) -> NodeModelSettings {
    registry.node_settings(node.link.transport() == NodeTransport::InProcess)
}

/// The paths of files on the caller's own nodes, by the models' ids.
fn own_paths<'a>(caller: &Caller, live: &'a [LiveNode]) -> HashMap<&'a str, &'a str> {
    // An access key is for others.
    let own = live.iter().filter(|node| node.record.owner == caller.user && caller.models.is_none());
    let models = own.flat_map(|node| &node.status.models);
    models.filter_map(|model| Some((model.id.as_str(), model.path.as_deref()?))).collect()
}

/// The status of a model on the node where it is nearest to serving.
fn best_status<'a>(live: &'a [LiveNode], id: &str) -> Option<&'a RuntimeStatus> {
    let statuses = live.iter().filter_map(|node| Some(&node.model(id)?.runtime));
    statuses.min_by_key(|status| distance_to_serving(status))
}

/// The status of each model on the node where it is nearest to serving, by the model's id.
fn best_statuses(live: &[LiveNode]) -> HashMap<&str, &RuntimeStatus> {
    let mut statuses: HashMap<&str, &RuntimeStatus> = HashMap::new();
    for NodeModel { id, runtime, .. } in live.iter().flat_map(|node| &node.status.models) {
        let best = statuses.entry(id).or_insert(runtime);
        if distance_to_serving(runtime) < distance_to_serving(best) {
            *best = runtime;
        }
    }
    statuses
}

fn distance_to_serving(status: &RuntimeStatus) -> u8 {
    match status.state {
        RuntimeState::Loaded => 0,
        RuntimeState::Busy => 1,
        RuntimeState::Loading => 2,
        RuntimeState::Unloaded => 3,
        RuntimeState::Failed | RuntimeState::Downloading => 4,
    }
}

fn model_ids(node: &LiveNode) -> HashSet<&str> {
    node.status.models.iter().map(|model| model.id.as_str()).collect()
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
