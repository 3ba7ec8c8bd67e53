//! The components of a gateway, and the order in which they are built.

use std::sync::Arc;

use hearth_store::Store;

use crate::{
    access::Access,
    artifacts::Artifacts,
    background::Background,
    cache::Cache,
    conversations::Conversations,
    keys::GatewayKeys,
    models::{Models, ProviderModels},
    nodes::Nodes,
    options::{HttpClients, Options},
    providers::Providers,
    record::Records,
    requests::Requests,
    routing::Router,
    run::Runs,
    settings::Routing,
};

/// The components of a gateway. Those that other components use too are shared.
#[derive(Debug)]
pub(crate) struct Components {
    /// The table, the bucket and the secrets.
    pub(crate) store: Store,
    /// Runs work that may end after a response.
    pub(crate) background: Background,
    /// Keys that are derived from the gateway's secret.
    pub(crate) keys: Arc<GatewayKeys>,
    /// API tokens, and the callers who have them.
    pub(crate) access: Access,
    /// The users' nodes, and their status.
    pub(crate) nodes: Arc<Nodes>,
    /// The configured providers.
    pub(crate) providers: Arc<Providers>,
    /// The models of nodes and providers.
    pub(crate) models: Models,
    /// Chooses candidates for a request.
    pub(crate) router: Arc<Router>,
    /// Stored answers.
    pub(crate) cache: Arc<Cache>,
    /// Files of runs.
    pub(crate) artifacts: Arc<Artifacts>,
    /// Records of the runs that are in progress.
    pub(crate) records: Arc<Records>,
    /// The runs that are in progress.
    pub(crate) runs: Arc<Runs>,
    /// Recorded runs: read, followed, cancelled.
    pub(crate) requests: Arc<Requests>,
    /// Conversations that a next request can continue.
    pub(crate) conversations: Conversations,
}

impl Components {
    /// Builds each component from those that it uses.
    pub(crate) fn new(store: Store, http: HttpClients, options: Options, routing: Routing) -> Self {
        let background = Background::new(options.long_lived);
        let cache = Arc::new(Cache::new(store.clone(), options.settings.cache, &routing, background));
        let keys = Arc::new(GatewayKeys::new(store.clone(), options.new_secret));
        let nodes =
            Nodes::new(store.clone(), Arc::clone(&keys), http.nodes, options.private_nodes, background);
        let nodes = Arc::new(nodes);
        let configs = routing.providers.clone();
        let providers = Providers::new(store.clone(), Arc::clone(&keys), http.vendors, configs, background);
        let providers = Arc::new(providers);
        let settings = Arc::new(routing);
        let provider_models =
            Arc::new(ProviderModels::new(settings.model_info.clone(), Arc::clone(&providers)));
        let models = Models::new(
            store.clone(),
            Arc::clone(&keys),
            Arc::clone(&nodes),
            Arc::clone(&providers),
            Arc::clone(&provider_models),
            Arc::clone(&settings),
        );
        let router = Router::new(settings, Arc::clone(&providers), provider_models, Arc::clone(&nodes));
        let router = Arc::new(router);
        let artifacts =
            Arc::new(Artifacts::new(store.clone(), Arc::clone(&keys), options.settings.artifact_link_ttl()));
        let records = Arc::new(Records::new(store.clone(), background));
        let runs = Arc::new(Runs::new(
            Arc::clone(&router),
            Arc::clone(&providers),
            Arc::clone(&artifacts),
            Arc::clone(&records),
            options.settings.answer_max_bytes,
        ));
        let requests = Arc::new(Requests::new(
            store.clone(),
            Arc::clone(&nodes),
            Arc::clone(&artifacts),
            Arc::clone(&records),
            Arc::clone(&runs),
        ));
        let conversations = Conversations::new(store.clone(), Arc::clone(&records));
        Self {
            access: Access::new(store.clone()),
            store,
            background,
            keys,
            nodes,
            providers,
            models,
            router,
            cache,
            artifacts,
            records,
            runs,
            requests,
            conversations,
        }
    }
}
