//! Commands to a node: to load, unload, remove and configure its models, to prove its key, and to wake a machine.

use hearth_wire::{
    ApiError,
    node::{NodeChallengeAnswer, NodeModelCommand, NodeModelSettings, NodeRemoved, NodeWakeCommand},
};
use reqwest::Method;

use super::{CHALLENGE_PATH, NodeLink};

impl NodeLink {
    /// Starts to load a model.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn load(&self, model: &str) -> Result<(), ApiError> {
        self.command("/v1/models/load", model).await
    }

    /// Starts to unload a model.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn unload(&self, model: &str) -> Result<(), ApiError> {
        self.command("/v1/models/unload", model).await
    }

    /// Deletes a model's file.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn remove(&self, model: &str) -> Result<NodeRemoved, ApiError> {
        let body = NodeModelCommand { model: model.to_owned() };
        self.request(Method::POST, "/v1/models/remove", model, Some(&body)).await
    }

    /// Sends the settings of the node's models, in place of all earlier ones.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn configure(&self, settings: &NodeModelSettings) -> Result<(), ApiError> {
        self.send(Method::POST, "/v1/models/settings", "settings", Some(settings)).await.map(drop)
    }

    /// Asks the node to sign `nonce` with its own key; returns the signature.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn challenge(&self, nonce: &str) -> Result<String, ApiError> {
        let path = format!("{CHALLENGE_PATH}?nonce={nonce}");
        let answer: NodeChallengeAnswer = self.request(Method::GET, &path, "challenge", None::<&()>).await?;
        Ok(answer.signature)
    }

    /// Wakes the machine with the network card `mac`.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error: `forbidden` if its settings don't allow it.
    pub async fn wake(&self, mac: &str) -> Result<(), ApiError> {
        let body = NodeWakeCommand { mac: mac.to_owned() };
        self.send(Method::POST, "/v1/wake", mac, Some(&body)).await.map(drop)
    }

    async fn command(&self, path: &str, model: &str) -> Result<(), ApiError> {
        let body = NodeModelCommand { model: model.to_owned() };
        self.send(Method::POST, path, model, Some(&body)).await.map(drop)
    }
}
