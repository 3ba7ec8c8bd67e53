//! The function `socket`, and its permissions.

use hearth_tests::{
    Client, Cloud, Socket, eventually,
    relay::{ScriptedNode, enrolment_code},
};
use lambda_emulator::Placement;
use serde_json::json;

use crate::{Placeholders, invoke, sign_in};

#[tokio::test]
async fn sample_opens_a_socket_with_a_valid_token_only() {
    let cloud = Cloud::start_without_node().await;
    let function = cloud.function("hearth-fn-socket").await;
    for (token, status) in [(cloud.token.as_str(), 200), ("hth_wrong", 401)] {
        let values = Placeholders { token: token.to_owned(), ..Placeholders::default() };
        let answer = invoke(&function, &values.event("get_v1.socket.json")).await;
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body()));
    }
}

#[tokio::test]
async fn socket_uses_every_permission() {
    let cloud = Cloud::start_without_node().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let code = enrolment_code(&client).await;
    let node = ScriptedNode::enroll(&api.url(), &code, "box").await.with_models(&["boxed"]);
    node.report().await;
    let url = cloud.sockets().url();
    let mut sockets = Vec::new();
    // The fifth closes the first.
    for _ in 0..5 {
        sockets.push(Socket::open_as(&url, &node.credential("GET /v1/socket", b"")).await);
    }
    sockets[4].send(&json!({"type": "heartbeat"})).await;
    assert_eq!(sockets[4].next().await, json!({"type": "heartbeat"}));
    sign_in::set_password(&cloud).await;
    let accounts = cloud.function("hearth-fn-accounts").await;
    let login = sign_in::login(&accounts).await;
    for credential in [cloud.token.as_str(), login["access_token"].as_str().unwrap()] {
        Socket::open_as(&url, credential).await.close().await;
    }
    // The ends of sockets are handled after their clients have gone.
    let unused = async || cloud.unused_permissions("hearth-fn-socket").is_empty().then_some(());
    eventually("every permission of infra/template.yaml to be used", unused).await;
}
