//! Runs, and calls.

use std::time::Duration;

use axum::http::StatusCode;
use hearth_domain::{NodeCallId, RuntimeState};
use hearth_wire::{
    ApiError, ErrorCode, RunEvent,
    relay::{NodeCall, NodeCallAnswer},
};
use serde_json::json;

use super::*;

#[tokio::test]
async fn run_of_the_orders_is_claimed_and_its_events_are_posted() {
    let mut world = World::start().await;
    let run = world.gateway.assign();
    finish(&world.node.submitted().await);
    assert_eq!(world.events(run).await, answer());
    assert_eq!(world.gateway.state().run(run).fence, 1);
}

#[tokio::test]
async fn first_event_arrives_before_the_run_goes_on() {
    let mut world = World::start().await;
    let run = world.gateway.assign();
    let log = world.node.submitted().await;
    for (place, event) in answer().into_iter().enumerate() {
        log.push(event);
        world.gateway.until(|state| state.run(run).last_seq() > place as u64).await;
    }
    assert_eq!(world.events(run).await, answer());
}

#[tokio::test]
async fn doubled_doorbell_starts_a_run_once() {
    let mut world = World::with_socket().await;
    let run = world.gateway.assign();
    for _ in 0..3 {
        world.gateway.ring(Doorbell::Run { run });
    }
    let log = world.node.submitted().await;
    world.gateway.ring(Doorbell::Run { run });
    world.gateway.ring(Doorbell::Orders);
    finish(&log);
    assert_eq!(world.events(run).await, answer());
    // A doorbell that comes after the run's end claims nothing.
    world.gateway.ring(Doorbell::Run { run });
    let next = world.gateway.assign();
    world.gateway.ring(Doorbell::Run { run: next });
    finish(&world.node.submitted().await);
    world.events(next).await;
    let claims = format!("POST /v1/node/runs/{run}/claim");
    assert_eq!(world.gateway.state().calls.iter().filter(|call| **call == claims).count(), 1);
    assert!(world.node.is_idle());
}

#[tokio::test]
async fn answer_to_a_batch_cancels_the_run() {
    let mut world = World::start().await;
    let run = world.gateway.assign();
    let log = world.node.submitted().await;
    world.gateway.state().runs.get_mut(&run).unwrap().cancelled = true;
    log.push(RunEventBody::text("a"));
    assert_eq!(world.events(run).await, [RunEventBody::text("a"), RunEventBody::Cancelled]);
}

#[tokio::test]
async fn doorbell_cancels_a_silent_run() {
    let mut world = World::with_socket().await;
    let run = world.gateway.assign();
    world.gateway.ring(Doorbell::Run { run });
    world.node.submitted().await;
    world.gateway.ring(Doorbell::Cancel { run });
    assert_eq!(world.events(run).await, [RunEventBody::Cancelled]);
}

#[tokio::test]
async fn run_that_is_cancelled_before_its_claim_is_not_computed() {
    let mut world = World::with_socket().await;
    let run = world.gateway.assign();
    world.gateway.state().orders.cancelled.push(run);
    world.gateway.ring(Doorbell::Orders);
    assert_eq!(world.events(run).await, [RunEventBody::Cancelled]);
    assert!(world.node.is_idle());
}

#[tokio::test]
async fn events_that_the_gateway_misses_are_sent_again() {
    let mut world = World::start().await;
    let run = world.gateway.assign();
    let log = world.node.submitted().await;
    log.push(RunEventBody::text("a"));
    log.push(RunEventBody::text("b"));
    world.gateway.until(|state| state.run(run).last_seq() == 2).await;
    // The gateway has lost the second event.
    world.gateway.state().runs.get_mut(&run).unwrap().events.pop();
    log.push(RunEventBody::text("c"));
    log.push(RunEventBody::Cancelled);
    let texts = ["a", "b", "c"].map(RunEventBody::text);
    assert_eq!(world.events(run).await, [&texts[..], &[RunEventBody::Cancelled]].concat());
}

#[tokio::test]
async fn gateway_that_is_away_loses_nothing() {
    let mut world = World::start().await;
    let run = world.gateway.assign();
    let log = world.node.submitted().await;
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    world.gateway.state().faults.extend([("/events", unavailable); 4]);
    finish(&log);
    assert_eq!(world.events(run).await, answer());
}

#[tokio::test]
async fn claim_is_repeated_after_a_failure() {
    let gateway = ScriptedGateway::start().await;
    let run = gateway.assign();
    gateway.state().faults.extend([("/claim", StatusCode::BAD_GATEWAY); 2]);
    let mut world = World::start_with(gateway, |config| config);
    finish(&world.node.submitted().await);
    assert_eq!(world.events(run).await, answer());
}

#[tokio::test]
async fn newer_claim_stops_the_run() {
    let mut world = World::with_socket().await;
    let run = world.gateway.assign();
    world.gateway.ring(Doorbell::Run { run });
    let log = world.node.submitted().await;
    log.push(RunEventBody::text("a"));
    world.gateway.until(|state| state.run(run).last_seq() == 1).await;
    world.gateway.state().runs.get_mut(&run).unwrap().fence += 1;
    log.push(RunEventBody::text("b"));
    // The run ends here, and the gateway has no further event of it.
    let ended = log.read(2).unwrap();
    futures::StreamExt::collect::<Vec<_>>(ended).await;
    assert!(log.has_ended());
    assert_eq!(world.gateway.state().run(run).last_seq(), 1);
}

#[tokio::test]
async fn run_that_was_refused_or_has_failed_is_taken_once_more() {
    let mut world = World::start().await;
    world.node.script().refusal = Some(ApiError::new(ErrorCode::QueueFull, "the queue is full"));
    let run = world.gateway.assign();
    world.gateway.until(|state| state.run(run).refusal.is_some()).await;
    world.node.script().refusal = None;
    world.gateway.state().runs.get_mut(&run).unwrap().refusal = None;
    let error = ApiError::new(ErrorCode::ModelLoadFailed, "the file is broken");
    let failure = RunEventBody::Error { error };
    world.node.submitted().await.push(failure.clone());
    assert_eq!(world.events(run).await, [failure]);
    // For another model, say.
    world.gateway.state().runs.get_mut(&run).unwrap().events.clear();
    finish(&world.node.submitted().await);
    assert_eq!(world.events(run).await, answer());
}

#[tokio::test]
async fn refusal_of_the_node_is_posted() {
    let gateway = ScriptedGateway::start().await;
    let world = World::start_with(gateway, |config| config);
    let error = ApiError::new(ErrorCode::QueueFull, "the queue is full");
    world.node.script().refusal = Some(error.clone());
    let run = world.gateway.assign();
    world.gateway.until(|state| state.run(run).refusal.is_some()).await;
    let refusal = world.gateway.state().run(run).refusal.clone().unwrap();
    assert_eq!((refusal.fence, refusal.error), (1, error));
}

#[tokio::test]
async fn run_of_an_earlier_process_is_lost_if_it_had_begun_and_else_carried_out() {
    let gateway = ScriptedGateway::start().await;
    let (begun, claimed) = (gateway.assign(), gateway.assign());
    {
        let mut state = gateway.state();
        let run = state.runs.get_mut(&begun).unwrap();
        run.fence = 1;
        run.events.push(RunEvent { seq: 1, body: RunEventBody::text("a") });
        state.runs.get_mut(&claimed).unwrap().fence = 1;
    }
    let mut world = World::start_with(gateway, |config| config);
    finish(&world.node.submitted().await);
    assert_eq!(world.events(claimed).await, answer());
    let events = world.events(begun).await;
    assert!(
        matches!(&events[1], RunEventBody::Error { error } if error.code == ErrorCode::NodeLost),
        "{events:?}"
    );
    assert!(world.node.is_idle());
}

#[tokio::test]
async fn node_takes_no_more_runs_than_it_said() {
    let gateway = ScriptedGateway::start().await;
    let runs = [gateway.assign(), gateway.assign(), gateway.assign()];
    let mut world = World::start_with(gateway, |config| LinkConfig { runs_max_count: Some(1), ..config });
    assert_eq!(
        world.gateway.state().reports.first().map_or(Some(1), |report| report.runs_max_count),
        Some(1)
    );
    for _ in runs {
        let log = world.node.submitted().await;
        assert!(world.node.is_idle());
        let claimed =
            world.gateway.state().runs.values().filter(|run| run.fence > 0 && !run.has_ended()).count();
        assert_eq!(claimed, 1);
        finish(&log);
        world.gateway.until(|state| state.run(log.run()).has_ended()).await;
    }
    for run in runs {
        assert_eq!(world.events(run).await, answer());
    }
}

#[tokio::test]
async fn events_that_come_while_a_batch_is_on_its_way_are_one_batch() {
    let mut world = World::start().await;
    let run = world.gateway.assign();
    let log = world.node.submitted().await;
    world.gateway.state().faults.extend([("/events", StatusCode::SERVICE_UNAVAILABLE); 2]);
    log.push(RunEventBody::text("x"));
    world.gateway.until(|state| state.calls.iter().any(|call| call.ends_with("/events"))).await;
    (0..200).for_each(|_| log.push(RunEventBody::text("x")));
    log.push(RunEventBody::Cancelled);
    assert_eq!(world.events(run).await.len(), 202);
    assert_eq!(world.gateway.state().run(run).batches, [1, 201]);
}

#[tokio::test]
async fn calls_are_answered_once_by_the_routes_of_the_node() {
    let world = World::with_socket().await;
    let call =
        |call: &str| NodeCall { id: NodeCallId::new(), call: call.to_owned(), body: json!({"model": "m"}) };
    let (load, unknown) = (call("POST /v1/models/load"), call("POST /v1/runs"));
    world.gateway.state().orders.calls = vec![load.clone(), load.clone(), unknown.clone()];
    world.gateway.ring(Doorbell::Orders);
    world.gateway.ring(Doorbell::Orders);
    world.gateway.until(|state| state.answers.len() == 2).await;
    let state = world.gateway.state();
    assert_eq!(state.answers[&load.id], [NodeCallAnswer { status: 202, body: json!(null) }]);
    assert_eq!(state.answers[&unknown.id][0].status, 404);
    assert_eq!(world.node.script().loads, ["m"]);
}

#[tokio::test]
async fn report_has_the_status_at_the_start_and_after_a_change() {
    let gateway = ScriptedGateway::start().await;
    let world = World::start_with(gateway, |config| config);
    world.gateway.until(|state| state.reports.len() == 1).await;
    let default = RuntimeState::Unloaded;
    assert_eq!(world.gateway.state().reports[0].status, Some(world.node.script().status.clone()));
    world.node.script().status.default_models.insert(hearth_domain::Modality::Text, format!("{default:?}"));
    world.gateway.until(|state| state.reports.len() == 2).await;
    assert_eq!(world.gateway.state().reports[1].status, Some(world.node.script().status.clone()));
}

#[tokio::test]
async fn draining_node_says_so_and_finishes_its_runs() {
    let mut world = World::with_socket().await;
    let run = world.gateway.assign();
    world.gateway.ring(Doorbell::Run { run });
    let log = world.node.submitted().await;
    let end = async {
        world.gateway.until(|state| state.reports.last().is_some_and(|report| report.stopping)).await;
        let late = world.gateway.assign();
        world.gateway.ring(Doorbell::Run { run: late });
        finish(&log);
        late
    };
    let ((), late) = tokio::join!(world.link.drain(Duration::from_secs(20)), end);
    assert_eq!(world.events(run).await, answer());
    assert_eq!(world.gateway.state().run(late).fence, 0);
    assert!(world.node.is_idle());
}

#[tokio::test]
async fn stopped_node_ends_its_runs_with_an_error_that_the_gateway_has() {
    let mut world = World::start().await;
    let run = world.gateway.assign();
    let log = world.node.submitted().await;
    log.push(RunEventBody::text("a"));
    world.link.drain(Duration::from_millis(1)).await;
    world.node.node.shut_down();
    world.link.stop().await;
    let state = world.gateway.state();
    let events = &state.run(run).events;
    assert!(matches!(events.last().unwrap().body, RunEventBody::Error { .. }), "{events:?}");
}
