//! All settings together: the tables, and the settings without a table, of which some are the gateway's.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use bytesize::ByteSize;
use hearth_domain::Secret;
use serde::{Deserialize, Serialize};

use crate::{
    AccountSettings, Alias, AnalyzeSettings, AuditSettings, BatchSettings, CacheSettings, CorsOrigins,
    DownloadSettings, Durability, FileSettings, HubSettings, IdentityProviderSettings, InvalidSetting,
    JobSettings, KeySettings, LimitSettings, ModelOverride, NodeSettings, NotificationSettings,
    ProviderSettings, RelaySettings, RequestSettings, SelectionSettings, ServerSettings, SessionSettings,
    SocketSettings, StorageSettings, TlsSettings, TraceSettings, WebhookSettings,
    bounds::{DAY_SECONDS, check_ranges},
    shown,
};

/// The effective settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The data folder.
    pub data: PathBuf,
    /// Acknowledged writes that a power cut may lose: none (`fsync`), or those of the last seconds (`os`).
    pub durability: Durability,
    /// The address that the gateway listens on.
    pub host: IpAddr,
    /// The gateway's port; 0 takes any free one.
    pub port: u16,
    /// The default model's file, or its id; absent: the tiny model in the binary.
    pub model: Option<PathBuf>,
    /// The id of the model that embeds for requests that name none.
    pub embedding_model: Option<String>,
    /// Seconds that a link to an image or a mesh works.
    pub artifact_link_seconds: u64,
    /// Size of one answer, in bytes or as `16MiB`: its texts, reasoning, tool calls and vectors together.
    #[serde(serialize_with = "shown::bytes")]
    pub answer_max_bytes: ByteSize,
    /// Seconds after which a change of the stored configuration by another process has effect.
    pub config_refresh_seconds: u64,
    /// Answer `GET /ready` without a token too, then without details.
    pub public_readiness: bool,
    /// The lines to log: error, warn, info, debug or trace.
    pub log_level: String,
    /// The size of one log file, in bytes or as `32MB`.
    #[serde(serialize_with = "shown::bytes")]
    pub log_max_bytes: ByteSize,
    /// The number of log files, the current one among them.
    pub log_max_files: u32,
    /// The gateway that client commands talk to.
    pub url: Option<String>,
    /// The token that client commands send.
    #[serde(serialize_with = "shown::hidden")]
    pub token: Option<Secret>,
    /// The HTTP server.
    pub server: ServerSettings,
    /// TLS of the HTTP server.
    pub tls: TlsSettings,
    /// The node.
    pub node: NodeSettings,
    /// The hub that models are pulled from.
    pub hub: HubSettings,
    /// Downloads of models by the node.
    pub downloads: DownloadSettings,
    /// Jobs.
    pub jobs: JobSettings,
    /// The model folder.
    pub storage: StorageSettings,
    /// The cache of answers.
    pub cache: CacheSettings,
    /// The audit log.
    pub audit: AuditSettings,
    /// Sessions.
    pub sessions: SessionSettings,
    /// Records of requests.
    pub requests: RequestSettings,
    /// Analyses.
    pub analyze: AnalyzeSettings,
    /// Sockets of nodes and clients.
    pub sockets: SocketSettings,
    /// Files and artifacts.
    pub files: FileSettings,
    /// Batches of requests.
    pub batches: BatchSettings,
    /// The relay to nodes.
    pub relay: RelaySettings,
    /// Limits of each user who has none of their own.
    pub limits: LimitSettings,
    /// Accounts.
    pub accounts: AccountSettings,
    /// Keys of providers that users and organisations store.
    pub keys: KeySettings,
    /// Webhooks.
    pub webhooks: WebhookSettings,
    /// Notifications.
    pub notifications: NotificationSettings,
    /// Traces.
    pub traces: TraceSettings,
    /// Providers beside the node, by the names that clients use for them.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Names that stand for models.
    pub aliases: BTreeMap<String, Alias>,
    /// Models to try in place of a model, or an alias, that can't serve.
    pub fallbacks: BTreeMap<String, Vec<String>>,
    /// The choice of a model where a request leaves it open.
    pub selection: SelectionSettings,
    /// Facts of providers' models beyond the catalog, by `PROVIDER:MODEL`.
    pub models: BTreeMap<String, ModelOverride>,
    /// Issuers by which users sign in, by names of the operator's choice.
    pub identity_providers: BTreeMap<String, IdentityProviderSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        let gateway = GatewaySettings::default();
        Self {
            data: dirs::data_local_dir().unwrap_or_else(|| PathBuf::from(".")).join("hearth"),
            durability: Durability::default(),
            host: Ipv4Addr::LOCALHOST.into(),
            port: 8080,
            model: None,
            embedding_model: None,
            artifact_link_seconds: gateway.artifact_link_seconds,
            answer_max_bytes: ByteSize(gateway.answer_max_bytes),
            config_refresh_seconds: gateway.config_refresh_seconds,
            public_readiness: gateway.public_readiness,
            log_level: "info".to_owned(),
            log_max_bytes: ByteSize::mib(32),
            log_max_files: 7,
            url: None,
            token: None,
            server: ServerSettings::default(),
            tls: TlsSettings::default(),
            node: NodeSettings::default(),
            hub: HubSettings::default(),
            downloads: DownloadSettings::default(),
            jobs: gateway.jobs,
            storage: StorageSettings::default(),
            cache: gateway.cache,
            audit: gateway.audit,
            sessions: gateway.sessions,
            requests: gateway.requests,
            analyze: gateway.analyze,
            sockets: gateway.sockets,
            files: gateway.files,
            batches: gateway.batches,
            relay: gateway.relay,
            limits: gateway.limits,
            accounts: gateway.accounts,
            keys: gateway.keys,
            webhooks: gateway.webhooks,
            notifications: gateway.notifications,
            traces: TraceSettings::default(),
            providers: BTreeMap::new(),
            aliases: BTreeMap::new(),
            fallbacks: BTreeMap::new(),
            selection: SelectionSettings::default(),
            models: BTreeMap::new(),
            identity_providers: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Checks every setting whose bounds don't depend on a vendor or a model of the catalog.
    ///
    /// # Errors
    /// The first setting that is out of bounds.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "",
            [
                // A line is 16 KiB at most.
                ("log_max_bytes", Some(self.log_max_bytes.as_u64()), 64 << 10..=1 << 40),
                ("log_max_files", Some(self.log_max_files.into()), 1..=1000),
                ("artifact_link_seconds", Some(self.artifact_link_seconds), 1..=30 * DAY_SECONDS),
                ("config_refresh_seconds", Some(self.config_refresh_seconds), 1..=3600),
                ("answer_max_bytes", Some(self.answer_max_bytes.as_u64()), 64 << 10..=1 << 30),
            ],
        )?;
        self.server.validate()?;
        self.tls.validate()?;
        self.node.validate()?;
        self.downloads.validate()?;
        self.jobs.validate()?;
        self.storage.validate()?;
        self.cache.validate()?;
        self.audit.validate()?;
        self.sessions.validate()?;
        self.requests.validate()?;
        self.analyze.validate()?;
        self.sockets.validate()?;
        self.files.validate()?;
        self.batches.validate()?;
        self.relay.validate()?;
        self.limits.validate()?;
        self.webhooks.validate()?;
        self.notifications.validate()?;
        self.traces.validate()?;
        crate::identity_provider::validate(&self.identity_providers)?;
        crate::routing::validate_aliases(&self.aliases)?;
        self.selection.validate()
    }

    /// The settings that the gateway follows.
    #[must_use]
    pub fn gateway(&self) -> GatewaySettings {
        GatewaySettings {
            artifact_link_seconds: self.artifact_link_seconds,
            answer_max_bytes: self.answer_max_bytes.as_u64(),
            config_refresh_seconds: self.config_refresh_seconds,
            public_readiness: self.public_readiness,
            cache: self.cache,
            accounts: self.accounts,
            audit: self.audit,
            sessions: self.sessions,
            requests: self.requests,
            analyze: self.analyze,
            sockets: self.sockets,
            files: self.files,
            batches: self.batches,
            relay: self.relay,
            jobs: self.jobs,
            cors_origins: self.server.cors_origins.clone(),
            limits: self.limits,
            keys: self.keys.clone(),
            webhooks: self.webhooks,
            notifications: self.notifications.clone(),
            hub: self.hub.clone(),
            identity_providers: self.identity_providers.clone(),
        }
    }

    /// The folder of model files.
    #[must_use]
    pub fn models_folder(&self) -> PathBuf {
        self.data.join("models")
    }
}

/// The settings that the gateway itself follows; routing is `hearth_gateway::Routing`.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Seconds that a link to an image or a mesh works.
    pub artifact_link_seconds: u64,
    /// Bytes of one answer: its texts, reasoning, tool calls and vectors together.
    pub answer_max_bytes: u64,
    /// Seconds after which a change of the stored configuration by another process has effect.
    pub config_refresh_seconds: u64,
    /// Answer `GET /ready` without a token too, then without details.
    pub public_readiness: bool,
    /// The cache of answers.
    pub cache: CacheSettings,
    /// Accounts.
    pub accounts: AccountSettings,
    /// The audit log.
    pub audit: AuditSettings,
    /// Sessions.
    pub sessions: SessionSettings,
    /// Records of requests.
    pub requests: RequestSettings,
    /// Analyses.
    pub analyze: AnalyzeSettings,
    /// Sockets of nodes and clients.
    pub sockets: SocketSettings,
    /// Files and artifacts.
    pub files: FileSettings,
    /// Batches of requests.
    pub batches: BatchSettings,
    /// The relay to nodes.
    pub relay: RelaySettings,
    /// Jobs.
    pub jobs: JobSettings,
    /// Origins of pages that may read responses in a browser.
    pub cors_origins: CorsOrigins,
    /// Limits of each user who has none of their own.
    pub limits: LimitSettings,
    /// Keys of providers that users and organisations store.
    pub keys: KeySettings,
    /// Webhooks.
    pub webhooks: WebhookSettings,
    /// Notifications.
    pub notifications: NotificationSettings,
    /// The hub that is searched for models.
    pub hub: HubSettings,
    /// Issuers by which users sign in, by names of the operator's choice.
    pub identity_providers: BTreeMap<String, IdentityProviderSettings>,
}

impl GatewaySettings {
    /// Time that a link to an image or a mesh works.
    #[must_use]
    pub fn artifact_link_ttl(&self) -> Duration {
        Duration::from_secs(self.artifact_link_seconds)
    }

    /// Interval between two reads of the stored configuration.
    #[must_use]
    pub fn config_refresh_interval(&self) -> Duration {
        Duration::from_secs(self.config_refresh_seconds)
    }
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            artifact_link_seconds: 3600,
            answer_max_bytes: 16 << 20,
            config_refresh_seconds: 60,
            public_readiness: false,
            cache: CacheSettings::default(),
            accounts: AccountSettings::default(),
            audit: AuditSettings::default(),
            sessions: SessionSettings::default(),
            requests: RequestSettings::default(),
            analyze: AnalyzeSettings::default(),
            sockets: SocketSettings::default(),
            files: FileSettings::default(),
            batches: BatchSettings::default(),
            relay: RelaySettings::default(),
            jobs: JobSettings::default(),
            cors_origins: CorsOrigins::default(),
            limits: LimitSettings::default(),
            keys: KeySettings::default(),
            webhooks: WebhookSettings::default(),
            notifications: NotificationSettings::default(),
            hub: HubSettings::default(),
            identity_providers: BTreeMap::new(),
        }
    }
}
