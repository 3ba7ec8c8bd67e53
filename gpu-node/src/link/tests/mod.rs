//! A link between a scripted gateway and a scripted node.

mod connection;
mod gateway;
mod runs;

use std::sync::Arc;

use hearth_domain::{FinishReason, RunId};
use hearth_wire::{RunEventBody, relay::Doorbell};

use super::{LinkConfig, RunningLink};
use crate::supervisor::{RunLog, scripted::ScriptedNode};
use gateway::{ScriptedGateway, SocketOrder};

/// A link, its gateway and its node.
struct World {
    gateway: ScriptedGateway,
    node: ScriptedNode,
    link: RunningLink,
}

impl World {
    /// Starts a link without a socket.
    async fn start() -> Self {
        Self::start_with(ScriptedGateway::start().await, |config| config)
    }

    /// Starts a link with a socket, and waits until it is connected.
    async fn with_socket() -> Self {
        let gateway = ScriptedGateway::start().await;
        gateway.state().orders.socket = Some("/v1/socket".to_owned());
        let world = Self::start_with(gateway, |config| config);
        world.gateway.until(|state| state.connected == 1).await;
        world
    }

    fn start_with(gateway: ScriptedGateway, change: impl FnOnce(LinkConfig) -> LinkConfig) -> Self {
        let node = ScriptedNode::start();
        let link = RunningLink::start(node.node.clone(), change(gateway.config())).unwrap();
        Self { gateway, node, link }
    }

    /// Waits until the gateway has the run's last event, and returns the events.
    async fn events(&self, run: RunId) -> Vec<RunEventBody> {
        self.gateway.until(|state| state.run(run).has_ended()).await;
        let state = self.gateway.state();
        let events = &state.run(run).events;
        let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
        events.iter().map(|event| event.body.clone()).collect()
    }
}

/// The events of a short answer.
fn answer() -> Vec<RunEventBody> {
    let started = RunEventBody::Started { prompt_tokens: 3 };
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    vec![started, RunEventBody::text("a"), RunEventBody::text("b"), done]
}

fn finish(log: &Arc<RunLog>) {
    answer().into_iter().for_each(|event| log.push(event));
}
