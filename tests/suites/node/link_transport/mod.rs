//! Conformance of the transports of the node link: to a node at an address, to one in the process, and to one that fetches its
//! runs, by the stores of a gateway at home and of the cloud. Each test is the same for all of them.

mod relayed_node;
mod worlds;

use futures::StreamExt as _;
use hearth_domain::{FinishReason, ModelLifecycle, Priority, RunId, TextTask};
use hearth_providers::LinkEvents;
use hearth_tests::{eventually, within};
use hearth_wire::{
    ErrorCode, RunEvent, RunEventBody,
    node::{NodeModelSettings, NodeRun, NodeStatus},
};
use reqwest::Method;

use crate::{
    LONG_MODEL,
    in_process::{endless_task, short_task},
};
use worlds::World;

/// Runs each of the tests, functions of a [`World`], over all transports.
macro_rules! over_all {
    ($($test:ident),* $(,)?) => {
        mod direct {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::World::direct().await).await;
            })*
        }
        mod in_process {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::World::in_process().await).await;
            })*
        }
        mod relay_at_home {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::World::relay_at_home().await).await;
            })*
        }
        mod relay_in_the_cloud {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::World::relay_in_the_cloud().await).await;
            })*
        }
    };
}

over_all! {
    run_is_executed_once_and_its_events_are_read_again_from_any_number,
    dropped_stream_is_resumed_without_a_gap_and_a_cancel_ends_the_run,
    refusal_of_the_node_is_the_error_of_the_start,
    unknown_run_has_no_events_and_nothing_to_cancel,
    requests_are_answered_by_the_node,
    settings_of_models_are_in_the_status_and_bad_ones_are_refused,
}

fn node_run(model: &str, task: TextTask) -> NodeRun {
    NodeRun {
        run: RunId::new(),
        model: model.to_owned(),
        task: task.into(),
        priority: Priority::default(),
        whole: false,
        detached: true,
    }
}

/// Reads events to the end of the stream.
async fn rest(events: LinkEvents) -> Vec<RunEvent> {
    within("the end of the events", events.collect()).await
}

/// Reads events to one that `is_wanted`.
async fn until(events: &mut LinkEvents, is_wanted: impl Fn(&RunEventBody) -> bool) -> Vec<RunEvent> {
    let mut read = Vec::new();
    loop {
        let event = within("an event", events.next()).await;
        let event = event.unwrap_or_else(|| panic!("the events ended: {read:?}"));
        let is_last = is_wanted(&event.body);
        read.push(event);
        if is_last {
            return read;
        }
    }
}

#[track_caller]
fn assert_numbered(events: &[RunEvent]) {
    for (seq, event) in (1..).zip(events) {
        assert_eq!(event.seq, seq, "{events:?}");
    }
    let ends = events.iter().filter(|event| event.body.is_terminal()).count();
    assert!(ends == 1 && events.last().is_some_and(|last| last.body.is_terminal()), "{events:?}");
}

async fn run_is_executed_once_and_its_events_are_read_again_from_any_number(world: World) {
    let run = node_run(LONG_MODEL, short_task());
    let events = rest(world.start(&run).await.unwrap()).await;
    assert_numbered(&events);
    let end = RunEventBody::Done { finish_reason: FinishReason::Stop };
    assert_eq!(events.last().map(|event| &event.body), Some(&end));
    let text: String = events
        .iter()
        .map(|event| match &event.body {
            RunEventBody::Delta { text, .. } => text.as_str(),
            _ => "",
        })
        .collect();
    assert!(text.contains("Paris"), "{text}");
    let begins = events.iter().filter(|event| matches!(event.body, RunEventBody::Started { .. })).count();
    assert_eq!(begins, 1, "{events:?}");
    let count = events.len();
    for after in [0, 1, count / 2, count - 1, count] {
        let again = rest(world.events(run.run, after as u64).await.unwrap()).await;
        assert_eq!(again, events[after..], "after {after}");
    }
    // The terminal event is final.
    assert!(!world.cancel(run.run).await);
    assert_eq!(rest(world.events(run.run, 0).await.unwrap()).await, events);
    world.stop().await;
}

async fn dropped_stream_is_resumed_without_a_gap_and_a_cancel_ends_the_run(world: World) {
    let run = node_run(LONG_MODEL, endless_task());
    let mut first = world.start(&run).await.unwrap();
    let mut events = until(&mut first, |body| matches!(body, RunEventBody::Delta { .. })).await;
    drop(first);
    for _ in 0..2 {
        let mut resumed = world.events(run.run, events.len() as u64).await.unwrap();
        events.extend(until(&mut resumed, |body| matches!(body, RunEventBody::Delta { .. })).await);
    }
    let follower = world.events(run.run, events.len() as u64).await.unwrap();
    let second_follower = world.events(run.run, 0).await.unwrap();
    assert!(world.cancel(run.run).await);
    events.extend(rest(follower).await);
    assert_numbered(&events);
    assert_eq!(events.last().map(|event| &event.body), Some(&RunEventBody::Cancelled));
    assert_eq!(rest(second_follower).await, events);
    assert!(!world.cancel(run.run).await);
    world.stop().await;
}

async fn refusal_of_the_node_is_the_error_of_the_start(world: World) {
    let run = node_run("no-such-model", short_task());
    let error = world.start(&run).await.map(drop).unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelNotFound, "{error:?}");
    // The same run may then be started with another model.
    let run = NodeRun { model: LONG_MODEL.to_owned(), ..run };
    assert_numbered(&rest(world.start(&run).await.unwrap()).await);
    world.stop().await;
}

async fn unknown_run_has_no_events_and_nothing_to_cancel(world: World) {
    let error = world.events(RunId::new(), 0).await.map(drop).unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error:?}");
    assert!(!world.cancel(RunId::new()).await);
    world.stop().await;
}

async fn requests_are_answered_by_the_node(world: World) {
    let status = world.request(Method::GET, "/v1/status", "").await;
    let status: NodeStatus = serde_json::from_slice(&status.into_success().unwrap().body).unwrap();
    assert!(status.models.iter().any(|model| model.id == LONG_MODEL), "{status:?}");
    let load = world.request(Method::POST, "/v1/models/load", r#"{"model":"no-such-model"}"#).await;
    let error = load.into_success().unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelNotFound, "{error:?}");
    world.stop().await;
}

async fn settings_of_models_are_in_the_status_and_bad_ones_are_refused(world: World) {
    let lifecycle = ModelLifecycle { idle_seconds: Some(900), slots: Some(3), ..ModelLifecycle::default() };
    let settings = |lifecycle| NodeModelSettings {
        models: [(LONG_MODEL.to_owned(), lifecycle)].into(),
        files: vec!["/nowhere/model.gguf".to_owned()],
        read_at: None,
    };
    let send = async |body: String| {
        world.request(Method::POST, "/v1/models/settings", body.leak()).await.into_success()
    };
    send(serde_json::to_string(&settings(lifecycle.clone())).unwrap()).await.unwrap();
    let bad = settings(ModelLifecycle { slots: Some(0), ..ModelLifecycle::default() });
    let error = send(serde_json::to_string(&bad).unwrap()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error:?}");
    // A node behind the relay reports its status a moment later. Only a node in the gateway's process takes files.
    let expected = NodeModelSettings { files: Vec::new(), ..settings(lifecycle) };
    eventually("the settings in the status", async || {
        let status = world.request(Method::GET, "/v1/status", "").await.into_success().unwrap();
        let status: NodeStatus = serde_json::from_slice(&status.body).unwrap();
        (status.model_settings == expected).then_some(())
    })
    .await;
    world.stop().await;
}
