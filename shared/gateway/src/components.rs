//! The components of a gateway, and the order in which they are built.

use std::sync::Arc;

use hearth_store::Store;

use crate::{
    access::Access,
    artifacts::Artifacts,
    background::Background,
    cache::Cache,
    configuration::Configuration,
    conversations::Conversations,
    keys::GatewayKeys,
    lost_runs::LostRuns,
    models::{Models, ProviderModels},
    nodes::Nodes,
    options::{HttpClients, Options},
    providers::Providers,
    readiness::ReadinessCache,
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
    /// The configuration of routing.
    pub(crate) configuration: Arc<Configuration>,
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
    /// Ends the runs whose processes have died.
    pub(crate) lost_runs: Arc<LostRuns>,
    /// A probe may ask for the readiness without a token.
    pub(crate) has_public_readiness: bool,
    /// The latest state of the dependencies.
    pub(crate) readiness: ReadinessCache,
    /// Conversations that a next request can continue.
    pub(crate) conversations: Conversations,
}

impl Components {
    /// Builds each component from those that it uses.
    pub(crate) fn new(store: Store, http: HttpClients, options: Options, routing: Routing) -> Self {
        let background = Background::new(options.long_lived);
        let cache = Arc::new(Cache::new(store.clone(), options.settings.cache, background));
        let keys = Arc::new(GatewayKeys::new(store.clone(), options.new_secret));
        let nodes =
            Nodes::new(store.clone(), Arc::clone(&keys), http.nodes, options.private_nodes, background);
        let nodes = Arc::new(nodes);
        let refresh_interval = options.settings.config_refresh_interval();
        let configuration =
            Configuration::new(store.clone(), routing, refresh_interval, options.private_nodes, background);
        let configuration = Arc::new(configuration);
        let providers = Providers::new(
            store.clone(),
            Arc::clone(&keys),
            http.vendors,
            Arc::clone(&configuration),
            background,
        );
        let providers = Arc::new(providers);
        let provider_models = Arc::new(ProviderModels::new(Arc::clone(&providers)));
        let models = Models::new(
            store.clone(),
            Arc::clone(&keys),
            Arc::clone(&nodes),
            Arc::clone(&providers),
            Arc::clone(&provider_models),
            Arc::clone(&configuration),
        );
        let router = Router::new(
            Arc::clone(&configuration),
            Arc::clone(&providers),
            provider_models,
            Arc::clone(&nodes),
        );
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
        let lost_runs = LostRuns::new(store.clone(), records.are_shared(), options.settings.answer_max_bytes);
        let lost_runs = Arc::new(lost_runs);
        let requests = Arc::new(Requests::new(
            store.clone(),
            Arc::clone(&nodes),
            Arc::clone(&artifacts),
            Arc::clone(&records),
            Arc::clone(&runs),
            Arc::clone(&lost_runs),
        ));
        let conversations = Conversations::new(store.clone(), Arc::clone(&records));
        Self {
            access: Access::new(store.clone()),
            store,
            background,
            keys,
            configuration,
            nodes,
            providers,
            models,
            router,
            cache,
            artifacts,
            records,
            runs,
            requests,
            lost_runs,
            has_public_readiness: options.settings.public_readiness,
            readiness: ReadinessCache::default(),
            conversations,
        }
    }
}
