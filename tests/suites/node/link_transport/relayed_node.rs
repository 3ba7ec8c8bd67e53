//! The node's side of the relay, by calls of the gateway in the same process.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use futures::StreamExt as _;
use hearth_domain::RunId;
use hearth_gateway::{Gateway, nodes::NodeRecord};
use hearth_node::Node;
use hearth_wire::{
    ErrorCode, RunEvent,
    relay::{
        ClaimBody, ClaimedRun, NodeCall, NodeCallAnswer, NodeEventBatch, NodeOrders, NodeRefusal, NodeReport,
    },
};
use serde_json::Value;
use tower::ServiceExt as _;

/// Longest wait for orders. A gateway of the cloud answers at once.
const ORDERS_TIMEOUT: Duration = Duration::from_secs(1);
/// Wait between two requests for orders to a gateway of the cloud.
const ORDERS_INTERVAL: Duration = Duration::from_millis(20);
/// Maximum number of events in a batch.
const BATCH_MAX_COUNT: usize = 16;

/// A node that fetches its runs.
#[derive(Clone)]
pub(super) struct RelayedNode {
    pub(super) gateway: Gateway,
    pub(super) record: NodeRecord,
    pub(super) node: Node,
    pub(super) routes: Router,
    /// Runs that it has, and doesn't claim again.
    pub(super) runs: Arc<Mutex<HashSet<RunId>>>,
}

impl RelayedNode {
    /// Reports the node's models.
    pub(super) async fn report(&self) {
        let report = NodeReport {
            status: Some(self.node.status().await.unwrap()),
            version: "test".to_owned(),
            now: hearth_domain::Timestamp::now(),
            energy: None,
            mac: None,
            runs_max_count: None,
            last_error: None,
            stopping: false,
        };
        self.gateway.relay().report(&self.record, report).await.unwrap();
    }

    /// Fetches orders, and follows them. Never returns.
    pub(super) async fn work(self) {
        let mut answered = HashSet::new();
        loop {
            let orders = self.gateway.relay().orders(&self.record, ORDERS_TIMEOUT).await.unwrap();
            let NodeOrders { runs, calls, cancelled, .. } = orders;
            for run in runs {
                if self.runs.lock().unwrap().insert(run) {
                    self.spawn_run(run);
                }
            }
            for call in calls {
                if answered.insert(call.id) {
                    let node = self.clone();
                    tokio::spawn(async move { node.answer(call).await });
                }
            }
            for run in cancelled {
                let _ = self.node.cancel(run).await;
            }
            tokio::time::sleep(ORDERS_INTERVAL).await;
        }
    }

    fn spawn_run(&self, run: RunId) {
        let node = self.clone();
        tokio::spawn(async move {
            let body = ClaimBody { process: Some("test".to_owned()) };
            let claim = node.gateway.relay().claim(&node.record, run, body).await;
            if let Ok(claimed) = claim {
                node.execute(claimed).await;
            }
            node.runs.lock().unwrap().remove(&run);
        });
    }

    async fn execute(&self, claimed: ClaimedRun) {
        let (relay, run, fence) = (self.gateway.relay(), claimed.run.run, claimed.fence);
        let log = match self.node.submit(claimed.run).await {
            Ok(log) => log,
            Err(error) => {
                let refused = relay.refuse(&self.record, run, NodeRefusal { fence, error }).await;
                assert!(refused.is_ok_and(|()| true));
                return;
            }
        };
        let events = log.read(0).unwrap();
        let events = events.map(|event| serde_json::from_str::<RunEvent>(&event.json).unwrap());
        let mut batches = Box::pin(events.ready_chunks(BATCH_MAX_COUNT));
        while let Some(events) = batches.next().await {
            let batch = NodeEventBatch { fence, events };
            match relay.append(&self.record, run, batch.clone()).await {
                Ok(accepted) if accepted.cancelled => drop(self.node.cancel(run).await),
                Ok(_) => {}
                Err(error) => panic!("{error:?}"),
            }
            // The answer to a batch may be lost.
            relay.append(&self.record, run, batch).await.unwrap();
        }
    }

    async fn answer(&self, call: NodeCall) {
        let (method, path) = call.call.split_once(' ').unwrap();
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        let body = if call.body.is_null() { Body::empty() } else { Body::from(call.body.to_string()) };
        let response = self.routes.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let answer = NodeCallAnswer { status, body };
        match self.gateway.relay().answer_call(&self.record, call.id, answer).await {
            Ok(()) => {}
            // Nobody waits any more.
            Err(error) => assert_eq!(error.code, ErrorCode::NotFound),
        }
        // As a node does: the call may have changed its status.
        self.report().await;
    }
}
