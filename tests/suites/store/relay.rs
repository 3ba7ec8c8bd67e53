//! The relay's items, over all databases.

use std::collections::BTreeSet;

use hearth_domain::{
    Message, NodeCallId, NodeId, OrganisationId, Owner, Priority, Role, RunId, Sampling, Task, TextTask,
    Timestamp, UserId,
};
use hearth_store::{
    Store, StoreError,
    nodes::NodeRecord,
    relay::{Assignment, AssignmentEnd, AssignmentState, NodeSighting, OpenRun, RelayBatch},
};
use hearth_wire::{
    RunEvent, RunEventBody,
    node::{NodeRun, NodeStatus},
    relay::{NodeCall, NodeCallAnswer},
};
use serde_json::json;

use crate::{on_all, world::World};

on_all! {
    claim_raises_the_fence_and_an_older_one_changes_nothing,
    ended_assignment_is_final_until_the_run_is_assigned_anew,
    events_are_read_in_order_and_by_their_fence_only,
    large_task_and_large_batch_are_read_as_written,
    calls_and_open_runs_are_the_orders_of_a_node,
    state_of_a_node_has_the_fields_of_each_writer,
}

pub(crate) fn node_run(text: &str) -> NodeRun {
    let task = TextTask::new(vec![Message::new(Role::User, text)], Sampling::default());
    NodeRun {
        run: RunId::new(),
        model: "tiny-chat".to_owned(),
        task: Task::Text(task),
        priority: Priority::default(),
        whole: false,
        detached: false,
    }
}

fn texts(seqs: std::ops::RangeInclusive<u64>) -> Vec<RunEvent> {
    seqs.map(|seq| RunEvent { seq, body: RunEventBody::text(format!(" {seq}")) }).collect()
}

/// Registers a node, without which there is no state of it.
async fn put_node(store: &Store, id: NodeId) {
    let owner = Owner { user: UserId::new(), organisation: OrganisationId::new() };
    store.nodes().put(&NodeRecord::new(id, owner, "cellar")).await.unwrap();
}

fn is_conflict<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}

async fn claim_raises_the_fence_and_an_older_one_changes_nothing(world: World) {
    let (store, node, run) = (world.store(), NodeId::new(), node_run("hi"));
    let relay = store.relay();
    let assigned = relay.assign(node, &run).await.unwrap();
    assert_eq!((assigned.state, assigned.fence), (AssignmentState::Assigned, 0));
    assert!(is_conflict(&relay.assign(node, &run).await));
    let first = relay.claim(node, run.run, &assigned, 5, Some("one".to_owned())).await.unwrap();
    assert_eq!((first.state, first.fence), (AssignmentState::Claimed, 1));
    assert_eq!(relay.assignment(node, run.run).await.unwrap(), Some(first.clone()));
    // A claim of what was read before the first one.
    assert!(is_conflict(&relay.claim(node, run.run, &assigned, 5, None).await));
    let second = relay.claim(node, run.run, &first, 5, None).await.unwrap();
    assert_eq!((second.fence, second.claimer.as_deref()), (2, None));
    assert_eq!(relay.assignment(node, run.run).await.unwrap(), Some(second));
    assert!(is_conflict(&relay.begin(node, run.run, 1, 7).await));
    assert!(is_conflict(&relay.renew(node, run.run, 1, 9).await));
    relay.begin(node, run.run, 2, 7).await.unwrap();
    let begun = relay.assignment(node, run.run).await.unwrap().unwrap();
    assert_eq!((begun.state, begun.lease_until_ms), (AssignmentState::Running, 7));
    relay.renew(node, run.run, 2, 9).await.unwrap();
    let now = relay.assignment(node, run.run).await.unwrap().unwrap();
    assert_eq!((now.state, now.lease_until_ms), (AssignmentState::Running, 9));
    assert_eq!(relay.assignment(NodeId::new(), run.run).await.unwrap(), None);
}

async fn ended_assignment_is_final_until_the_run_is_assigned_anew(world: World) {
    let (store, node, run) = (world.store(), NodeId::new(), node_run("hi"));
    let (relay, id) = (store.relay(), run.run);
    let assigned = relay.assign(node, &run).await.unwrap();
    let claimed = relay.claim(node, id, &assigned, 100, None).await.unwrap();
    relay.mark_run_cancelled(node, id).await.unwrap();
    assert!(is_conflict(&relay.mark_run_cancelled(node, id).await));
    let orders = relay.open_orders(node).await.unwrap();
    assert_eq!(orders.0, [OpenRun { run: id, assigned_at_fence: 0, is_cancelled: true }]);
    let (open, end) = (AssignmentState::OPEN, AssignmentEnd::Terminal);
    let later = Assignment { fence: 2, ..claimed.clone() };
    // Of another fence, in another state, and with a lease that goes on.
    assert!(is_conflict(&relay.end_assignment(node, id, &later, &open, None, &end).await));
    assert!(is_conflict(
        &relay.end_assignment(node, id, &claimed, &[AssignmentState::Running], None, &end).await
    ));
    assert!(is_conflict(&relay.end_assignment(node, id, &claimed, &open, Some(99), &end).await));
    relay.end_assignment(node, id, &claimed, &open, Some(100), &end).await.unwrap();
    assert!(is_conflict(&relay.claim(node, id, &claimed, 100, None).await));
    assert!(is_conflict(&relay.mark_run_cancelled(node, id).await));
    let ended = relay.assignment(node, id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.end), (AssignmentState::Ended, Some(AssignmentEnd::Terminal)));
    assert!(relay.open_orders(node).await.unwrap().0.is_empty());
    let again = relay.assign(node, &run).await.unwrap();
    assert_eq!((again.state, again.fence, again.cancelled_at), (AssignmentState::Assigned, 1, None));
    assert_eq!(relay.claim(node, id, &again, 100, None).await.unwrap().fence, 2);
}

async fn events_are_read_in_order_and_by_their_fence_only(world: World) {
    let (store, node, run) = (world.store(), NodeId::new(), RunId::new());
    let relay = store.relay();
    // Out of order, doubled, and overlapping.
    for (seqs, fence) in [(1..=2, 2), (3..=12, 2), (1..=2, 2), (1..=4, 2), (1..=1, 1), (1..=9, 3)] {
        relay.append_batch(node, run, fence, &texts(seqs), 0).await.unwrap();
    }
    let (batches, has_more) = relay.batches(node, run, 2, 0).await.unwrap();
    assert!(!has_more);
    assert_eq!(batches.iter().map(RelayBatch::last_seq).collect::<Vec<_>>(), [2, 4, 12]);
    assert_eq!(batches[2].events, texts(3..=12));
    let (batches, _) = relay.batches(node, run, 2, 5).await.unwrap();
    assert_eq!(batches.len(), 1);
    assert_eq!(relay.batches(node, run, 1, 1).await.unwrap().0[0].events, texts(1..=1));
    assert!(relay.batches(node, run, 2, 13).await.unwrap().0.is_empty());
    assert!(relay.batches(NodeId::new(), run, 2, 0).await.unwrap().0.is_empty());
}

async fn large_task_and_large_batch_are_read_as_written(world: World) {
    let (store, node) = (world.store(), NodeId::new());
    for (run, objects) in [(node_run("short"), 0), (node_run(&"a long prompt ".repeat(40_000)), 1)] {
        let assigned = store.relay().assign(node, &run).await.unwrap();
        assert_eq!(
            (store.relay().task(node, run.run).await.unwrap(), world.count_objects().await),
            (Some(run.clone()), objects)
        );
        // The prompt is deleted at the end.
        let (open, end) = (AssignmentState::OPEN, AssignmentEnd::Withdrawn);
        store.relay().end_assignment(node, run.run, &assigned, &open, None, &end).await.unwrap();
        assert_eq!(
            (store.relay().task(node, run.run).await.unwrap(), world.count_objects().await),
            (None, 0)
        );
    }
    let run = RunId::new();
    let text = "x".repeat(100_000);
    let events: Vec<RunEvent> =
        (1..=9).map(|seq| RunEvent { seq, body: RunEventBody::text(text.clone()) }).collect();
    store.relay().append_batch(node, run, 1, &events, 7).await.unwrap();
    let (mut read, mut from, mut total) = (Vec::new(), 0, 0);
    loop {
        let (batches, has_more) = store.relay().batches(node, run, 1, from).await.unwrap();
        for batch in batches {
            (from, total) = (batch.last_seq() + 1, batch.total_bytes);
            read.extend(batch.events);
        }
        if !has_more {
            break;
        }
    }
    assert!(read == events && (900_000..1_000_000).contains(&total), "{} events, {total} bytes", read.len());
}

async fn calls_and_open_runs_are_the_orders_of_a_node(world: World) {
    let (store, node) = (world.store(), NodeId::new());
    let relay = store.relay();
    assert_eq!(relay.open_orders(node).await.unwrap(), (Vec::new(), Vec::new()));
    let (one, two) = (node_run("one"), node_run("two"));
    relay.assign(node, &one).await.unwrap();
    relay.assign(node, &two).await.unwrap();
    let call = NodeCall {
        id: NodeCallId::new(),
        call: "POST /v1/models/load".to_owned(),
        body: json!({"model": "m"}),
    };
    relay.put_call(node, &call).await.unwrap();
    put_node(&store, node).await;
    relay.record_sighting(node, Timestamp::now(), Timestamp::now()).await.unwrap();
    let (runs, calls) = relay.open_orders(node).await.unwrap();
    // Ids of the same millisecond have no order.
    assert_eq!(runs.iter().map(|open| open.run).collect::<BTreeSet<_>>(), BTreeSet::from([one.run, two.run]));
    assert_eq!(calls, std::slice::from_ref(&call));
    let answer = NodeCallAnswer { status: 200, body: json!({"loaded": true}) };
    relay.answer_call(node, call.id, &answer).await.unwrap();
    // A second answer changes nothing.
    let late = NodeCallAnswer { status: 500, ..answer.clone() };
    relay.answer_call(node, call.id, &late).await.unwrap();
    assert_eq!(relay.call(node, call.id).await.unwrap().unwrap().answer, Some(answer.clone()));
    assert!(relay.open_orders(node).await.unwrap().1.is_empty());
    relay.delete_call(node, call.id).await.unwrap();
    assert!(is_conflict(&relay.answer_call(node, call.id, &answer).await));
    assert!(is_conflict(&relay.answer_call(NodeId::new(), call.id, &answer).await));
    relay.close_run(node, one.run).await.unwrap();
    assert_eq!(relay.open_orders(node).await.unwrap().0.len(), 1);
}

async fn state_of_a_node_has_the_fields_of_each_writer(world: World) {
    let (store, node) = (world.store(), NodeId::new());
    let relay = store.relay();
    assert_eq!((relay.state(node).await.unwrap(), relay.status(node).await.unwrap()), (None, None));
    put_node(&store, node).await;
    let now = Timestamp::now();
    let later = now.plus(std::time::Duration::from_secs(60));
    let report = NodeSighting {
        seen_at: now,
        lease_until: later,
        version: "0.1.0".to_owned(),
        clock_skew_ms: -5,
        runs_max_count: Some(3),
        last_error: Some("no socket".to_owned()),
        energy: None,
        mac: None,
    };
    relay.set_socket(node, "s1").await.unwrap();
    relay.record_report(node, &report).await.unwrap();
    relay.set_transport(node, hearth_domain::NodeTransport::Relay, "no address").await.unwrap();
    let state = relay.state(node).await.unwrap().unwrap();
    assert!(state.is_alive(now) && !state.is_alive(later));
    assert_eq!((state.socket.as_deref(), state.last_error.as_deref()), (Some("s1"), Some("no socket")));
    assert_eq!((state.clock_skew_ms, state.transport_reason.as_deref()), (-5, Some("no address")));
    relay.record_report(node, &NodeSighting { last_error: None, ..report }).await.unwrap();
    relay.remove_socket(node, "s0").await.unwrap();
    relay.end_node_lease(node, later).await.unwrap();
    let state = relay.state(node).await.unwrap().unwrap();
    assert_eq!((state.last_error.clone(), state.socket.as_deref()), (None, Some("s1")));
    assert!(state.is_alive(now));
    let soon = now.plus(std::time::Duration::from_secs(1));
    relay.shorten_node_lease(node, later, soon).await.unwrap();
    assert_eq!(relay.state(node).await.unwrap().unwrap().lease_until, state.lease_until);
    relay.shorten_node_lease(node, now, soon).await.unwrap();
    assert_eq!(relay.state(node).await.unwrap().unwrap().lease_until, Some(soon));
    relay.remove_socket(node, "s1").await.unwrap();
    relay.end_node_lease(node, now).await.unwrap();
    let state = relay.state(node).await.unwrap().unwrap();
    assert!(!state.is_alive(now) && state.socket.is_none());
    relay.put_status(node, &NodeStatus::default()).await.unwrap();
    assert_eq!(relay.status(node).await.unwrap(), Some(NodeStatus::default()));
    relay.forget_node(node).await.unwrap();
    assert_eq!((relay.state(node).await.unwrap(), relay.status(node).await.unwrap()), (None, None));
}
