//! A node that fetches its runs from the functions. The test plays the node.

use std::time::{Duration, SystemTime};

use hearth_auth::NodeKey;
use hearth_domain::{
    FinishReason, Message, Modality, ModelId, NodeCallId, NodeId, OrganisationId, Owner, Priority, Role, Run,
    RunId, RunState, Sampling, Selection, TextTask, Timestamp, Usage,
};
use hearth_gateway::{Gateway, HttpClients, Options, Routing, nodes::NodeRecord};
use hearth_tests::{Cloud, Socket, eventually, relay::scripted_model};
use hearth_wire::{
    RunEvent, RunEventBody,
    node::{NodeRun, NodeStatus},
    relay::{ClaimBody, ClaimedRun, NodeCall, NodeCallAnswer, NodeEventBatch, NodeOrders, NodeReport},
};
use lambda_emulator::{Emulator, Invocation};
use serde_json::{Value, json};

use crate::{Placeholders, invoke, of_operator};

/// The model of the node.
pub(crate) const RELAYED: &str = "relayed";
/// An address at which no node answers.
const CLOSED_URL: &str = "http://127.0.0.1:9";

/// A node that the test plays.
pub(crate) struct PlayedNode {
    pub(crate) record: NodeRecord,
    pub(crate) key: NodeKey,
    /// A gateway over the store, without the limits of a role.
    gateway: Gateway,
    /// Its doorbell.
    _socket: Socket,
}

impl PlayedNode {
    /// Enrols a node of the operator, reports its model, and opens its socket.
    pub(crate) async fn enrol(cloud: &Cloud) -> Self {
        let owner = Owner::of_record(cloud.store().operator().await.unwrap(), None);
        let key = NodeKey::generate();
        let record = NodeRecord {
            url: Some(CLOSED_URL.to_owned()),
            public_key: Some(key.public_key()),
            ..NodeRecord::new(NodeId::new(), owner, "played")
        };
        cloud.store().nodes().put(&record).await.unwrap();
        let clients = HttpClients::new().unwrap();
        let gateway = Gateway::new(cloud.store().clone(), clients, Options::default(), Routing::default());
        gateway.relay().report(&record, report()).await.unwrap();
        let credential = key.sign(&record.id.to_string(), "GET /v1/socket", b"", SystemTime::now()).unwrap();
        let socket = Socket::open_as(&cloud.sockets().url(), &credential).await;
        Self { record, key, gateway, _socket: socket }
    }

    /// Waits for orders that have something.
    pub(crate) async fn orders(&self) -> NodeOrders {
        eventually("orders", async || {
            let orders = self.gateway.relay().orders(&self.record, Duration::ZERO).await.unwrap();
            let has_none = orders.runs.is_empty() && orders.calls.is_empty();
            (!has_none).then_some(orders)
        })
        .await
    }

    /// Claims the next run.
    async fn claim(&self) -> ClaimedRun {
        let run = self.orders().await.runs[0];
        self.gateway.relay().claim(&self.record, run, ClaimBody::default()).await.unwrap()
    }

    /// Posts events of a run; returns whether it is cancelled.
    async fn post(&self, run: &ClaimedRun, events: Vec<RunEvent>) -> bool {
        let batch = NodeEventBatch { fence: run.fence, events };
        self.gateway.relay().append(&self.record, run.run.run, batch).await.unwrap().cancelled
    }

    /// Answers the next run.
    pub(crate) async fn serve(&self) {
        let run = self.claim().await;
        self.post(&run, numbered(1, answer())).await;
    }

    /// Posts the answer of a run that it has claimed, and which its process doesn't follow.
    pub(crate) async fn answer(&self, run: RunId) {
        let claimed = self.gateway.relay().claim(&self.record, run, ClaimBody::default()).await.unwrap();
        self.post(&claimed, numbered(1, answer())).await;
    }

    /// Answers the next call.
    pub(crate) async fn answer_call(&self, status: u16, body: Value) -> NodeCall {
        let call = self.orders().await.calls.remove(0);
        let answer = NodeCallAnswer { status, body };
        self.gateway.relay().answer_call(&self.record, call.id, answer).await.unwrap();
        call
    }

    /// Begins the next run, and ends it when it is cancelled.
    pub(crate) async fn serve_until_cancelled(&self) {
        let run = self.claim().await;
        let begin = vec![RunEventBody::Started { prompt_tokens: 3 }, RunEventBody::text("Once")];
        self.post(&run, numbered(1, begin)).await;
        eventually("a cancelled run", async || self.post(&run, Vec::new()).await.then_some(())).await;
        self.post(&run, numbered(3, vec![RunEventBody::Cancelled])).await;
    }

    /// Sends a sample of the node's, signed, with another path or body, and expects this status.
    pub(crate) async fn send(
        &self,
        function: &Emulator,
        sample: &str,
        path: &str,
        body: &Value,
        status: u16,
    ) -> Invocation {
        let mut event = Placeholders::default().event(sample);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let method = event["httpMethod"].as_str().unwrap().to_owned();
        let call = format!("{method} {path}");
        let id = self.record.id.to_string();
        let credential = self.key.sign(&id, &call, text.as_bytes(), SystemTime::now()).unwrap();
        let header = format!("Bearer {credential}");
        event["path"] = path.split('?').next().unwrap().into();
        event["body"] = if body.is_null() { Value::Null } else { text.into() };
        event["headers"]["Authorization"] = header.clone().into();
        event["multiValueHeaders"]["Authorization"] = json!([header]);
        let answer = invoke(function, &event).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", String::from_utf8_lossy(&answer.body()));
        answer
    }
}

fn report() -> NodeReport {
    let models = vec![scripted_model(RELAYED)];
    NodeReport {
        status: Some(NodeStatus { models, ..NodeStatus::default() }),
        version: "played".to_owned(),
        now: Timestamp::now(),
        energy: None,
        mac: None,
        runs_max_count: Some(4),
        last_error: None,
        stopping: false,
    }
}

fn numbered(first: u64, bodies: Vec<RunEventBody>) -> Vec<RunEvent> {
    (first..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect()
}

fn answer() -> Vec<RunEventBody> {
    vec![
        RunEventBody::Started { prompt_tokens: 3 },
        RunEventBody::text("Here"),
        RunEventBody::text(" it is."),
        RunEventBody::Usage { usage: Usage::default() },
        RunEventBody::Done { finish_reason: FinishReason::Stop },
    ]
}

/// The sample of `POST /v1/generate` for the node's model.
fn request(values: &Placeholders, prompt: &str) -> Value {
    let mut event = values.event("post_v1.generate.json");
    let body =
        json!({"model": RELAYED, "input": {"prompt": prompt}, "stream": true, "on_disconnect": "continue"});
    event["body"] = body.to_string().into();
    event
}

/// Has a function ask the node, and cancels runs before and after the claim.
pub(crate) async fn ask(cloud: &Cloud, function: &Emulator) {
    let (node, mut values) = (PlayedNode::enrol(cloud).await, of_operator(cloud).await);
    // A long prompt is an object.
    for prompt in ["Hello".to_owned(), "a long prompt ".repeat(20_000)] {
        let event = request(&values, &prompt);
        let (answer, ()) = tokio::join!(invoke(function, &event), node.serve());
        let body = String::from_utf8_lossy(&answer.body()).into_owned();
        assert!(body.contains("Here") && body.contains(r#""event":"complete""#), "{body}");
    }
    let other = cloud.function("hearth-fn-generate").await;
    // A run that isn't claimed is withdrawn.
    let event = request(&values, "Hello");
    let cancel = async {
        values.run = node.orders().await.runs[0].to_string();
        invoke(&other, &values.event("post_v1.requests.id.cancel.json")).await
    };
    let (answer, cancelled) = tokio::join!(invoke(function, &event), cancel);
    assert_eq!(cancelled.json().unwrap()["cancelled"], true);
    let body = String::from_utf8_lossy(&answer.body()).into_owned();
    assert!(body.contains("cancelled"), "{body}");
    // One that goes on is stopped by its node.
    let event = request(&values, "Hello");
    let cancel = async {
        values.run = node.orders().await.runs[0].to_string();
        let cancel = async {
            eventually("a claimed run", async || {
                let run: RunId = values.run.parse().ok()?;
                let assignment = cloud.store().relay().assignment(node.record.id, run).await.unwrap();
                assignment.filter(|assignment| assignment.fence > 0)
            })
            .await;
            invoke(&other, &values.event("post_v1.requests.id.cancel.json")).await
        };
        tokio::join!(cancel, node.serve_until_cancelled()).0
    };
    let (answer, cancelled) = tokio::join!(invoke(function, &event), cancel);
    assert_eq!(cancelled.json().unwrap()["cancelled"], true);
    let body = String::from_utf8_lossy(&answer.body()).into_owned();
    assert!(body.contains("Once") && body.contains("cancelled"), "{body}");
}

/// Has a function load the node's model, by a call that the node answers.
pub(crate) async fn load(cloud: &Cloud, function: &Emulator) {
    let (node, values) = (PlayedNode::enrol(cloud).await, of_operator(cloud).await);
    let mut event = values.event("post_v1.models.id.load.json");
    event["path"] = format!("/v1/models/{RELAYED}/load").into();
    let (answer, call) = tokio::join!(invoke(function, &event), node.answer_call(200, json!({})));
    assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body()));
    assert_eq!((call.call.as_str(), call.body), ("POST /v1/models/load", json!({"model": RELAYED})));
}

/// Has a function give a run to the node, and take its events.
pub(crate) async fn serve(cloud: &Cloud, function: &Emulator) {
    let node = PlayedNode::enrol(cloud).await;
    // It stops, and comes again.
    for stopping in [true, false] {
        let body = json!(NodeReport { stopping, ..report() });
        node.send(function, "post_v1.node.report.json", "/v1/node/report", &body, 200).await;
    }
    for prompt in ["Hello".to_owned(), "a long prompt ".repeat(20_000)] {
        let run = node_run(&prompt);
        cloud.store().relay().assign(node.record.id, &run).await.unwrap();
        let (sample, path) = ("get_v1.node.orders.json", "/v1/node/orders?wait=20");
        let orders = node.send(function, sample, path, &Value::Null, 200).await;
        assert_eq!(orders.json().unwrap()["runs"], json!([run.run]));
        let path = format!("/v1/node/runs/{}", run.run);
        let (sample, claim_path) = ("post_v1.node.runs.id.claim.json", format!("{path}/claim"));
        let claim = node.send(function, sample, &claim_path, &json!({"process": "one"}), 200).await;
        let claimed = claim.json().unwrap();
        assert_eq!((&claimed["fence"], &claimed["last_seq"]), (&1.into(), &0.into()));
        let batch = json!({"fence": 1, "events": numbered(1, answer())});
        let (sample, path) = ("post_v1.node.runs.id.events.json", format!("{path}/events"));
        let accepted = node.send(function, sample, &path, &batch, 200).await.json().unwrap();
        assert_eq!(accepted, json!({"last_seq": 5, "cancelled": false}));
        // A second time it changes nothing; under another token it is refused.
        let again = node.send(function, sample, &path, &batch, 200).await.json().unwrap();
        assert_eq!(again, accepted);
        let batch = json!({"fence": 2, "events": []});
        node.send(function, sample, &path, &batch, 409).await;
    }
    wake(cloud, function, &node).await;
    let nobody = RunId::new();
    let refusal = json!({"fence": 1, "error": {"code": "queue_full", "message": "the queue is full"}});
    let path = format!("/v1/node/runs/{nobody}/refuse");
    node.send(function, "post_v1.node.runs.id.refuse.json", &path, &refusal, 404).await;
    let path = format!("/v1/node/calls/{}/answer", NodeCallId::new());
    let answer = json!({"status": 200, "body": {}});
    node.send(function, "post_v1.node.calls.id.answer.json", &path, &answer, 404).await;
    // The socket of a revoked node is closed.
    let mut event = of_operator(cloud).await.event("delete_v1.nodes.id.json");
    event["path"] = format!("/v1/nodes/{}", node.record.id).into();
    let answer = invoke(function, &event).await;
    assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.body()));
}

/// Has a function wake a node by a call that the played one answers.
async fn wake(cloud: &Cloud, function: &Emulator, node: &PlayedNode) {
    let asleep = NodeRecord { id: NodeId::new(), name: "asleep".to_owned(), ..node.record.clone() };
    cloud.store().nodes().put(&asleep).await.unwrap();
    let last = NodeReport { mac: Some("02:00:00:00:00:01".to_owned()), stopping: true, ..report() };
    node.gateway.relay().report(&asleep, last).await.unwrap();
    let values = Placeholders { node: asleep.id.to_string(), ..of_operator(cloud).await };
    let mut event = values.event("post_v1.nodes.id.wake.json");
    event["path"] = format!("/v1/nodes/{}/wake", asleep.id).into();
    let (answer, call) = tokio::join!(invoke(function, &event), node.answer_call(200, json!({})));
    assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body()));
    assert_eq!(call.call, "POST /v1/wake");
}

#[tokio::test]
async fn node_fetches_its_runs_from_the_functions() {
    let cloud = Cloud::start_without_node().await;
    let (generate, nodes) =
        tokio::join!(cloud.function("hearth-fn-generate"), cloud.function("hearth-fn-nodes"));
    ask(&cloud, &generate).await;
    serve(&cloud, &nodes).await;
}

#[tokio::test]
async fn model_of_a_node_that_fetches_its_calls_is_loaded() {
    let cloud = Cloud::start_without_node().await;
    let models = cloud.function("hearth-fn-models").await;
    load(&cloud, &models).await;
}

#[tokio::test]
async fn run_of_a_dead_function_ends_with_the_events_of_its_node() {
    let cloud = Cloud::start_without_node().await;
    let function = cloud.function("hearth-fn-sweep").await;
    sweep(&cloud, &function).await;
    let unused = cloud.unused_permissions("hearth-fn-sweep");
    let unused: Vec<&String> = unused.iter().filter(|permission| permission.contains(" Relay")).collect();
    assert!(unused.is_empty(), "{unused:#?}");
}

/// Has the function end two runs whose processes have died: one that the node goes on with, and one that it hasn't claimed.
async fn sweep(cloud: &Cloud, function: &Emulator) {
    let node = PlayedNode::enrol(cloud).await;
    let (begun, unclaimed) = (lost_run(cloud, &node).await, lost_run(cloud, &node).await);
    let relay = node.gateway.relay();
    let claimed = relay.claim(&node.record, begun.id, ClaimBody::default()).await.unwrap();
    let mut events = answer();
    events.truncate(3);
    node.post(&claimed, numbered(1, events)).await;
    let tick = serde_json::from_str(crate::people::TICK).unwrap();
    function.trigger(&tick).await.unwrap_or_else(|failure| panic!("{failure}"));
    for (run, text) in [(begun.id, "Here it is."), (unclaimed.id, "")] {
        let run = cloud.store().runs().get(run).await.unwrap().unwrap();
        assert_eq!((run.state, run.text.as_str()), (RunState::Failed, text));
    }
    // The node is told to stop the one, and doesn't see the other.
    let orders = node.orders().await;
    assert_eq!((orders.runs, orders.cancelled), (vec![begun.id], vec![begun.id]));
    assert!(node.post(&claimed, Vec::new()).await);
}

/// An open run at the node whose process has died before its first event.
pub(crate) async fn lost_run(cloud: &Cloud, node: &PlayedNode) -> Run {
    let operator = cloud.store().operator().await.unwrap();
    let named = Selection::new(ModelId::new(RELAYED), "local", Modality::Text, "named");
    let run = Run {
        organisation: Some(OrganisationId::of_operator(operator)),
        selection: Selection { node: Some(node.record.id), ..named },
        deadline: Some(Timestamp::from_unix(0)),
        ..Run::example(operator)
    };
    cloud.store().runs().begin(&run).await.unwrap();
    let task = NodeRun { run: run.id, ..node_run("Hello") };
    cloud.store().relay().assign(node.record.id, &task).await.unwrap();
    run
}

pub(crate) fn node_run(prompt: &str) -> NodeRun {
    let task = TextTask::new(vec![Message::new(Role::User, prompt)], Sampling::default());
    NodeRun {
        run: RunId::new(),
        model: RELAYED.to_owned(),
        task: task.into(),
        priority: Priority::default(),
        whole: false,
        detached: false,
    }
}
