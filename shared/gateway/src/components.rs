//! The components of a gateway, and the order in which they are built.

use std::sync::Arc;

use hearth_settings::{AccountSettings, AnalyzeSettings, CorsOrigins, SessionSettings};
use hearth_store::Store;

use crate::{
    access::{Access, issuers::Issuers, signing_keys::SigningKeys},
    accounts::Organisations,
    accounts::{logins::Logins, passwords::Passwords, preferences::UserPreferences, throttle::Throttle},
    artifacts::Artifacts,
    audit::Audit,
    background::Background,
    batches::Batches,
    cache::Cache,
    configuration::Configuration,
    conversations::Conversations,
    definitions::Definitions,
    events::Events,
    files::Files,
    hub::Hub,
    jobs::{Jobs, engine::JobEngine},
    keys::GatewayKeys,
    limits::Limiter,
    lost_runs::LostRuns,
    models::{Models, ProviderModels, Registries},
    node_ending::NodeEnding,
    node_link::{NodeAuthentication, NodeLeases, NodePresence},
    nodes::Nodes,
    options::{HttpClients, Options},
    providers::Providers,
    readiness::ReadinessCache,
    record::Records,
    relay::{Relay, RelayTimes},
    requests::Requests,
    routing::Router,
    run::Runs,
    sessions::{pending::TurnsInProgress, turn_lease::SessionTurns},
    settings::Routing,
    sockets::Sockets,
    store_quotas::store_quotas,
    webhooks::{DeliveryQueue, Subscriptions, Webhooks},
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
    pub(crate) access: Arc<Access>,
    /// The keys of access tokens.
    pub(crate) signing_keys: Arc<SigningKeys>,
    /// Hashes of passwords.
    pub(crate) passwords: Arc<Passwords>,
    /// Limits of attempts at signing in.
    pub(crate) throttle: Arc<Throttle>,
    /// Logins, and their refresh tokens.
    pub(crate) logins: Arc<Logins>,
    /// Pages that may read responses in a browser.
    pub(crate) cors_origins: CorsOrigins,
    /// The log of changes and refusals.
    pub(crate) audit: Arc<Audit>,
    /// Organisations, their members and their teams.
    pub(crate) organisations: Organisations,
    /// The configuration of routing.
    pub(crate) configuration: Arc<Configuration>,
    /// The users' nodes, and their status.
    pub(crate) nodes: Arc<Nodes>,
    /// Ends nodes.
    pub(crate) node_ending: Arc<NodeEnding>,
    /// Authentication of nodes.
    pub(crate) node_authentication: Arc<NodeAuthentication>,
    /// Sockets of nodes and clients.
    pub(crate) sockets: Arc<Sockets>,
    /// The relay to nodes that the gateway can't reach.
    pub(crate) relay: Relay,
    /// The configured providers.
    pub(crate) providers: Arc<Providers>,
    /// The hub that models are downloaded from.
    pub(crate) hub: Arc<Hub>,
    /// The jobs of callers.
    pub(crate) jobs: Jobs,
    /// Carries out jobs.
    pub(crate) job_engine: Arc<JobEngine>,
    /// Publishes events.
    pub(crate) events: Events,
    /// Webhooks, and the deliveries of events to them.
    pub(crate) webhooks: Webhooks,
    /// Publishes that nodes come and go.
    pub(crate) node_presence: NodePresence,
    /// The models of nodes and providers.
    pub(crate) models: Models,
    /// Explicit entries of models, and schemas of parameters.
    pub(crate) registries: Arc<Registries>,
    /// Chooses candidates for a request.
    pub(crate) router: Arc<Router>,
    /// Limits of callers, and their usage.
    pub(crate) limits: Arc<Limiter>,
    /// Stored answers.
    pub(crate) cache: Arc<Cache>,
    /// Files of runs.
    pub(crate) artifacts: Arc<Artifacts>,
    /// Files of users.
    pub(crate) files: Files,
    /// Schemas of answers and templates of prompts.
    pub(crate) definitions: Definitions,
    /// Batches of requests.
    pub(crate) batches: Batches,
    /// Records of the runs that are in progress.
    pub(crate) records: Arc<Records>,
    /// The runs that are in progress.
    pub(crate) runs: Arc<Runs>,
    /// Recorded runs: read, listed, followed, cancelled, repeated and deleted.
    pub(crate) requests: Arc<Requests>,
    /// Ends the runs whose processes have died.
    pub(crate) lost_runs: Arc<LostRuns>,
    /// A probe may ask for the readiness without a token.
    pub(crate) has_public_readiness: bool,
    /// The latest state of the dependencies.
    pub(crate) readiness: ReadinessCache,
    /// Conversations that a next request can continue.
    pub(crate) conversations: Conversations,
    /// Settings of sessions.
    pub(crate) session_settings: SessionSettings,
    /// The turns of sessions: one at a time.
    pub(crate) session_turns: SessionTurns,
    /// The turns that this process carries out.
    pub(crate) turns_in_progress: TurnsInProgress,
    /// Settings of accounts.
    pub(crate) accounts: AccountSettings,
    /// Preferences of users.
    pub(crate) preferences: UserPreferences,
    /// Each request is stored with its run, unless it says otherwise.
    pub(crate) stores_requests: bool,
    /// Settings of analyses.
    pub(crate) analyze_settings: AnalyzeSettings,
}

impl Components {
    /// Builds each component from those that it uses.
    pub(crate) fn new(store: Store, http: HttpClients, options: Options, routing: Routing) -> Self {
        let store = store.with_record_ttl(options.settings.requests.record_ttl());
        let store = store.with_quotas(store_quotas(&options.settings));
        let background = Background::new(options.long_lived);
        let keys = Arc::new(GatewayKeys::new(store.clone(), options.new_secret));
        let audit =
            Arc::new(Audit::new(store.clone(), Arc::clone(&keys), options.settings.audit, background));
        let issuers = Issuers::new(&options.settings.identity_providers, &http.nodes, Arc::clone(&audit));
        let signing_keys = Arc::new(SigningKeys::new(store.clone()));
        let access = Arc::new(Access::new(store.clone(), issuers, Arc::clone(&signing_keys), background));
        let (passwords, throttle) = (Arc::new(Passwords::new()), Arc::new(Throttle::new(store.clone())));
        let logins = Arc::new(Logins::new(
            store.clone(),
            Arc::clone(&access),
            Arc::clone(&signing_keys),
            Arc::clone(&passwords),
            Arc::clone(&throttle),
        ));
        let cache = Arc::new(Cache::new(store.clone(), options.settings.cache, background));
        let job_engine = Arc::new(JobEngine::new(
            store.clone(),
            options.settings.jobs,
            options.jobs,
            background.outlives_response(),
        ));
        let subscriptions = Arc::new(Subscriptions::new(store.clone(), background));
        let deliveries = DeliveryQueue::new(store.clone(), Arc::clone(&job_engine));
        let events = Events::new(store.clone(), Arc::clone(&subscriptions), deliveries.clone());
        let webhooks = Webhooks::new(
            store.clone(),
            Arc::clone(&keys),
            (subscriptions, deliveries),
            options.settings.webhooks,
            options.settings.notifications.clone(),
            (http.vendors.clone(), http.user_servers.clone()),
        );
        let leases = NodeLeases::new(store.clone(), background, options.settings.relay.report_interval());
        let node_authentication = Arc::new(NodeAuthentication::new(store.clone()));
        let sockets = Arc::new(Sockets::new(
            store.clone(),
            Arc::clone(&access),
            Arc::clone(&node_authentication),
            options.sockets,
            options.settings.sockets,
            leases.clone(),
            background,
        ));
        let node_presence = NodePresence::new(store.clone(), events.clone(), leases.report_interval());
        let relay = Relay::new(
            store.clone(),
            (Arc::clone(&sockets), node_presence.clone()),
            leases,
            background,
            RelayTimes::new(background, &options.settings),
            options.settings.answer_max_bytes,
        );
        let hub_http = http.nodes.clone();
        let nodes = Nodes::new(
            store.clone(),
            Arc::clone(&keys),
            http.nodes,
            options.private_nodes,
            background,
            relay.clone(),
            options.settings.relay.direct_retry_interval(),
        );
        let nodes = Arc::new(nodes);
        let hub = Hub::new(hub_http, options.settings.hub.clone(), Arc::clone(&keys), Arc::clone(&nodes));
        let hub = Arc::new(hub);
        let jobs =
            Jobs::new(store.clone(), Arc::clone(&keys), Arc::clone(&nodes), Arc::clone(&hub), events.clone());
        let node_ending = Arc::new(NodeEnding {
            store: store.clone(),
            authentication: Arc::clone(&node_authentication),
            nodes: Arc::clone(&nodes),
            relay: relay.clone(),
            sockets: Arc::clone(&sockets),
        });
        let refresh_interval = options.settings.config_refresh_interval();
        let configuration =
            Configuration::new(store.clone(), routing, refresh_interval, options.private_nodes, background);
        let configuration = Arc::new(configuration);
        let providers = Providers::new(
            store.clone(),
            Arc::clone(&keys),
            options.settings.keys.clone(),
            (http.vendors, http.user_servers),
            Arc::clone(&configuration),
            background,
        );
        let providers = Arc::new(providers);
        let provider_models = Arc::new(ProviderModels::new(Arc::clone(&providers)));
        let registries = Arc::new(Registries::new(store.clone(), background, refresh_interval));
        let models = Models::new(
            store.clone(),
            Arc::clone(&keys),
            Arc::clone(&nodes),
            Arc::clone(&providers),
            Arc::clone(&provider_models),
            Arc::clone(&configuration),
            Arc::clone(&registries),
        );
        let router = Router::new(
            Arc::clone(&configuration),
            Arc::clone(&providers),
            provider_models,
            Arc::clone(&nodes),
            Arc::clone(&registries),
        );
        let router = Arc::new(router);
        let artifacts = Arc::new(Artifacts::new(
            store.clone(),
            Arc::clone(&keys),
            options.settings.artifact_link_ttl(),
            options.settings.files.artifact_ttl(),
        ));
        let definitions = Definitions::new(store.clone(), Arc::clone(&keys));
        let files = Files::new(store.clone(), options.settings.files);
        let batches = Batches::new(options.settings.batches);
        let records = Arc::new(Records::new(store.clone(), events.clone(), background));
        let limits =
            Arc::new(Limiter::new(store.clone(), options.settings.limits, events.clone(), background));
        let runs = Arc::new(Runs::new(
            Arc::clone(&router),
            Arc::clone(&providers),
            Arc::clone(&artifacts),
            Arc::clone(&records),
            Arc::clone(&access),
            Arc::clone(&limits),
            options.settings.answer_max_bytes,
        ));
        let lost_runs = LostRuns::new(
            store.clone(),
            Arc::clone(&nodes),
            (Arc::clone(&access), Arc::clone(&limits), events.clone()),
            records.are_shared(),
            options.settings.answer_max_bytes,
        );
        let lost_runs = Arc::new(lost_runs);
        let requests = Arc::new(Requests::new(
            store.clone(),
            Arc::clone(&nodes),
            Arc::clone(&artifacts),
            Arc::clone(&records),
            Arc::clone(&runs),
            Arc::clone(&lost_runs),
            (Arc::clone(&keys), background),
        ));
        let preferences = UserPreferences::new(store.clone());
        let conversations = Conversations::new(store.clone(), Arc::clone(&records));
        let session_turns = SessionTurns::new(
            store.clone(),
            background.outlives_response(),
            options.settings.sessions.turn_wait_timeout(),
        );
        let organisations = Organisations::new(
            store.clone(),
            Arc::clone(&keys),
            Arc::clone(&access),
            Arc::clone(&node_ending),
            options.settings.sessions.closed_ttl(),
        );
        Self {
            access,
            organisations,
            signing_keys,
            passwords,
            throttle,
            logins,
            audit,
            cors_origins: options.settings.cors_origins,
            store,
            background,
            keys,
            configuration,
            nodes,
            hub,
            jobs,
            job_engine,
            events,
            webhooks,
            node_presence,
            node_ending,
            node_authentication,
            sockets,
            relay,
            providers,
            models,
            registries,
            router,
            limits,
            cache,
            artifacts,
            files,
            definitions,
            batches,
            records,
            runs,
            requests,
            lost_runs,
            has_public_readiness: options.settings.public_readiness,
            readiness: ReadinessCache::default(),
            conversations,
            session_settings: options.settings.sessions,
            session_turns,
            turns_in_progress: TurnsInProgress::default(),
            accounts: options.settings.accounts,
            preferences,
            stores_requests: options.settings.requests.store,
            analyze_settings: options.settings.analyze,
        }
    }
}
