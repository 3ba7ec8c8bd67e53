//! Usage of an answer of a node behind a router: the node is scripted, and sends as much as a real one.

use std::time::Duration;

use hearth_domain::FinishReason;
use hearth_tests::{
    Client, Socket,
    relay::{RelayAnswer, RelayStream, ScriptedNode, ScriptedRun, enrolment_code, long_request},
};
use hearth_wire::{RunEventBody, relay::NodeBatchAccepted};
use lambda_emulator::{ApiGateway, WebSocketApi};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::{meter::Meter, relay_page::RelayUsage, world::World};

/// The scripted node's model.
const MODEL: &str = "ghost";
/// Tokens of an answer.
const TOKENS: usize = 500;
/// Interval of a node's batches.
const BATCH_INTERVAL: Duration = Duration::from_millis(200);
/// Tokens of a batch, at 100 tokens a second.
const BATCH_TOKENS: usize = 20;

/// A cloud stack with a node.
pub(crate) struct RelayWorld {
    /// They serve the client and the node.
    _apis: (ApiGateway, WebSocketApi),
    meter: Meter,
    client: Client,
    node: ScriptedNode,
    socket: Socket,
    /// Usage of the socket's opening.
    pub(crate) new_socket: RelayUsage,
}

impl RelayWorld {
    /// Starts the API, and enrols the node.
    pub(crate) async fn start(world: &World) -> Self {
        let (api, sockets, meter) = world.apis().await;
        let client = Client::new(&api.url(), Some(world.token()));
        let code = enrolment_code(&client).await;
        let node = ScriptedNode::enroll(&api.url(), &code, "box").await.with_models(&[MODEL]);
        node.report().await;
        let url = sockets.url();
        let open = async || Socket::open_as(&url, &node.credential("GET /v1/socket", b"")).await;
        // The function's process reads at its start what later sockets find in its memory.
        let first = open().await;
        meter.take();
        let socket = open().await;
        let new_socket = RelayUsage { units: meter.take(), requests: 0 };
        drop(first);
        Self { _apis: (api, sockets), meter, client, node, socket, new_socket }
    }

    /// The usage of an answer, without a node's own requests for orders.
    pub(crate) async fn answer(&mut self) -> RelayUsage {
        self.meter.take();
        let (client, body) = (self.client.clone(), long_request(MODEL, TOKENS as u64));
        let asking = tokio::spawn(async move {
            let stream = RelayStream::open(&client, &body).await;
            stream.unwrap_or_else(|answer| panic!("{answer:?}")).rest().await
        });
        let (run, requests) = self.serve().await;
        let answer: RelayAnswer = asking.await.unwrap();
        answer.assert_whole(&words(TOKENS));
        assert_eq!(answer.id, run.id().to_string());
        // The answer of the client is a request too.
        RelayUsage { units: self.meter.take(), requests: requests + 1 }
    }

    /// The usage of a node's report.
    pub(crate) async fn report(&self) -> RelayUsage {
        self.meter.take();
        self.node.report().await;
        RelayUsage { units: self.meter.take(), requests: 1 }
    }

    /// The usage of a heartbeat over the socket.
    pub(crate) async fn heartbeat(&mut self) -> RelayUsage {
        self.meter.take();
        self.socket.send(&json!({"type": "heartbeat"})).await;
        self.socket.until("heartbeat").await;
        RelayUsage { units: self.meter.take(), requests: 0 }
    }

    /// Serves the next run. Returns it, with the number of the node's requests.
    async fn serve(&mut self) -> (ScriptedRun, u32) {
        let doorbells = self.socket.until("run").await;
        let run = doorbells.last().and_then(|doorbell| doorbell["run"].as_str()).unwrap();
        let run = run.parse().unwrap();
        let mut run = self.node.claim(run).await.unwrap();
        let first = vec![RunEventBody::Started { prompt_tokens: 20 }, RunEventBody::text(word(0))];
        self.node.post(&mut run, first).await;
        let (mut ticks, mut sent, mut requests) = (interval(BATCH_INTERVAL), 1, 2);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while sent < TOKENS {
            ticks.tick().await;
            let end = (sent + BATCH_TOKENS).min(TOKENS);
            let mut events: Vec<RunEventBody> =
                (sent..end).map(|token| RunEventBody::text(word(token))).collect();
            if end == TOKENS {
                events.push(RunEventBody::Usage { usage: Default::default() });
                events.push(RunEventBody::Done { finish_reason: FinishReason::Stop });
            }
            let accepted: NodeBatchAccepted = self.node.post(&mut run, events).await;
            assert_eq!(accepted.last_seq, run.seq);
            (sent, requests) = (end, requests + 1);
        }
        (run, requests)
    }
}

fn word(token: usize) -> String {
    format!("w{} ", token % 100)
}

fn words(count: usize) -> String {
    (0..count).map(word).collect()
}
