//! The [`Provider`] trait: one generation against a node or a vendor's API.

use std::{fmt::Debug, pin::Pin, sync::Arc};

use futures::Stream;
use hearth_domain::{ClientDialect, Credits, Delivery, Generation, ModelId, RunId};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{
    ApiError, RunEventBody,
    node::{NodeCountBody, NodeTokenCount},
};

/// A run's events from its provider: without `Selected`, and with one terminal event, the last.
pub type EventStream = Pin<Box<dyn Stream<Item = RunEventBody> + Send>>;

/// One generation to run at a provider.
#[derive(Debug, Clone)]
pub struct Call {
    /// The run's id.
    pub run: RunId,
    /// The model, under the provider's name for it.
    pub model: ModelId,
    /// The generation. It is shared, since it may be large and several providers may be tried with it.
    pub generation: Arc<Generation>,
    /// The way the client receives the answer.
    pub delivery: Delivery,
    /// The position in the request's trace; empty without one.
    pub trace: TraceContext,
}

/// A node or a vendor's API that can run a generation.
#[async_trait::async_trait]
pub trait Provider: Debug + Send + Sync {
    /// The name that clients see.
    fn name(&self) -> &str;

    /// The vendor's kind, or [`crate::config::LOCAL`].
    fn kind(&self) -> &str;

    /// The host name or address that requests are sent to; `None` for a node in this process.
    fn server_address(&self) -> Option<String> {
        None
    }

    /// The credit and limits that the provider has reported; `None` for a provider without credit, such as a node.
    fn credits(&self) -> Option<Credits> {
        None
    }

    /// True if a run that was started goes on when the gateway's process has ended, and another process can follow it: at a node
    /// that isn't in that process.
    fn outlives_gateway(&self) -> bool {
        false
    }

    /// Returns whether the provider's API has the dialect of these clients.
    fn speaks(&self, _client: ClientDialect) -> bool {
        false
    }

    /// Starts a generation. An error here, or as the stream's first event, has cost nothing yet, so another provider
    /// may be tried.
    ///
    /// # Errors
    /// If the generation can't be started.
    async fn generate(&self, call: Call) -> Result<EventStream, ApiError>;

    /// Counts tokens by the model's own tokenizer; `None` if the provider has no way to do so.
    ///
    /// # Errors
    /// If the provider can't be reached, or the model isn't ready yet (`provider_timeout`).
    async fn count_tokens(&self, _body: &NodeCountBody) -> Result<Option<NodeTokenCount>, ApiError> {
        Ok(None)
    }

    /// Counts the tokens of the prompt that [`Provider::generate`] would render, without its images; `None` if the provider
    /// has no way to do so.
    ///
    /// # Errors
    /// As for [`Provider::count_tokens`], and if the generation can't be started here.
    async fn count_prompt(&self, _call: &Call) -> Result<Option<u32>, ApiError> {
        Ok(None)
    }

    /// Cancels a run, whose stream then ends. Returns false if there was no such run.
    ///
    /// # Errors
    /// If the provider can't be reached.
    async fn cancel(&self, run: RunId) -> Result<bool, ApiError>;
}
