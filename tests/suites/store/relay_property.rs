//! Property test of the relay: whatever a node's processes and the gateway do, in any order and at the same time, a reader of the
//! run sees the events of one claim, without a gap, a double or an event after the terminal one, and all that were acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, future::join_all};
use hearth_domain::{FinishReason, Owner, RunId, UserId};
use hearth_gateway::{Gateway, HttpClients, Options, Routing, nodes::NodeRecord};
use hearth_store::relay::{AssignmentEnd, AssignmentState};
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    relay::{ClaimBody, NodeEventBatch, NodeRefusal},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;

use crate::{relay::node_run, world::World};

/// Test cases of each database.
const CASES: u32 = 64;
/// Test cases of moto, which takes a few milliseconds for each request.
const MOTO_CASES: u32 = 8;
/// Seq of the terminal event.
const LAST_SEQ: u64 = 7;

/// A step of a case.
#[derive(Debug, Clone)]
enum Step {
    /// A process of the node claims the run.
    Claim(u8),
    /// The holder of a fencing token posts some of its events.
    Post { fence: u64, first: u64, count: u64 },
    /// The holder of a fencing token posts nothing.
    Renew { fence: u64 },
    /// The holder of a fencing token refuses the run.
    Refuse { fence: u64 },
    /// The gateway cancels the run.
    Cancel,
    /// The lease is over, and the gateway gives the node up.
    Expire,
}

/// The results of the steps.
#[derive(Debug, Default)]
struct Outcomes {
    /// The fencing tokens of claims.
    fences: BTreeSet<u64>,
    /// The largest seq that was acknowledged, by fencing token.
    acknowledged: BTreeMap<u64, u64>,
}

#[test]
fn reader_sees_one_claim_in_order_and_all_that_was_acknowledged() {
    let runtime = runtime();
    for open in [false, true] {
        let world =
            runtime.block_on(async { if open { World::at_home().await } else { World::in_aws().await } });
        check(&runtime, &world, CASES);
    }
}

#[test]
#[ignore = "needs a moto server at AWS_ENDPOINT_URL: cargo xtask test --only moto"]
fn reader_sees_one_claim_in_moto() {
    let runtime = runtime();
    let world = runtime.block_on(World::in_moto());
    check(&runtime, &world, MOTO_CASES);
}

fn runtime() -> Runtime {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn check(runtime: &Runtime, world: &World, cases: u32) {
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let gateway = Gateway::new(
        world.store(),
        HttpClients::new().unwrap(),
        Options { long_lived: !world.is_moto(), ..Options::default() },
        Routing::default(),
    );
    // Steps of a group happen at the same time.
    let groups = vec(vec(step(), 1..4), 1..14);
    TestRunner::new(config)
        .run(&groups, |groups| runtime.block_on(case(world, &gateway, groups)).map_err(TestCaseError::fail))
        .unwrap();
}

async fn case(world: &World, gateway: &Gateway, groups: Vec<Vec<Step>>) -> Result<(), String> {
    let node = NodeRecord::new(hearth_domain::NodeId::new(), Owner::of_record(UserId::new(), None), "node");
    let (store, task) = (world.store(), node_run("hi"));
    let run = task.run;
    store.relay().assign(node.id, &task).await.unwrap();
    let mut outcomes = Outcomes::default();
    for group in groups {
        let results =
            join_all(group.iter().map(|step| perform(gateway, world, &node, run, step.clone()))).await;
        for (step, result) in group.into_iter().zip(results) {
            match (step, result) {
                (_, Err(error)) if is_refusal(error.code) => {}
                (step, Err(error)) => return Err(format!("{step:?}: {error:?}")),
                (Step::Claim(_), Ok(fence)) => {
                    outcomes.fences.insert(fence);
                }
                (Step::Post { fence, .. }, Ok(seq)) if seq > 0 => {
                    let largest = outcomes.acknowledged.entry(fence).or_default();
                    *largest = (*largest).max(seq);
                }
                _ => {}
            }
        }
    }
    // The reader's stream ends if the run does.
    expire(world, &node, run).await;
    let events = gateway.relay().transport(node.id).events(run, 0, &Default::default()).await;
    let events: Vec<RunEvent> = events.map_err(|error| format!("{error:?}"))?.collect().await;
    judge(&events, &outcomes).map_err(|problem| format!("{problem}: {events:?}, {outcomes:?}"))
}

fn is_refusal(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Conflict | ErrorCode::NotFound)
}

/// Performs a step; returns the fencing token of a claim, or the seq that a batch was acknowledged up to.
async fn perform(
    gateway: &Gateway,
    world: &World,
    node: &NodeRecord,
    run: RunId,
    step: Step,
) -> Result<u64, ApiError> {
    let relay = gateway.relay();
    match step {
        Step::Claim(process) => {
            let body = ClaimBody { process: Some(process.to_string()) };
            Ok(relay.claim(node, run, body).await?.fence)
        }
        Step::Post { fence, first, count } => {
            let events = (first..first + count).take_while(|seq| *seq <= LAST_SEQ);
            let events = events.map(|seq| event(fence, seq)).collect();
            Ok(relay.append(node, run, NodeEventBatch { fence, events }).await?.last_seq)
        }
        Step::Renew { fence } => {
            relay.append(node, run, NodeEventBatch { fence, events: Vec::new() }).await.map(|_| 0)
        }
        Step::Refuse { fence } => {
            let error = ApiError::new(ErrorCode::QueueFull, "the queue is full");
            relay.refuse(node, run, NodeRefusal { fence, error }).await.map(|()| 0)
        }
        Step::Cancel => relay.transport(node.id).cancel(run).await.map(u64::from),
        Step::Expire => {
            expire(world, node, run).await;
            Ok(0)
        }
    }
}

/// Gives the node up, as the reader of the run does when the lease is over.
async fn expire(world: &World, node: &NodeRecord, run: RunId) {
    let store = world.store();
    let before = store.relay().assignment(node.id, run).await.unwrap().unwrap();
    if before.state == AssignmentState::Ended {
        return;
    }
    let end = AssignmentEnd::Lost { error: ApiError::new(ErrorCode::NodeLost, "the lease is over") };
    let open = AssignmentState::OPEN;
    let ended = store.relay().end_assignment(node.id, run, &before, &open, None, &end).await;
    assert!(matches!(ended, Ok(()) | Err(hearth_store::StoreError::Conflict)), "{ended:?}");
}

/// The event that the holder of a fencing token has under this seq.
fn event(fence: u64, seq: u64) -> RunEvent {
    let body = match seq {
        LAST_SEQ => RunEventBody::Done { finish_reason: FinishReason::Stop },
        _ => RunEventBody::text(format!("{fence}:{seq}")),
    };
    RunEvent { seq, body }
}

fn judge(events: &[RunEvent], outcomes: &Outcomes) -> Result<(), String> {
    let (last, before) = events.split_last().ok_or("the reader's stream has no end")?;
    if !last.body.is_terminal() {
        return Err("the reader's stream has no terminal event".to_owned());
    }
    for (seq, event) in (1..).zip(events) {
        if event.seq != seq {
            return Err(format!("the event {seq} has the number {}", event.seq));
        }
    }
    if outcomes.acknowledged.len() > 1 {
        return Err("events of several claims were accepted".to_owned());
    }
    let Some((&fence, &acknowledged)) = outcomes.acknowledged.iter().next() else {
        return if before.is_empty() { Ok(()) } else { Err("an event that was refused is read".to_owned()) };
    };
    if before.iter().any(|read| *read != event(fence, read.seq)) {
        return Err("an event is another claim's".to_owned());
    }
    let read = before.len() as u64 + u64::from(*last == event(fence, LAST_SEQ));
    if read < acknowledged {
        return Err(format!("the events after {read} are lost"));
    }
    Ok(())
}

fn step() -> impl Strategy<Value = Step> {
    let fence = || 1..4_u64;
    prop_oneof![
        4 => (0..2_u8).prop_map(Step::Claim),
        12 => (fence(), 1..=LAST_SEQ, 1..5_u64).prop_map(|(fence, first, count)| Step::Post { fence, first, count }),
        8 => (1..=LAST_SEQ, 1..5_u64).prop_map(|(first, count)| Step::Post { fence: 1, first, count }),
        1 => fence().prop_map(|fence| Step::Renew { fence }),
        1 => fence().prop_map(|fence| Step::Refuse { fence }),
        1 => Just(Step::Cancel),
        1 => Just(Step::Expire),
    ]
}
