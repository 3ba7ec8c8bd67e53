//! Requests that prefer their caller's nodes: they wait for a node, and go to a provider after that. A played server is the node
//! too.

#![expect(clippy::unwrap_used, reason = "what a test calls fails as the test does")]

mod changes;

use std::{net::TcpListener, time::Duration};

use hearth_domain::{NodeId, Owner, Timestamp};
use hearth_store::nodes::NodeRecord;
use hearth_tests::{Client, Home, Reply, Upstream, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{ANSWER_TEXT, answer, with_node};

/// The node's model.
const MODEL: &str = "box-model";
/// Prices of the providers' models: that of `rig1` is lower.
const PRICES: &str = "[models.'rig0:big']\nprice = {input = 5, output = 10}\n\
                      [models.'rig1:big']\nprice = {input = 1, output = 2}\n";

/// A `hearth up` with two providers, and a node that isn't there yet.
struct Scene {
    dear: Upstream,
    cheap: Upstream,
    home: Home,
    /// The ports of the nodes.
    ports: Vec<u16>,
}

impl Scene {
    async fn start() -> Self {
        Self::with_nodes(1).await
    }

    /// The same with several nodes.
    async fn with_nodes(count: usize) -> Self {
        let (dear, cheap) = (Upstream::start().await, Upstream::start().await);
        let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
        let ports: Vec<u16> =
            listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(listeners);
        let home = with_node(&[&dear, &cheap], PRICES).await;
        let (home, ()) = home
            .restart_after(async |store| {
                let owner = Owner::of_record(store.operator().await.unwrap(), None);
                for port in &ports {
                    store.nodes().put(&node_at(*port, owner)).await.unwrap();
                }
            })
            .await;
        Self { dear, cheap, home, ports }
    }

    /// Starts the first node, with replies to the runs that it gets.
    async fn start_node(&self, replies: impl IntoIterator<Item = Reply>) -> Upstream {
        self.start_nth_node(0, replies).await
    }

    async fn start_nth_node(&self, index: usize, replies: impl IntoIterator<Item = Reply>) -> Upstream {
        let node = Upstream::start_at(self.ports[index]).await;
        let runtime = json!({
            "state": "loaded", "progress": null, "default": false, "active": 0, "queue_depth": 0, "slots": 1,
            "memory_bytes": null, "pid": null, "loaded_at": null, "last_used_at": null, "error": null,
        });
        let model = json!({
            "id": MODEL, "name": "Box model", "modality": "text", "capabilities": [], "size_bytes": 1, "runtime": runtime,
        });
        replies.into_iter().for_each(|reply| node.reply(reply));
        node.page("/v1/status", Reply::json(200, &json!({"models": [model]})));
        node
    }

    fn client(&self) -> Client {
        self.home.client()
    }
}

/// The record of a node.
fn node_at(port: u16, owner: Owner) -> NodeRecord {
    NodeRecord {
        url: Some(format!("http://127.0.0.1:{port}")),
        ..NodeRecord::new(NodeId::new(), owner, format!("box-{port}"))
    }
}

/// A request that prefers a node, and may go to both providers.
fn request(fields: &Value) -> Value {
    let mut body = json!({
        "model": MODEL, "input": {"prompt": "Hi"}, "stream": true, "prefer": "home",
        "fallback": {"models": ["rig0:big", "rig1:big"]},
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// A node's events of a run.
fn events(events: &[Value]) -> String {
    let numbered = (1..).zip(events).map(|(seq, event)| {
        let mut event = event.clone();
        event["seq"] = json!(seq);
        format!("id: {seq}\ndata: {event}\n\n")
    });
    numbered.collect()
}

/// The whole answer of a node.
fn answer_of_node() -> Reply {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 0});
    Reply::stream(&events(&[
        json!({"event": "started", "prompt_tokens": 3}),
        json!({"event": "delta", "text": "From home."}),
        json!({"event": "usage", "usage": usage}),
        json!({"event": "done", "finish_reason": "stop"}),
    ]))
}

fn refusal(code: &str) -> Reply {
    let body = json!({"code": code, "message": "no", "param": null, "details": {}});
    Reply::json(429, &body)
}

#[tokio::test]
async fn node_that_comes_while_a_run_waits_serves_it() {
    let scene = Scene::start().await;
    let client = scene.client();
    let mut stream = client.stream("/v1/generate", &request(&json!({"deadline": 60}))).await;
    let waiting = stream.next_named("waiting").await.data;
    assert_eq!(waiting["reason"], "offline");
    assert!(waiting["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{waiting}");
    let record = client.get(&format!("/v1/requests/{}", stream.request_id)).await.json();
    assert_eq!(record["status"], "queued", "{record}");
    let node = scene.start_node([answer_of_node()]).await;
    let complete = stream.next_named("complete").await.data;
    assert_eq!(complete["output"]["text"], "From home.");
    assert_eq!(complete["selection"]["fallback_used"], false, "{complete}");
    assert_eq!(node.received().len(), 1);
    assert!(scene.dear.received().is_empty() && scene.cheap.received().is_empty());
    scene.home.stop().await;
}

#[tokio::test]
async fn run_goes_to_the_cheapest_provider_at_its_deadline() {
    let scene = Scene::start().await;
    scene.cheap.reply(answer());
    let body = request(&json!({"deadline": 1, "stream": false}));
    let answer = scene.client().post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-hearth-fallback-reason"), "deadline_exceeded");
    let body = answer.json();
    assert_eq!(
        (&body["output"]["text"], &body["selection"]["selected_provider"]),
        (&ANSWER_TEXT.into(), &"rig1".into())
    );
    let reason = body["selection"]["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("the cheapest of 2") && reason.contains("no node with the model answered"),
        "{reason}"
    );
    let record = scene.client().get(&format!("/v1/requests/{}", answer.header("x-request-id"))).await.json();
    assert_eq!((&record["provider"], &record["status"]), (&"rig1".into(), &"completed".into()), "{record}");
    // In another dialect, a dearer provider never serves.
    scene.cheap.reply(Reply::json(400, &json!({"error": {"message": "no"}})));
    let chat = json!({
        "model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "prefer": "home", "deadline": 0, "max_price": 2,
        "fallback": {"models": ["rig0:big", "rig1:big"]},
    });
    let refused = scene.client().post("/v1/chat/completions", &chat).await;
    assert!(!refused.status.is_success(), "{refused:?}");
    assert_eq!((scene.dear.received().len(), scene.cheap.received().len()), (0, 2));
    scene.home.stop().await;
}

#[tokio::test]
async fn run_without_a_provider_within_its_price_fails_at_its_deadline() {
    let scene = Scene::start().await;
    let fields = json!({"deadline": 1, "max_price": 1.5});
    let whole = scene
        .client()
        .post("/v1/generate", &request(&json!({"stream": false, "deadline": 1, "max_price": 1.5})))
        .await;
    let error = whole.error(504, "deadline_exceeded");
    assert_eq!(error["details"]["reason"], "offline", "{error}");
    let mut stream = scene.client().stream("/v1/generate", &request(&fields)).await;
    let error = stream.next_named("error").await.data;
    assert_eq!(error["error"]["code"], "deadline_exceeded", "{error}");
    assert!(scene.dear.received().is_empty() && scene.cheap.received().is_empty());
    // Without the preference the price holds too.
    let body = json!({"model": "rig0:big", "input": {"prompt": "Hi"}, "max_price": 9.99});
    let refused = scene.client().post("/v1/generate", &body).await.error(503, "no_model_available");
    assert_eq!(refused["param"], "max_price");
    scene.home.stop().await;
}

#[tokio::test]
async fn run_in_a_nodes_queue_is_withdrawn_at_its_deadline() {
    let scene = Scene::start().await;
    scene.cheap.reply(answer());
    let queued = Reply::stream(&events(&[json!({"event": "queued", "position": 3})])).then_silence();
    let node = scene.start_node([queued, Reply::json(200, &json!({"cancelled": true}))]).await;
    let mut stream = scene.client().stream("/v1/generate", &request(&json!({"deadline": 2}))).await;
    assert_eq!(stream.next_named("queued").await.data["position"], 3);
    let complete = stream.next_named("complete").await.data;
    assert_eq!(complete["selection"]["selected_provider"], "rig1", "{complete}");
    assert_eq!(complete["selection"]["fallback_reason"], "deadline_exceeded");
    let received = node.received();
    assert_eq!(received.len(), 2, "{received:?}");
    assert!(received[1].path.ends_with("/cancel"), "{received:?}");
    scene.home.stop().await;
}

#[tokio::test]
async fn busy_node_is_asked_again() {
    let scene = Scene::start().await;
    let node = scene.start_node([refusal("queue_full"), answer_of_node()]).await;
    let mut stream = scene.client().stream("/v1/generate", &request(&json!({"deadline": 60}))).await;
    assert_eq!(stream.next_named("waiting").await.data["reason"], "busy");
    assert_eq!(stream.next_named("complete").await.data["output"]["text"], "From home.");
    assert_eq!(node.received().len(), 2);
    scene.home.stop().await;
}

#[tokio::test]
async fn errors_of_nodes_dont_end_the_wait_for_another_one() {
    let scene = Scene::with_nodes(3).await;
    // The last two fail for good, one with a code that only the gateway decides.
    let broken = scene.start_nth_node(1, [refusal("model_load_failed")]).await;
    let liar = scene.start_nth_node(2, [refusal("deadline_exceeded")]).await;
    let mut stream = scene.client().stream("/v1/generate", &request(&json!({"deadline": 60}))).await;
    assert_eq!(stream.next_named("waiting").await.data["reason"], "offline");
    let node = scene.start_node([answer_of_node()]).await;
    let complete = stream.next_named("complete").await.data;
    assert_eq!(complete["output"]["text"], "From home.");
    // Each was asked once.
    let asked = [&broken, &liar, &node].map(|node| node.received().len());
    assert_eq!(asked, [1, 1, 1]);
    assert!(scene.dear.received().is_empty() && scene.cheap.received().is_empty());
    scene.home.stop().await;
}

#[tokio::test]
async fn run_that_every_node_fails_for_good_goes_to_a_provider_before_its_deadline() {
    let scene = Scene::start().await;
    let node = scene.start_node([refusal("model_load_failed")]).await;
    scene.cheap.reply(answer());
    let mut stream = scene.client().stream("/v1/generate", &request(&json!({"deadline": 3600}))).await;
    let complete = stream.next_named("complete").await.data;
    let selection = &complete["selection"];
    assert_eq!(
        (&selection["selected_provider"], &selection["fallback_reason"]),
        (&"rig1".into(), &"model_load_failed".into())
    );
    assert_eq!(node.received().len(), 1);
    scene.home.stop().await;
}

#[tokio::test]
async fn waiting_run_ends_at_once_when_it_is_cancelled_or_its_client_leaves() {
    let scene = Scene::start().await;
    let client = scene.client();
    let mut stream = client.stream("/v1/generate", &request(&json!({}))).await;
    let until = stream.next_named("waiting").await.data["until"].as_str().unwrap_or_default().to_owned();
    // Without a deadline it waits as long as the settings say: ten minutes.
    let until: Timestamp = until.parse().unwrap();
    let left = Timestamp::now().until(until);
    assert!(left > Duration::from_secs(540) && left <= Duration::from_secs(600), "{left:?}");
    let id = stream.request_id.clone();
    client.send(client.request(Method::POST, &format!("/v1/requests/{id}/cancel"))).await;
    assert_eq!(stream.next_named("complete").await.data["finish_reason"], "cancelled");
    let mut second = client.stream("/v1/generate", &request(&json!({}))).await;
    second.next_named("waiting").await;
    let id = second.request_id.clone();
    drop(second);
    eventually("the end of the second run", async || {
        let record = client.get(&format!("/v1/requests/{id}")).await.json();
        (record["status"] == "cancelled").then_some(())
    })
    .await;
    assert!(scene.dear.received().is_empty() && scene.cheap.received().is_empty());
    scene.home.stop().await;
}

#[tokio::test]
async fn caller_without_the_model_at_any_node_goes_to_a_provider_at_once() {
    let cheap = Upstream::start().await;
    let home = with_node(&[&cheap], "").await;
    cheap.reply(answer());
    let body = json!({"model": "rig0:big", "input": {"prompt": "Hi"}, "prefer": "home"});
    let answer = home.client().post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["selection"]["selected_provider"], "rig0");
    // A node that is there serves at once.
    let local = json!({"input": {"prompt": "Hi"}, "parameters": {"max_tokens": 3}, "prefer": "home"});
    let answer = home.client().post("/v1/generate", &local).await;
    assert_eq!(answer.json()["selection"]["selected_provider"], "local", "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn strategy_cost_compares_the_energy_of_a_node_with_prices() {
    let rig = Upstream::start().await;
    let settings = "[node]\nbusy_watts = 100000\nprice_per_kwh = 1000\n\
                    [aliases.any]\nstrategy = 'cost'\nmodels = ['rig0:big', 'local:tiny-chat']\n\
                    [models.'rig0:big']\nprice = {input = 1, output = 2}\n";
    let home = with_node(&[&rig], settings).await;
    rig.reply(answer());
    let parameters = json!({"max_tokens": 1500, "ignore_eos": true});
    let body = json!({"model": "any", "input": {"prompt": "Hi"}, "parameters": parameters, "stream": true});
    let mut served_by = Vec::new();
    // The node is free until the speed of a run is measured, which takes a run of some length.
    while served_by.last().is_none_or(|provider| provider == "local") && served_by.len() < 20 {
        let mut stream = home.client().stream("/v1/generate", &body).await;
        let complete = stream.next_named("complete").await.data;
        served_by.push(complete["selection"]["selected_provider"].as_str().unwrap().to_owned());
    }
    assert_eq!((&*served_by[0], served_by.last().unwrap().as_str()), ("local", "rig0"), "{served_by:?}");
    home.stop().await;
}
