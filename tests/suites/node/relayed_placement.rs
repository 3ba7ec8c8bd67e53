//! Several nodes that fetch their runs: a node gets no more than it takes, and its refusal leads to the next one.

use hearth_domain::Timestamp;
use hearth_tests::{
    Answer, Client, Events, Home, eventually,
    relay::{ScriptedNode, ScriptedRun, enrolment_code, scripted_model},
};
use hearth_wire::{RunEventBody, node::NodeStatus};
use reqwest::Method;
use serde_json::{Value, json};

const MODEL: &str = "played";

/// A gateway without a node of its own, and two played nodes that take one run each.
struct World {
    home: Home,
    nodes: [ScriptedNode; 2],
}

impl World {
    async fn start() -> Self {
        let home = Home::start_with(&["--no-node"]).await;
        let nodes = [node(&home, "attic").await, node(&home, "cellar").await];
        let client = home.client();
        wait_for_candidates(&client, 2).await;
        Self { home, nodes }
    }

    /// The next run, and the index of its node.
    async fn next_run(&self) -> (usize, ScriptedRun) {
        tokio::select! {
            run = self.nodes[0].next_run() => (0, run),
            run = self.nodes[1].next_run() => (1, run),
        }
    }

    /// Begins a run, and sends its first piece of text; returns the client's events, the node and the run.
    async fn begin(&self) -> (Events, usize, ScriptedRun) {
        let client = self.home.client();
        let answer = async { client.stream("/v1/generate", &request(true)).await };
        let played = async {
            let (index, mut run) = self.next_run().await;
            let begin = vec![RunEventBody::Started { prompt_tokens: 3 }, RunEventBody::text("Once")];
            self.nodes[index].post(&mut run, begin).await;
            (index, run)
        };
        let (mut events, (index, run)) = tokio::join!(answer, played);
        events.next_named("delta").await;
        (events, index, run)
    }
}

fn request(stream: bool) -> Value {
    json!({"model": MODEL, "input": {"prompt": "Hi"}, "stream": stream})
}

/// Enrols a played node, which reports that it takes one run.
async fn node(home: &Home, name: &str) -> ScriptedNode {
    let code = enrolment_code(&home.client()).await;
    let node = ScriptedNode::enroll(&home.url, &code, name).await;
    let status = NodeStatus { models: vec![scripted_model(MODEL)], ..NodeStatus::default() };
    let report = json!({"status": status, "version": "played", "now": Timestamp::now(), "runs_max_count": 1});
    let reported = node.send(Method::POST, "/v1/node/report", &report).await;
    assert!(reported.status.is_success(), "{reported:?}");
    node
}

async fn wait_for_candidates(client: &Client, count: usize) {
    eventually("the nodes are candidates", async || {
        let route = client.get(&format!("/v1/route?model={MODEL}")).await.json();
        (route["candidates"].as_array().map(Vec::len) == Some(count)).then_some(())
    })
    .await;
}

async fn refused(client: &Client) -> Answer {
    client.post("/v1/generate", &request(false)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn full_node_is_passed_over_until_its_run_ends() {
    let world = World::start().await;
    let client = world.home.client();
    let (first_events, first, mut first_run) = world.begin().await;
    let (second_events, second, _run) = world.begin().await;
    assert_ne!(first, second, "a node got more than it takes");
    let refused = refused(&client).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (429, &json!("queue_full")));
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    for name in ["attic", "cellar"] {
        assert!(message.contains(&format!("{name} has all the runs that it takes (1)")), "{message}");
    }
    let end = vec![RunEventBody::Done { finish_reason: hearth_domain::FinishReason::Stop }];
    world.nodes[first].post(&mut first_run, end).await;
    first_events.rest().await;
    wait_for_candidates(&client, 1).await;
    let (third_events, third, _run) = world.begin().await;
    assert_eq!(third, first);
    drop((second_events, third_events));
    world.home.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_that_a_node_refuses_is_served_by_the_next() {
    let world = World::start().await;
    let client = world.home.client();
    let answer = async { client.post("/v1/generate", &request(false)).await };
    let played = async {
        let (index, run) = world.next_run().await;
        let error = json!({"code": "model_load_failed", "message": "the file is broken"});
        let path = format!("/v1/node/runs/{}/refuse", run.id());
        let body = json!({"fence": run.claimed.fence, "error": error});
        let refused = world.nodes[index].send(Method::POST, &path, &body).await;
        assert!(refused.status.is_success(), "{refused:?}");
        let other = 1 - index;
        let mut run = world.nodes[other].next_run().await;
        world.nodes[other].serve(&mut run, &["Well"]).await;
        other
    };
    let (answer, other) = tokio::join!(answer, played);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["output"]["text"], "Well", "{answer:?}");
    let selection = &answer.json()["selection"];
    assert_eq!(selection["selected_node"], world.nodes[other].id.to_string(), "{selection}");
    assert_eq!(selection["fallback_reason"], "model_load_failed", "{selection}");
    world.home.stop().await;
}

/// Active and waiting runs of a node, as its users see them.
async fn queue(client: &Client, node: &ScriptedNode) -> (u64, u64) {
    let described = client.get(&format!("/v1/nodes/{}", node.id)).await.json();
    let queue = &described["status"]["queue"];
    (queue["active"].as_u64().unwrap(), queue["waiting"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn node_list_has_the_runs_of_now_although_the_node_reports_none() {
    let world = World::start().await;
    let client = world.home.client();
    let (events, index, mut run) = world.begin().await;
    assert_eq!(queue(&client, &world.nodes[index]).await, (1, 0));
    assert_eq!(queue(&client, &world.nodes[1 - index]).await, (0, 0));
    let end = vec![RunEventBody::Done { finish_reason: hearth_domain::FinishReason::Stop }];
    world.nodes[index].post(&mut run, end).await;
    events.rest().await;
    eventually("the run's end", async || (queue(&client, &world.nodes[index]).await == (0, 0)).then_some(()))
        .await;
    world.home.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_revoked_nodes_are_no_longer_listed() {
    let world = World::start().await;
    let client = world.home.client();
    let listed = async || client.get("/v1/models").await.json().to_string().contains(MODEL);
    assert!(listed().await);
    for (node, remains) in world.nodes.iter().zip([true, false]) {
        let revoked = client.send(client.request(Method::DELETE, &format!("/v1/nodes/{}", node.id))).await;
        assert!(revoked.status.is_success(), "{revoked:?}");
        assert_eq!(listed().await, remains);
    }
    let refused = client.post("/v1/generate", &json!({"input": {"prompt": "Hi"}})).await;
    let refused = refused.error(503, "no_model_available");
    assert!(refused["message"].as_str().unwrap().contains("`hearth node code`"), "{refused}");
    world.home.stop().await;
}
