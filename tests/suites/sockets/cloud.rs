//! Sockets of the emulated API Gateway, before the functions' own processes.

use std::time::Duration;

use hearth_domain::Timestamp;
use hearth_tests::{
    Client, Cloud, Socket, eventually,
    relay::{ScriptedNode, enrolment_code},
};
use lambda_emulator::{ApiGateway, Placement, SocketLimits};
use serde_json::{Value, json};

/// The cloud's API, and a node that is enrolled in it.
async fn api_with_node(cloud: &Cloud) -> (ApiGateway, Client, ScriptedNode) {
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let code = enrolment_code(&client).await;
    let node = ScriptedNode::enroll(&api.url(), &code, "box").await.with_models(&["boxed"]);
    (api, client, node)
}

async fn socket_of(node: &ScriptedNode, url: &str) -> Socket {
    Socket::open_as(url, &node.credential("GET /v1/socket", b"")).await
}

#[tokio::test]
async fn function_admits_sockets_by_their_credentials() {
    let cloud = Cloud::start_without_node().await;
    let url = cloud.sockets().url();
    assert_eq!(Socket::open(&url, &[]).await.unwrap_err(), 401);
    assert_eq!(Socket::open(&url, &[("authorization", "Bearer hth_wrong")]).await.unwrap_err(), 401);
    let protocols = format!("hearth.v1, hearth.token.{}", cloud.token);
    let socket = Socket::open(&url, &[("sec-websocket-protocol", &protocols)]).await.unwrap();
    assert_eq!(socket.protocol.as_deref(), Some("hearth.v1"));
    socket.close().await;
    let closed = async || cloud.sockets().connections().is_empty().then_some(());
    eventually("the connection to be closed", closed).await;
}

#[tokio::test]
async fn node_is_rung_over_its_socket_until_it_is_revoked() {
    let cloud = Cloud::start_without_node().await;
    let (_api, client, node) = api_with_node(&cloud).await;
    let orders = node.report().await;
    let url = orders.socket.unwrap();
    assert_eq!(url, cloud.sockets().url(), "the node learns the address of the sockets");
    let mut socket = socket_of(&node, &url).await;
    socket.send(&json!({"type": "heartbeat"})).await;
    assert_eq!(socket.next().await, json!({"type": "heartbeat"}));
    // The run isn't claimed: the function `generate` rings again after two seconds.
    let body = json!({"model": "boxed", "messages": [{"role": "user", "content": "Hi"}]});
    let asked = client.post("/v1/chat/completions", &body);
    let rung = async {
        let (first, second) = (socket.next().await, socket.next().await);
        assert_eq!((&first["type"], &first), (&json!("run"), &second));
        let run = node.claim(first["run"].as_str().unwrap().parse().unwrap()).await;
        node.serve(&mut run.unwrap(), &["Hello"]).await;
    };
    let (answer, ()) = tokio::join!(asked, rung);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "Hello", "{answer:?}");
    let listed = client.get("/v1/nodes").await.json();
    let id = listed["nodes"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.delete(&format!("/v1/nodes/{id}")).await.status, 204);
    socket.close_code().await;
}

#[tokio::test]
async fn node_that_opens_its_socket_before_its_first_report_is_alive() {
    let cloud = Cloud::start_without_node().await;
    let (_api, client, node) = api_with_node(&cloud).await;
    let before = cloud.store().relay().state(node.id).await.unwrap();
    assert!(before.is_none_or(|state| state.lease_until.is_none()), "it has never been heard of");
    let _socket = socket_of(&node, &cloud.sockets().url()).await;
    // The role of the function `socket` lets it create the state: the cloud fails on a call that a role denies.
    let state = cloud.store().relay().state(node.id).await.unwrap().unwrap();
    assert!(state.is_alive(Timestamp::now()), "{state:?}");
    node.report().await;
    let listed = client.get("/v1/nodes").await.json();
    assert_eq!(listed["nodes"][0]["status"]["alive"], true, "{listed}");
}

#[tokio::test]
async fn closed_connection_is_gone_and_a_run_is_found_by_polling() {
    let cloud = Cloud::start_without_node().await;
    let (_api, client, node) = api_with_node(&cloud).await;
    node.report().await;
    let socket = socket_of(&node, &cloud.sockets().url()).await;
    let id = cloud.sockets().connections().remove(0);
    // As if `$disconnect` were lost.
    let record = cloud.store().sockets().get(&id).await.unwrap().unwrap();
    socket.close().await;
    let closed = async || cloud.store().sockets().get(&id).await.unwrap().is_none().then_some(());
    eventually("the socket to be forgotten", closed).await;
    cloud.store().sockets().put(&record).await.unwrap();
    let posted = reqwest::Client::new().post(format!("{}/@connections/{id}", cloud.sockets().endpoint()));
    let refused = posted.send().await.unwrap();
    assert_eq!(refused.status(), 403, "a request that no role has signed");
    let body = json!({"model": "boxed", "messages": [{"role": "user", "content": "Hi"}]});
    let asked = client.post("/v1/chat/completions", &body);
    let polled = async {
        let mut run = node.next_run().await;
        node.serve(&mut run, &["Hello"]).await;
    };
    let (answer, ()) = tokio::join!(asked, polled);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn fifth_socket_of_a_node_closes_the_first() {
    let cloud = Cloud::start_without_node().await;
    let (_api, _client, node) = api_with_node(&cloud).await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(socket_of(&node, &cloud.sockets().url()).await);
    }
    sockets[0].close_code().await;
    assert_eq!(cloud.sockets().connections().len(), 4);
}

#[tokio::test]
async fn subscription_is_refused_with_the_way_to_follow_a_run() {
    let cloud = Cloud::start_without_node().await;
    let mut socket = Socket::open_as(&cloud.sockets().url(), &cloud.token).await;
    socket.send(&json!({"type": "subscribe", "topic": "models"})).await;
    let refused = socket.next().await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("/v1/requests"), "{refused}");
    socket.send(&json!({"type": "heartbeat"})).await;
    assert_eq!(socket.next().await, json!({"type": "heartbeat"}));
}

#[tokio::test]
async fn idle_old_and_large_sockets_are_closed() {
    let cloud = Cloud::start_without_node().await;
    let (short, url) = (Duration::from_millis(500), cloud.sockets().url());
    for limits in [
        SocketLimits { idle: short, ..SocketLimits::default() },
        SocketLimits { lifetime: short, ..SocketLimits::default() },
    ] {
        cloud.sockets().set_limits(limits);
        let mut socket = Socket::open_as(&url, &cloud.token).await;
        assert_eq!(socket.close_code().await, 1001, "{limits:?}");
    }
    cloud.sockets().set_limits(SocketLimits::default());
    let mut socket = Socket::open_as(&url, &cloud.token).await;
    socket.send(&Value::from("x".repeat(32 << 10))).await;
    assert_eq!(socket.close_code().await, 1009);
}
