//! A gateway, the proxy in front of it, and a node that reaches the gateway through the proxy.

use std::collections::{BTreeMap, BTreeSet};

use fault_proxy::FaultProxy;
use hearth_wire::{RunEventBody, relay::NodeEventBatch};
use serde_json::Value;

use super::{NodeProcess, RelayStream, ScriptedNode, answer::history, enrolment_code, long_request};
use crate::{Client, Home, Setup, eventually};

/// A gateway at home without a node of its own, and the way of its nodes to it.
pub struct RelayWorld {
    /// Between the nodes and the gateway.
    pub proxy: FaultProxy,
    home: Option<Home>,
}

impl RelayWorld {
    /// Starts gateway and proxy.
    ///
    /// # Panics
    /// If they don't start.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// The same with settings of the gateway.
    ///
    /// # Panics
    /// If they don't start.
    pub async fn start_with(settings: &str) -> Self {
        let home = Setup::new().arguments(&["--no-node"]).settings(settings).start().await;
        let proxy = FaultProxy::start(&home.url).await.unwrap_or_else(|error| panic!("the proxy: {error}"));
        Self { proxy, home: Some(home) }
    }

    /// The gateway.
    ///
    /// # Panics
    /// If it isn't running.
    #[must_use]
    pub fn home(&self) -> &Home {
        self.home.as_ref().unwrap_or_else(|| panic!("the gateway isn't running"))
    }

    /// The client of a user, beside the proxy.
    #[must_use]
    pub fn client(&self) -> Client {
        self.home().client()
    }

    /// Enrols a node and starts it.
    pub async fn node(&self) -> NodeProcess {
        self.node_with(&[]).await
    }

    /// The same with variables of the node.
    pub async fn node_with(&self, variables: &[(&str, &str)]) -> NodeProcess {
        let code = enrolment_code(&self.client()).await;
        let mut node = NodeProcess::enroll(&self.proxy.url(), &code, variables).await;
        node.start().await;
        self.wait_for_model("tiny-chat").await;
        node
    }

    /// Enrols a scripted node with models, which has reported them.
    pub async fn scripted(&self, name: &str, models: &[&str]) -> ScriptedNode {
        let code = enrolment_code(&self.client()).await;
        let node = ScriptedNode::enroll(&self.proxy.url(), &code, name).await.with_models(models);
        node.report().await;
        node
    }

    /// Waits until a model is in the gateway's list.
    pub async fn wait_for_model(&self, model: &str) {
        wait_for_model(&self.client(), model).await;
    }

    /// Asks for an answer of `max_tokens` tokens.
    ///
    /// # Panics
    /// If the answer isn't a stream.
    pub async fn ask(&self, model: &str, max_tokens: u64) -> RelayStream {
        let stream = RelayStream::open(&self.client(), &long_request(model, max_tokens)).await;
        stream.unwrap_or_else(|answer| panic!("instead of a stream: {answer:?}"))
    }

    /// Stops the gateway in order, and starts it again on the same data.
    pub async fn restart_gateway(&mut self) {
        if let Some(home) = self.home.take() {
            self.serve(home.restart().await);
        }
    }

    /// Kills the gateway (`kill -9`), and starts it again on the same data.
    pub async fn crash_gateway(&mut self) {
        if let Some(home) = self.home.take() {
            self.serve(home.crash_and_restart().await);
        }
    }

    fn serve(&mut self, home: Home) {
        // It has another port.
        let moved = self.proxy.set_upstream(&home.url);
        moved.unwrap_or_else(|error| panic!("{}: {error}", home.url));
        self.proxy.cut();
        self.home = Some(home);
    }

    /// Checks that a run has come to an end, and that it was executed to its end under at most one claim. Returns its record.
    ///
    /// # Panics
    /// If not.
    pub async fn assert_ended_once(&self, run: &str) -> Value {
        let record = history(&self.client(), run).await;
        let mut ends: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for exchange in self.proxy.log().iter().filter(|exchange| exchange.status == Some(200)) {
            if !exchange.path.contains(run) || !exchange.path.ends_with("/events") {
                continue;
            }
            let Ok(batch) = serde_json::from_slice::<NodeEventBatch>(&exchange.body) else { continue };
            if batch.events.iter().any(|event| matches!(event.body, RunEventBody::Done { .. })) {
                ends.entry(exchange.path.clone()).or_default().insert(batch.fence);
            }
        }
        for (path, fences) in ends {
            assert_eq!(
                fences.len(),
                1,
                "{path}: the run was executed to its end under the claims {fences:?}"
            );
        }
        record
    }
}

/// Waits until a model is in the gateway's list.
pub async fn wait_for_model(client: &Client, model: &str) {
    eventually("a node's model", async || {
        let list = client.get("/v1/models").await.json();
        list["data"].as_array()?.iter().any(|one| one["id"] == model).then_some(())
    })
    .await;
}
