//! A gateway whose answers a test decides.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    body::{Bytes, to_bytes},
    extract::{
        FromRequestParts as _, Request, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hearth_auth::{NodeClaims, NodeKey, NodeVerifier};
use hearth_domain::{NodeCallId, NodeId, Priority, RunId, Sampling, TextTask};
use hearth_wire::{
    RunEvent,
    node::NodeRun,
    relay::{
        ClaimedRun, Doorbell, NodeBatchAccepted, NodeCallAnswer, NodeEventBatch, NodeOrders, NodeRefusal,
        NodeReport,
    },
};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::link::{LinkConfig, LinkTiming, NodeIdentity};

/// Time for a condition to become true.
const PATIENCE_TIMEOUT: Duration = Duration::from_secs(20);

/// A gateway whose answers a test decides.
#[derive(Clone)]
pub(super) struct ScriptedGateway {
    pub(super) identity: NodeIdentity,
    state: Arc<Mutex<GatewayState>>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct GatewayState {
    /// The orders without runs.
    pub(super) orders: NodeOrders,
    pub(super) runs: HashMap<RunId, GatewayRun>,
    pub(super) reports: Vec<NodeReport>,
    pub(super) answers: HashMap<NodeCallId, Vec<NodeCallAnswer>>,
    /// All calls, in order.
    pub(super) calls: Vec<String>,
    /// Statuses of the next answers to calls that contain a text.
    pub(super) faults: VecDeque<(&'static str, StatusCode)>,
    /// Seconds by which its clock is ahead.
    pub(super) ahead_seconds: i64,
    pub(super) revoked: bool,
    /// It doesn't answer heartbeats.
    pub(super) silent: bool,
    /// The open sockets, the newest last.
    pub(super) sockets: Vec<mpsc::UnboundedSender<SocketOrder>>,
    /// Number of sockets that were connected.
    pub(super) connected: usize,
    pub(super) heartbeats: usize,
}

/// A run at the gateway.
pub(super) struct GatewayRun {
    pub(super) run: NodeRun,
    pub(super) fence: u64,
    pub(super) events: Vec<RunEvent>,
    pub(super) batches: Vec<usize>,
    pub(super) cancelled: bool,
    pub(super) refusal: Option<NodeRefusal>,
}

impl GatewayRun {
    pub(super) fn has_ended(&self) -> bool {
        self.refusal.is_some() || self.events.last().is_some_and(|event| event.body.is_terminal())
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.events.last().map_or(0, |event| event.seq)
    }
}

/// An order of the test to a socket.
pub(super) enum SocketOrder {
    Ring(Doorbell),
    Close,
}

impl ScriptedGateway {
    /// Serves on a free port, below a path.
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = format!("http://{}/hearth", listener.local_addr().unwrap()).parse().unwrap();
        let (node, gateway_key, key) = (NodeId::new(), String::new(), NodeKey::from_seed(&[7; 32]));
        let identity = NodeIdentity { gateway, node, gateway_key, key };
        let orders = NodeOrders { report_seconds: 3600, poll_seconds: 0, ..NodeOrders::default() };
        let state = Arc::new(Mutex::new(GatewayState { orders, ..GatewayState::default() }));
        let gateway = Self { identity, state, changes: watch::Sender::new(0) };
        let own = gateway.clone();
        tokio::spawn(async move { own.serve_at(listener).await });
        gateway
    }

    /// Serves on another port too.
    pub(super) async fn serve_at(self, listener: tokio::net::TcpListener) {
        axum::serve(listener, Router::new().fallback(serve).with_state(self)).await.unwrap();
    }

    /// A configuration of short times for a node of this gateway.
    pub(super) fn config(&self) -> LinkConfig {
        let millis = Duration::from_millis;
        let timing = LinkTiming {
            retry_min: millis(5),
            run_retry_max: millis(20),
            retry_max: millis(20),
            reconnect_min: millis(5),
            linger: millis(5),
            batch_min: millis(5),
            batch_max: millis(10),
            poll_wait: Duration::ZERO,
            poll_min: millis(10),
            status_check: millis(10),
            report_min: millis(10),
            heartbeat_timeout: millis(50),
            ..LinkTiming::default()
        };
        LinkConfig { timing, ..LinkConfig::new(self.identity.clone()) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, GatewayState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a condition is true.
    pub(super) async fn until(&self, condition: impl Fn(&GatewayState) -> bool) {
        let mut changes = self.changes.subscribe();
        let wait = changes.wait_for(|_| condition(&self.state()));
        let waited = tokio::time::timeout(PATIENCE_TIMEOUT, wait).await.map(|changed| changed.is_ok());
        assert_eq!(waited, Ok(true), "the condition stayed false; calls: {:?}", self.state().calls);
    }

    /// Has a run for the node.
    pub(super) fn assign(&self) -> RunId {
        let (run, task) = (RunId::new(), TextTask::new(Vec::new(), Sampling::default()).into());
        let model = "m".to_owned();
        let request = NodeRun { run, model, task, priority: Priority::Normal, whole: false, detached: false };
        let (fence, events, batches) = (0, Vec::new(), Vec::new());
        let assigned = GatewayRun { run: request, fence, events, batches, cancelled: false, refusal: None };
        self.state().runs.insert(run, assigned);
        run
    }

    /// Sends a doorbell over the newest socket.
    pub(super) fn ring(&self, doorbell: Doorbell) {
        let state = self.state();
        state.sockets.last().unwrap().send(SocketOrder::Ring(doorbell)).unwrap();
    }

    fn note_change(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    fn date(&self) -> SystemTime {
        let ahead = self.state().ahead_seconds;
        let seconds = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { SystemTime::now() - seconds } else { SystemTime::now() + seconds }
    }

    /// Returns whether a request is signed for this call and body, by this gateway's clock.
    fn is_signed(&self, credential: &str, call: &str, body: &[u8]) -> bool {
        let Some(payload) = credential.split('.').nth(1) else { return false };
        let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
        let claims: NodeClaims = serde_json::from_slice(&claims).unwrap();
        let now = self.date().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let is_valid_now = claims.exp + 10 > now && claims.exp <= now + 70;
        let verifier =
            NodeVerifier::new(&self.identity.node.to_string(), &self.identity.key.public_key()).unwrap();
        // The verifier has this machine's clock, which the tests of clocks differ from.
        let is_verified = self.state().ahead_seconds != 0 || verifier.verify(credential, call, body).is_ok();
        is_valid_now && is_verified && claims.call == call && !self.state().revoked
    }
}

async fn serve(State(gateway): State<ScriptedGateway>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    // The path of the gateway's address isn't part of the call.
    let path = parts.uri.path_and_query().unwrap().as_str();
    let path = path.strip_prefix("/hearth").unwrap_or(path).to_owned();
    let call = format!("{} {path}", parts.method);
    gateway.state().calls.push(call.clone());
    let credential = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = credential.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let fault = take_fault(&mut gateway.state(), &call);
    let mut answer = if let Some(status) = fault {
        (status, Json(json!({"error": {"message": "a fault"}}))).into_response()
    } else if !gateway.is_signed(credential, &call, &body) {
        (StatusCode::UNAUTHORIZED, Json(json!({"error": {"message": "who is this?"}}))).into_response()
    } else if path == "/v1/socket" {
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.unwrap();
        let own = gateway.clone();
        upgrade.on_upgrade(move |socket| serve_socket(own, socket))
    } else {
        gateway.answer(&parts.method, path.split('?').next().unwrap(), &body)
    };
    let date = httpdate::fmt_http_date(gateway.date());
    answer.headers_mut().insert(header::DATE, date.parse().unwrap());
    gateway.note_change();
    answer
}

fn take_fault(state: &mut GatewayState, call: &str) -> Option<StatusCode> {
    let place = state.faults.iter().position(|(part, _)| call.contains(part))?;
    state.faults.remove(place).map(|(_, status)| status)
}

async fn serve_socket(gateway: ScriptedGateway, mut socket: WebSocket) {
    let (sender, mut orders) = mpsc::unbounded_channel();
    {
        let mut state = gateway.state();
        state.connected += 1;
        state.sockets.push(sender);
    }
    gateway.note_change();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(SocketOrder::Ring(doorbell)) => send(&mut socket, &doorbell).await,
                Some(SocketOrder::Close) | None => return,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(_))) => {
                    gateway.state().heartbeats += 1;
                    let silent = gateway.state().silent;
                    if !silent {
                        send(&mut socket, &Doorbell::Heartbeat).await;
                    }
                    gateway.note_change();
                }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

async fn send(socket: &mut WebSocket, doorbell: &Doorbell) {
    let text = serde_json::to_string(doorbell).unwrap();
    let _ = socket.send(Message::text(text)).await;
}

impl ScriptedGateway {
    fn answer(&self, method: &Method, path: &str, body: &Bytes) -> Response {
        let mut state = self.state();
        let parts: Vec<&str> = path.split('/').collect();
        match (method, &parts[..]) {
            (&Method::POST, ["", "v1", "node", "report"]) => {
                state.reports.push(serde_json::from_slice(body).unwrap());
                Json(state.orders()).into_response()
            }
            (&Method::GET, ["", "v1", "node", "orders"]) => Json(state.orders()).into_response(),
            (&Method::POST, ["", "v1", "node", "calls", id, "answer"]) => {
                let answer = serde_json::from_slice(body).unwrap();
                state.answers.entry(id.parse().unwrap()).or_default().push(answer);
                state.orders.calls.clear();
                Json(json!({})).into_response()
            }
            (&Method::POST, ["", "v1", "node", "runs", id, what]) => {
                let run = state.runs.get_mut(&id.parse().unwrap());
                run.map_or(StatusCode::NOT_FOUND.into_response(), |run| run.answer(what, body))
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

impl GatewayState {
    fn orders(&self) -> NodeOrders {
        let open = self.runs.iter().filter(|(_, run)| !run.has_ended());
        NodeOrders { runs: open.map(|(id, _)| *id).collect(), ..self.orders.clone() }
    }

    pub(super) fn run(&self, run: RunId) -> &GatewayRun {
        &self.runs[&run]
    }
}

impl GatewayRun {
    fn answer(&mut self, what: &str, body: &[u8]) -> Response {
        let last_seq = self.last_seq();
        if self.has_ended() {
            return StatusCode::CONFLICT.into_response();
        }
        match what {
            "claim" => {
                self.fence += 1;
                let (run, fence) = (self.run.clone(), self.fence);
                Json(ClaimedRun { run, fence, last_seq, lease_seconds: 30 }).into_response()
            }
            "refuse" => {
                self.refusal = Some(serde_json::from_slice(body).unwrap());
                Json(json!({})).into_response()
            }
            _ => {
                let batch: NodeEventBatch = serde_json::from_slice(body).unwrap();
                if batch.fence != self.fence {
                    return StatusCode::CONFLICT.into_response();
                }
                self.batches.push(batch.events.len());
                if batch.events.first().is_some_and(|first| first.seq <= last_seq + 1) {
                    self.events.extend(batch.events.into_iter().filter(|event| event.seq > last_seq));
                }
                let accepted = NodeBatchAccepted { last_seq: self.last_seq(), cancelled: self.cancelled };
                Json(accepted).into_response()
            }
        }
    }
}
