//! Sockets for responses have the limits of every socket.

use std::time::Duration;

use hearth_domain::Timestamp;
use hearth_gateway::access::tokens::NewToken;
use hearth_tests::{Socket, create_token, eventually};

use crate::world::World;

/// Status codes of a close frame.
const AWAY: u16 = 1001;
const POLICY: u16 = 1008;

#[tokio::test]
async fn users_33rd_socket_of_any_kind_closes_the_first() {
    let world = World::start().await;
    let mut first = Socket::open_as(&world.responses_url(), &world.token).await;
    let mut sockets = Vec::new();
    for number in 0..32 {
        let url = if number % 2 == 0 { world.url.clone() } else { world.responses_url() };
        sockets.push(Socket::open_as(&url, &world.token).await);
    }
    assert_eq!(first.close_code().await, AWAY);
    let hub = world.gateway.sockets().hub().unwrap();
    assert_eq!(hub.count(), 32);
    drop((first, sockets));
    eventually("the sockets to be gone", async || (hub.count() == 0).then_some(())).await;
}

#[tokio::test]
async fn burst_of_one_user_is_within_the_limit_and_another_users_socket_stays() {
    let world = World::start().await;
    let mut of_node = Socket::open_as(&world.url, &world.node().await.credential()).await;
    let url = world.responses_url();
    let sockets = futures::future::join_all((0..100).map(|_| Socket::open_as(&url, &world.token))).await;
    assert_eq!(world.gateway.sockets().hub().unwrap().count(), 33);
    of_node.send(&serde_json::json!({"type": "heartbeat"})).await;
    assert_eq!(of_node.next().await["type"], "heartbeat");
    drop(sockets);
}

#[tokio::test]
async fn socket_ends_with_its_credential() {
    let world = World::start().await;
    let operator = world.gateway.operator().await.unwrap();
    let expires_at = Some(Timestamp::now().plus(Duration::from_secs(4)));
    let new = NewToken { expires_at, ..NewToken::of_operator(operator, "short") };
    let (short, _) = world.gateway.access().issue_token(new).await.unwrap();
    let mut responses = Socket::open_as(&world.responses_url(), short.expose()).await;
    let mut other = Socket::open_as(&world.url, short.expose()).await;
    assert_eq!((responses.close_code().await, other.close_code().await), (AWAY, AWAY));
    let other = create_token(&world.store, operator).await;
    let mut socket = Socket::open_as(&world.responses_url(), &other).await;
    let caller = world.gateway.authenticate(&other).await.unwrap();
    world.gateway.access().revoke_token(&caller, caller.token().unwrap()).await.unwrap();
    assert_eq!(socket.close_code().await, POLICY);
}
