//! The supervisor: takes runs, keeps workers, and writes each run's log.
//!
//! [`Node`] is a handle; the state belongs to one task, the actor, which takes one message after
//! another and so needs no locks.

mod actor;
mod backends;
mod measured;
mod metrics;
mod models;
mod refusal;
mod run_log;
mod runs;
mod storage;
mod worker;
mod workers;

use std::sync::Arc;

use hearth_domain::RunId;
use hearth_wire::{
    ApiError, ErrorCode,
    node::{NodeRemoved, NodeRun, NodeStatus},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::config::NodeConfig;
use actor::{Actor, Message};
pub use run_log::{Expired, LoggedEvent, RunLog};

/// A handle on a running node.
#[derive(Debug, Clone)]
pub struct Node {
    inbox: mpsc::UnboundedSender<Message>,
}

impl Node {
    /// Starts a node; its default model begins to load. The task ends after [`Node::shut_down`].
    #[must_use]
    pub fn start(config: NodeConfig) -> (Self, JoinHandle<()>) {
        metrics::describe();
        let (inbox, messages) = mpsc::unbounded_channel();
        let actor = Actor::new(config, inbox.clone());
        (Self { inbox }, tokio::spawn(actor.run(messages)))
    }

    /// Takes a run in. Its log tells the rest.
    ///
    /// # Errors
    /// `model_not_found`, `queue_full`, `model_load_failed`, `no_model_available`, or `conflict` if
    /// the id is taken.
    pub async fn submit(&self, run: NodeRun) -> Result<Arc<RunLog>, ApiError> {
        self.ask(|reply| Message::Submit { run: Box::new(run), reply }).await?
    }

    /// The log of a run that is going or ended lately.
    ///
    /// # Errors
    /// If the node is shutting down.
    pub async fn log(&self, run: RunId) -> Result<Option<Arc<RunLog>>, ApiError> {
        self.ask(|reply| Message::Log { run, reply }).await
    }

    /// Stops a run; whether there was something to stop.
    ///
    /// # Errors
    /// If the node is shutting down.
    pub async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        self.ask(|reply| Message::Cancel { run, reply }).await
    }

    /// Begins to load a model.
    ///
    /// # Errors
    /// `model_not_found`, `model_load_failed` for a bad file, or `conflict` if there is no room.
    pub async fn load(&self, model: String) -> Result<(), ApiError> {
        self.ask(|reply| Message::Load { model, reply }).await?
    }

    /// Begins to unload a model.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use.
    pub async fn unload(&self, model: String) -> Result<(), ApiError> {
        self.ask(|reply| Message::Unload { model, reply }).await?
    }

    /// Removes a model's file, after it has left memory.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use, a default model, or lies outside of the model folder.
    pub async fn remove(&self, model: String) -> Result<NodeRemoved, ApiError> {
        self.ask(|reply| Message::Remove { model, reply }).await?
    }

    /// What the node has and does.
    ///
    /// # Errors
    /// If the node is shutting down.
    pub async fn status(&self) -> Result<NodeStatus, ApiError> {
        self.ask(Message::Status).await
    }

    /// Stops every run and worker.
    pub fn shut_down(&self) {
        let _ = self.inbox.send(Message::ShutDown);
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        let _ = self.inbox.send(message(reply));
        answer.await.map_err(|_| ApiError::new(ErrorCode::NodeOffline, "the node is shutting down"))
    }
}
