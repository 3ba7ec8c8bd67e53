//! A request's way: authenticate, resolve the model, call its provider, record the run.
//!
//! - [`access`] turns a credential into a [`Caller`]; [`tokens`] makes and revokes credentials.
//! - [`registry`] knows the models and asks their nodes; [`nodes`] knows the nodes.
//! - `catalog` knows what models can do and what they cost, `discovery` which ones a key can reach, and
//!   `credits` what is left.
//! - [`providers`] knows whom an operator has set up, and `circuit_breaker` which of their models get requests.
//! - `resolve` decides who may serve a request, `drive` has it served by one of them, [`run`] hands the
//!   events on, `record` writes them down.
//! - [`cache`] keeps answers, and serves with them who asks the same again.
//! - [`requests`] reads, follows and cancels what was carried out.
//! - [`artifacts`] keeps the files that runs make.
//! - [`conversations`] keeps what was said, for the request that goes on from there.
//!
//! Whatever dialect a client speaks, what comes out is one stream of run events.

#![warn(missing_docs)]

pub mod access;
mod aliases;
pub mod artifacts;
pub mod background;
pub mod cache;
mod catalog;
mod circuit_breaker;
pub mod conversations;
mod credits;
mod discovery;
mod drive;
mod driver_task;
mod error;
mod load;
mod model_tags;
pub mod nodes;
pub mod providers;
mod record;
pub mod registry;
pub mod requests;
mod resolve;
mod resume;
mod retry;
pub mod routing;
pub mod run;
mod tariff;
pub mod tokens;

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use hearth_auth::Keys;
use hearth_providers::LocalNode;
use hearth_store::{NewSecret, Store};
use hearth_wire::ApiError;
use tokio::sync::OnceCell;

pub use access::Caller;
pub use cache::{CacheOutcome, CacheSettings};
pub use conversations::Conversation;
pub use routing::Routing;
pub use run::RunStream;

/// The gateway: everything that serves a request, shared by all of them.
#[derive(Debug, Clone)]
pub struct Gateway(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    http: reqwest::Client,
    options: Options,
    directory: providers::Directory,
    breakers: circuit_breaker::CircuitBreakers,
    load: load::Load,
    turns: resolve::Turns,
    finds: discovery::Finds,
    balances: credits::Balances,
    running: run::Running,
    /// Read at first use: a function that needs no keys starts without asking for them.
    keys: OnceCell<Keys>,
    access: access::Cache,
    /// Held while a token is revoked.
    revoking: tokio::sync::Mutex<()>,
    nodes: nodes::RecordCache,
    statuses: nodes::StatusCache,
    /// The table lacks something that the nodes have, since it can't be written.
    registry_is_stale: AtomicBool,
    /// The node in this process, if there is one.
    local: OnceLock<LocalNode>,
    cache: cache::Cache,
    /// Runs whose stored records lag behind.
    pending: record::pending::PendingRecords,
    /// Writes the records of runs.
    writer: record::RecordWriter,
}

/// What the gateway calls out through.
#[derive(Debug, Clone)]
pub struct HttpClients {
    /// To nodes.
    pub nodes: reqwest::Client,
    /// To vendors.
    pub vendors: hearth_providers::VendorClient,
}

impl HttpClients {
    /// Both, as their callers need them.
    ///
    /// # Errors
    /// If the TLS roots can't be read.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { nodes: hearth_providers::http_client()?, vendors: hearth_providers::vendor_client()? })
    }
}

/// What an operator decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether nodes may have private and loopback addresses. In the cloud they may not, unless this
    /// is set: a node's address is what the gateway will connect to.
    pub private_nodes: bool,
    /// Whether the process goes on after an answer. On Lambda it is frozen then.
    pub long_lived: bool,
    /// How long a link to an artifact works; an hour, if nobody says so.
    pub artifact_links: Option<Duration>,
    /// How to make the gateway's secret where there is none; the cloud's template makes it there.
    pub new_secret: Option<NewSecret>,
    /// Whether answers are kept, and for how long.
    pub cache: CacheSettings,
    /// The most bytes of one answer; 16 MiB where nothing is set.
    pub answer_max_bytes: Option<u64>,
}

impl Gateway {
    /// A gateway over `store`, calling out through `http` to the nodes and those in `routing`.
    #[must_use]
    pub fn new(store: Store, http: HttpClients, options: Options, routing: Routing) -> Self {
        Self(Arc::new(Inner {
            writer: record::RecordWriter::new(store.clone()),
            store,
            http: http.nodes,
            options,
            cache: cache::Cache::new(options.cache, &routing, options.long_lived),
            directory: providers::Directory::new(routing, http.vendors),
            breakers: circuit_breaker::CircuitBreakers::default(),
            load: load::Load::default(),
            turns: resolve::Turns::default(),
            finds: discovery::Finds::default(),
            balances: credits::Balances::default(),
            running: run::Running::default(),
            keys: OnceCell::new(),
            access: access::Cache::default(),
            revoking: tokio::sync::Mutex::default(),
            nodes: nodes::RecordCache::default(),
            statuses: nodes::StatusCache::default(),
            registry_is_stale: AtomicBool::new(false),
            local: OnceLock::new(),
            pending: record::pending::PendingRecords::default(),
        }))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Checks that the stores can be used, each with its problem, if it has one. A process that goes on after its
    /// answers, with stores of its own, writes to them too; a function may not have the right to.
    pub async fn check_stores(&self) -> Vec<(&'static str, Option<hearth_store::StoreError>)> {
        self.0.store.check(self.0.options.long_lived).await
    }

    /// The gateway's keys.
    ///
    /// # Errors
    /// `internal` if the secret can't be read.
    pub async fn keys(&self) -> Result<&Keys, ApiError> {
        let derive = || async {
            let secret = self.0.store.secret(self.0.options.new_secret).await.map_err(error::store)?;
            Keys::derive(&secret).map_err(|e| error::internal(&e))
        };
        self.0.keys.get_or_try_init(derive).await
    }
}
