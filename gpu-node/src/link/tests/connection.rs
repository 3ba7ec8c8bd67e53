//! Sockets, polls, clocks and keys.

use axum::http::StatusCode;

use super::*;
use crate::link::LinkState;

#[tokio::test]
async fn socket_that_is_closed_is_connected_again_and_orders_are_fetched() {
    let mut world = World::with_socket().await;
    let run = world.gateway.assign();
    // Without a doorbell.
    world.gateway.state().sockets.last().unwrap().send(SocketOrder::Close).unwrap_or_default();
    world.gateway.until(|state| state.connected == 2).await;
    finish(&world.node.submitted().await);
    assert_eq!(world.events(run).await, answer());
}

#[tokio::test]
async fn next_socket_is_connected_before_the_old_one_ends() {
    let gateway = ScriptedGateway::start().await;
    {
        let mut state = gateway.state();
        state.orders.socket = Some("/v1/socket".to_owned());
        state.orders.socket_seconds = Some(1);
    }
    let mut world = World::start_with(gateway, |config| config);
    world.gateway.until(|state| state.connected == 2).await;
    let polls =
        |world: &World| world.gateway.state().calls.iter().filter(|call| call.contains("orders")).count();
    let before = polls(&world);
    let run = world.gateway.assign();
    world.gateway.ring(Doorbell::Run { run });
    finish(&world.node.submitted().await);
    assert_eq!(world.events(run).await, answer());
    assert!(polls(&world) <= before + 1, "the orders are fetched once after the new socket");
    assert!(world.gateway.state().reports.len() < 3, "the link had a socket all the time");
}

#[tokio::test]
async fn refused_socket_leaves_polls() {
    let gateway = ScriptedGateway::start().await;
    {
        let mut state = gateway.state();
        state.orders.socket = Some("/v1/socket".to_owned());
        state.faults.extend([("/v1/socket", StatusCode::GONE); 1000]);
    }
    let mut world = World::start_with(gateway, |config| config);
    for _ in 0..3 {
        let run = world.gateway.assign();
        finish(&world.node.submitted().await);
        assert_eq!(world.events(run).await, answer());
    }
    assert_eq!(world.gateway.state().connected, 0);
}

#[tokio::test]
async fn heartbeat_without_an_answer_ends_the_socket() {
    let gateway = ScriptedGateway::start().await;
    {
        let mut state = gateway.state();
        state.orders.socket = Some("/v1/socket".to_owned());
        state.orders.report_seconds = 1;
        state.silent = true;
    }
    let world = World::start_with(gateway, |config| config);
    world.gateway.until(|state| state.connected == 2).await;
    assert_eq!(world.gateway.state().heartbeats, 1);
}

#[tokio::test]
async fn clock_that_is_minutes_off_is_corrected_by_the_gateways() {
    for ahead_seconds in [300, -300] {
        let gateway = ScriptedGateway::start().await;
        gateway.state().ahead_seconds = ahead_seconds;
        gateway.state().orders.socket = Some("/v1/socket".to_owned());
        let mut world = World::start_with(gateway, |config| config);
        world.gateway.until(|state| state.connected == 1).await;
        let run = world.gateway.assign();
        world.gateway.ring(Doorbell::Run { run });
        finish(&world.node.submitted().await);
        assert_eq!(world.events(run).await, answer());
        let state = world.gateway.state();
        let reports = state.calls.iter().filter(|call| call.contains("report")).count();
        assert_eq!(reports, state.reports.len() + 1, "the first one was refused, and repeated");
    }
}

#[tokio::test]
async fn revoked_key_stops_the_runs_and_is_named() {
    let mut world = World::start().await;
    let run = world.gateway.assign();
    let log = world.node.submitted().await;
    world.gateway.state().revoked = true;
    let mut state = world.link.state();
    let failing = state.wait_for(|state| matches!(state, LinkState::Failing(_))).await.unwrap().clone();
    assert!(
        matches!(&failing, LinkState::Failing(reason) if reason.contains("hearth node enroll GATEWAY CODE --replace")),
        "{failing:?}"
    );
    futures::StreamExt::collect::<Vec<_>>(log.read(0).unwrap()).await;
    assert!(log.has_ended());
    assert_eq!(world.gateway.state().run(run).last_seq(), 0);
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let gateway = ScriptedGateway::start().await;
    gateway.state().faults.extend([("/v1/node/report", StatusCode::TEMPORARY_REDIRECT)]);
    let world = World::start_with(gateway, |config| config);
    let mut state = world.link.state();
    let failing = state.wait_for(|state| matches!(state, LinkState::Failing(_))).await.unwrap().clone();
    assert!(matches!(&failing, LinkState::Failing(reason) if reason.contains("redirects")), "{failing:?}");
    state.wait_for(|state| *state == LinkState::Connected).await.unwrap();
    let reports = world.gateway.state().reports.clone();
    assert!(reports[0].last_error.as_deref().is_some_and(|error| error.contains("redirects")));
}

#[tokio::test]
async fn gateway_that_is_away_is_asked_again() {
    let gateway = ScriptedGateway::start().await;
    let mut config = gateway.config();
    // No server is there.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    config.identity.gateway = format!("http://{free}").parse().unwrap();
    let node = ScriptedNode::start();
    let link = RunningLink::start(node.node.clone(), config).unwrap();
    let mut state = link.state();
    let failing = state.wait_for(|state| matches!(state, LinkState::Failing(_))).await.unwrap().clone();
    assert!(
        matches!(&failing, LinkState::Failing(reason) if reason.contains("can't be reached")),
        "{failing:?}"
    );
    let listener = tokio::net::TcpListener::bind(free).await.unwrap();
    tokio::spawn(async move { gateway.serve_at(listener).await });
    state.wait_for(|state| *state == LinkState::Connected).await.unwrap();
}
