//! The way of a request: authenticate its caller, choose a model, run the request at its provider, record the run.
//!
//! Each module below is a component with its own state. [`Gateway`] puts them together, and its methods only call them.
//! `generate` is the entry of a request for an answer: read it first. Arrows of `use` point downwards:
//!
//! - [`analyze`]: data out of texts, by a schema: writes requests for `generate`, and reads their answers.
//! - `generate`: prepares a request, looks up the cache, and starts a run.
//! - [`definitions`]: schemas of answers and templates of prompts, applied to requests.
//! - `prompt_count`: counts a prompt's tokens at the node that would serve the request.
//! - `conversations`, `requests`: store the conversation of a run; read, follow and cancel runs.
//! - `batches`: files of requests, carried out by jobs.
//! - [`sessions`]: conversations of several turns.
//! - `run`: drives a run at one candidate after the other, and streams its events.
//! - `cache`: stores answers, and replays them for identical requests.
//! - `routing`: resolves a request to candidates, the first choice first.
//! - [`configuration`]: the settings of routing, with the stored ones over them.
//! - `models`: lists the models of nodes and providers.
//! - `providers`: the configured providers: credentials, circuit breakers, load, balances, lists of models.
//! - [`limits`]: limits of requests, tokens and money, and sums of usage.
//! - [`nodes`], `artifacts`, `record`: status of nodes, files of runs, records of runs.
//! - [`files`]: files that users upload, and the bytes of files and artifacts.
//! - `events`, `webhooks`: changes that webhooks are called for; subscriptions to them, and their deliveries.
//! - [`sockets`]: sockets of nodes and clients.
//! - `relay`: runs and calls for nodes that the gateway can't reach.
//! - [`access`]: callers and their API tokens.
//! - [`audit`]: the log of changes and refusals.
//! - `keys`, [`activity`], [`background`], `timed_cache`, `moment`, `stage`, [`settings`]: used by all of them.
//!
//! Whatever dialect a client speaks, the output is one stream of run events.

#![warn(missing_docs)]

pub mod access;
pub mod accounts;
pub mod activity;
pub mod analyze;
pub mod artifacts;
pub mod audit;
pub mod background;
mod batches;
pub mod cache;
mod components;
pub mod configuration;
mod conversations;
pub mod definitions;
mod error;
mod events;
pub mod files;
mod gauges;
mod generate;
mod hub;
mod in_place;
mod item_references;
mod jobs;
mod keys;
pub mod limits;
mod lost_runs;
mod models;
mod moment;
mod names;
mod node_ending;
mod node_link;
pub mod nodes;
mod operations;
mod options;
mod pager;
mod prompt_count;
mod providers;
mod public_address;
mod read_cache;
mod readiness;
mod record;
mod relay;
mod requests;
mod response_input;
mod routing;
mod run;
pub mod sessions;
pub mod settings;
mod single_flight;
pub mod sockets;
mod stage;
mod store_quotas;
mod time_filter;
mod timed_cache;
mod webhooks;

use std::{sync::Arc, time::Instant};

use futures::{Stream, future::BoxFuture};
use hearth_auth::Keys;
use hearth_domain::{ArtifactId, Generation, Run, RunId, Secret, Timestamp, UserId};
use hearth_store::{Store, StoreError};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{
    ApiError, RunEvent,
    native::{cache::CacheStats, providers::ProviderBody, route::RouteBody},
};

/// Boxes the future of a public asynchronous function.
///
/// rustc compiles the body of an `async fn` in each crate that awaits it, and not in the crate that contains it. Boxed, it is
/// compiled once, here: without that a third of the code of each function and of the command would be this crate's.
/// `Box<dyn Future>` costs one allocation a call.
pub(crate) use async_recursion::async_recursion as boxed_future;

pub use access::{Access, Caller, Credential, tokens};
pub use audit::Audit;
pub use cache::{CacheOutcome, CacheSettings};
pub use conversations::Conversation;
pub use error::STORAGE_DETAIL;
pub use hearth_domain::Delivery;
pub use hearth_providers::AllowedAddresses;
pub use in_place::pin_in_place;
pub use jobs::{
    JobChange,
    engine::{
        JobDispatcher, JobOutcome,
        queue::{JobMessage, JobQueue, JobQueueError},
    },
};
pub use limits::{LimitAccess, RateState, RateStatus, UsageAccess};
pub use models::ModelPage;
pub use options::{HttpClients, Options};
pub use readiness::{DependencyKind, DependencyState, Readiness, ReadinessReport};
pub use relay::Relay;
pub use run::RunStream;
pub use settings::Routing;
pub use webhooks::WebhookAccess;

use components::Components;
use configuration::Configuration;
use definitions::Definitions;
use node_link::NodeAuthentication;
use sockets::Sockets;
use stage::Stage;

/// The gateway: the components that serve requests. Clones share them.
#[derive(Debug, Clone)]
pub struct Gateway(Arc<Components>);

impl Gateway {
    /// A gateway over `store`, which sends requests through `http` to nodes and to the providers of `routing`.
    #[must_use]
    pub fn new(store: Store, http: HttpClients, options: Options, routing: Routing) -> Self {
        Self(Arc::new(Components::new(store, http, options, routing)))
    }

    /// The user who operates this gateway.
    ///
    /// # Errors
    /// If the store fails.
    #[crate::boxed_future]
    pub async fn operator(&self) -> Result<UserId, StoreError> {
        self.0.store.operator().await
    }

    /// The gateway's keys. Creates the secret where there is none and the options allow that.
    ///
    /// # Errors
    /// `internal` if the secret can't be read.
    pub async fn keys(&self) -> Result<&Keys, ApiError> {
        self.0.keys.get().await
    }

    /// True if a run can go on after the response: not on Lambda, which freezes the process then.
    #[must_use]
    pub fn outlives_response(&self) -> bool {
        self.0.background.outlives_response()
    }

    /// The configuration of routing that all processes share.
    #[must_use]
    pub fn configuration(&self) -> &Arc<Configuration> {
        &self.0.configuration
    }

    /// The caller whose credential this is.
    ///
    /// # Errors
    /// `unauthorized` if it isn't a token, or no longer valid.
    #[crate::boxed_future]
    pub async fn authenticate(&self, credential: &str) -> Result<Caller, ApiError> {
        Stage::Authenticate.measure(self.0.access.authenticate(credential)).await
    }

    /// [`Gateway::authenticate`] without reading the store: `None` for a token that isn't cached.
    #[must_use]
    pub fn authenticate_cached(&self, credential: &str) -> Option<Result<Caller, ApiError>> {
        let began = Instant::now();
        let cached = self.0.access.authenticate_cached(credential)?;
        Stage::Authenticate.record(began.elapsed());
        Some(cached)
    }

    /// Authentication of nodes.
    #[must_use]
    pub fn node_authentication(&self) -> &NodeAuthentication {
        &self.0.node_authentication
    }

    /// Schemas of answers and templates of prompts.
    #[must_use]
    pub fn definitions(&self) -> &Definitions {
        &self.0.definitions
    }

    /// The relay to nodes that the gateway can't reach.
    #[must_use]
    pub fn relay(&self) -> &Relay {
        &self.0.relay
    }

    /// Sockets of nodes and clients.
    #[must_use]
    pub fn sockets(&self) -> &Arc<Sockets> {
        &self.0.sockets
    }

    /// API tokens: created, listed, revoked.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// The providers, as the caller sees them.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list_providers(&self, caller: &Caller) -> Result<Vec<ProviderBody>, ApiError> {
        self.0.providers.list(caller).await
    }

    /// Stores a provider's key, or replaces it; it is used from now on here, and within a minute by other processes.
    ///
    /// # Errors
    /// `invalid_request` if no provider can have this name, or the key is malformed; `conflict` if its settings have a
    /// key; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn set_provider_key(&self, name: &str, key: &Secret) -> Result<(), ApiError> {
        self.0.providers.set_key(name, key).await
    }

    /// Deletes a provider's key.
    ///
    /// # Errors
    /// `not_found` if none is stored; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn remove_provider_key(&self, name: &str) -> Result<(), ApiError> {
        self.0.providers.remove_key(name).await
    }

    /// Fetches the model list of each provider in the background, if it is due.
    #[crate::boxed_future]
    pub async fn refresh_model_lists(&self) {
        self.0.providers.refresh_model_lists().await;
    }

    /// The candidates for a request, and the reasons why other models are none. Sends nothing to them.
    ///
    /// # Errors
    /// As for [`Gateway::generate`], as far as they precede the run.
    #[crate::boxed_future]
    pub async fn route(&self, caller: &Caller, generation: Generation) -> Result<RouteBody, ApiError> {
        self.0.router.explain(&self.0.preferences, caller, generation).await
    }

    /// Starts the run `id`: with a cached answer, if there is one that may be used, else with a model's. When this
    /// returns, the run has ended, waits in a queue, loads its model, or has a slot: an earlier failure is an error here,
    /// and not an event.
    ///
    /// # Errors
    /// `not_cached` if the request takes a cached answer only and there is none; `model_not_found`,
    /// `no_model_available`, `queue_full`, `context_length_exceeded`, and others that keep a run from beginning.
    #[crate::boxed_future]
    pub async fn generate(
        &self,
        caller: &Caller,
        id: RunId,
        generation: Generation,
        delivery: Delivery,
    ) -> Result<RunStream, ApiError> {
        self.generate_in_trace(caller, id, generation, delivery, &TraceContext::default()).await
    }

    /// [`Gateway::generate`] as a part of a trace: its spans lie below `trace`.
    ///
    /// # Errors
    /// As [`Gateway::generate`].
    pub fn generate_in_trace<'a>(
        &'a self,
        caller: &'a Caller,
        id: RunId,
        generation: Generation,
        delivery: Delivery,
        trace: &'a TraceContext,
    ) -> BoxFuture<'a, Result<RunStream, ApiError>> {
        pin_in_place(|| generate::generate(&self.0, caller, id, generation, delivery, trace))
    }

    /// The caller's run.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's.
    #[crate::boxed_future]
    pub async fn request(&self, caller: &Caller, id: RunId) -> Result<Run, ApiError> {
        self.0.requests.get(caller, id).await
    }

    /// The run's events from the first, as they are recorded, to the terminal one. At `until` they end without one: a process
    /// with a time limit can't follow a run of another one to its end.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::request`].
    pub async fn events(
        &self,
        caller: &Caller,
        id: RunId,
        until: Option<Timestamp>,
    ) -> Result<impl Stream<Item = RunEvent> + Send + use<>, ApiError> {
        self.0.requests.follow(caller, id, until).await
    }

    /// Stops the caller's run, and waits a little for its end; returns the run then, and whether this stopped it.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::request`]; `node_offline` if its node can't be reached.
    #[crate::boxed_future]
    pub async fn cancel_request(&self, caller: &Caller, id: RunId) -> Result<(Run, bool), ApiError> {
        self.0.requests.cancel(caller, id).await
    }

    /// Deletes the caller's cached answers, or those of models whose names match `pattern`, in which `*` matches any
    /// text; returns their number. Answers of runs in progress aren't stored.
    ///
    /// # Errors
    /// `invalid_request` for a bad pattern; `internal` if the store fails: then some may be left.
    #[crate::boxed_future]
    pub async fn delete_cached(&self, caller: &Caller, pattern: Option<&str>) -> Result<usize, ApiError> {
        self.0.cache.delete(caller, pattern).await
    }

    /// Counts of the cache in this process since its start.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.0.cache.stats()
    }

    /// An artifact's bytes, all of them.
    ///
    /// # Errors
    /// `not_found` if they are deleted; `internal` if the bucket can't be read.
    #[crate::boxed_future]
    pub async fn whole_artifact(&self, id: ArtifactId) -> Result<Vec<u8>, ApiError> {
        self.0.artifacts.read(id).await
    }
}
