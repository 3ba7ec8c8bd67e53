//! The supervisor: accepts runs, controls the workers, and writes each run's log.
//!
//! [`Node`] is a handle. One task, the actor, owns the state. It handles one message after another, so the state needs no
//! locks.

mod actor;
mod api_errors;
mod backend_selection;
mod backends;
mod measurements;
mod message;
mod metrics;
mod model_settings;
mod models;
mod run_log;
mod runs;
#[cfg(test)]
pub(crate) mod scripted;
mod storage;
mod token_counts;
mod trace;
mod worker;
mod workers;

use std::{sync::Arc, time::Duration};

use hearth_domain::RunId;
use hearth_telemetry::traces::Span;
use hearth_wire::{
    ApiError, ErrorCode,
    node::{NodeCountBody, NodeModelSettings, NodeRemoved, NodeRun, NodeStatus, NodeTokenCount},
};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinHandle,
};

use crate::{config::NodeConfig, downloads::Downloads, wake::Waker};
use actor::Actor;
use message::Message;
pub use run_log::{Expired, LoggedEvent, RunLog};

/// Time for a model to load and to count tokens: less than a gateway waits for an answer.
const COUNT_TIMEOUT: Duration = Duration::from_secs(8);
/// Messages that the actor hasn't handled. Senders wait: the actor waits for none of them. A worker whose reports aren't taken
/// holds them back itself.
const INBOX_MAX_COUNT: usize = 1024;

/// A handle on a running node.
#[derive(Debug, Clone)]
pub struct Node {
    inbox: mpsc::Sender<Message>,
    waker: Waker,
    downloads: Downloads,
}

impl Node {
    /// Starts a node, which begins to load its default models. The task ends after [`Node::shut_down`].
    #[must_use]
    pub fn start(config: NodeConfig) -> (Self, JoinHandle<()>) {
        metrics::queue_depth(0);
        let (inbox, messages) = mpsc::channel(INBOX_MAX_COUNT);
        let waker = Waker::new(&config.settings);
        let downloads = Downloads::start(config.downloads.clone());
        let actor = Actor::new(config, inbox.clone());
        (Self { inbox, waker, downloads }, tokio::spawn(actor.run(messages)))
    }

    /// Submits a run, and returns its log.
    ///
    /// # Errors
    /// `model_not_found`, `queue_full`, `model_load_failed`, `no_model_available`, or `conflict` if
    /// the id exists.
    pub async fn submit(&self, run: NodeRun) -> Result<Arc<RunLog>, ApiError> {
        self.submit_in_trace(run, Span::default()).await
    }

    /// [`Node::submit`] as a part of a trace: `span` ends with the run, and the spans of its parts lie below it.
    ///
    /// # Errors
    /// As [`Node::submit`].
    pub async fn submit_in_trace(&self, run: NodeRun, span: Span) -> Result<Arc<RunLog>, ApiError> {
        self.ask(|reply| Message::Submit { run: Box::new(run), span, reply }).await?
    }

    /// The log of an active run, or of a run that ended recently.
    ///
    /// # Errors
    /// If the node is shutting down.
    pub async fn log(&self, run: RunId) -> Result<Option<Arc<RunLog>>, ApiError> {
        self.ask(|reply| Message::Log { run, reply }).await
    }

    /// Cancels a run. Returns whether it was active.
    ///
    /// # Errors
    /// If the node is shutting down.
    pub async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        self.ask(|reply| Message::Cancel { run, reply }).await
    }

    /// Starts to load a model.
    ///
    /// # Errors
    /// `model_not_found`, `model_load_failed` for a bad file, or `no_model_available` if there is no room in memory.
    pub async fn load(&self, model: String) -> Result<(), ApiError> {
        self.ask(|reply| Message::Load { model, reply }).await?
    }

    /// Counts tokens by the tokenizer of a model, after it is loaded.
    ///
    /// # Errors
    /// The errors of [`Node::load`]; `provider_timeout` if the model isn't loaded within a few seconds: a further request waits for the
    /// same load.
    pub async fn count_tokens(&self, body: NodeCountBody) -> Result<NodeTokenCount, ApiError> {
        let count = self.ask(|reply| Message::Count { body: Box::new(body), reply });
        let slow =
            |_| ApiError::new(ErrorCode::ProviderTimeout, "the model is still being loaded; try again");
        tokio::time::timeout(COUNT_TIMEOUT, count).await.map_err(slow)??
    }

    /// Starts to unload a model.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use.
    pub async fn unload(&self, model: String) -> Result<(), ApiError> {
        self.ask(|reply| Message::Unload { model, reply }).await?
    }

    /// Unloads a model, and removes its files.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use, is a default model, or lies outside of the model folder.
    pub async fn remove(&self, model: String) -> Result<NodeRemoved, ApiError> {
        self.ask(|reply| Message::Remove { model, reply }).await?
    }

    /// Replaces the settings of models by the gateway's.
    ///
    /// # Errors
    /// `invalid_request` for settings out of their ranges; `internal` if they can't be stored.
    pub async fn configure(&self, settings: NodeModelSettings) -> Result<(), ApiError> {
        self.ask(|reply| Message::Configure { settings, reply }).await?
    }

    /// The node's models, backends and storage.
    ///
    /// # Errors
    /// If the node is shutting down.
    pub async fn status(&self) -> Result<NodeStatus, ApiError> {
        let mut status = self.ask(Message::Status).await?;
        status.downloads = self.downloads.summary();
        Ok(status)
    }

    /// Downloads of models.
    #[must_use]
    pub fn downloads(&self) -> &Downloads {
        &self.downloads
    }

    /// Stops every run, download and worker. Downloads continue at the next start.
    pub fn shut_down(&self) {
        self.downloads.shut_down();
        if let Err(TrySendError::Full(message)) = self.inbox.try_send(Message::ShutDown) {
            let inbox = self.inbox.clone();
            tokio::spawn(async move { inbox.send(message).await });
        }
    }

    /// Wakes the machine with the network card `mac`, if the node's settings allow it.
    ///
    /// # Errors
    /// `forbidden`, `invalid_request`, or `internal` if the packet can't be sent.
    pub async fn wake(&self, mac: &str) -> Result<(), ApiError> {
        self.waker.wake(mac).await
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        let _ = self.inbox.send(message(reply)).await;
        answer.await.map_err(|_| ApiError::new(ErrorCode::NodeOffline, "the node is shutting down"))
    }
}
