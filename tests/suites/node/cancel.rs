//! Cancelling a run in each of its states: it ends soon, and its slot is free.

use std::time::{Duration, Instant};

use hearth_domain::RuntimeState;
use hearth_wire::RunEventBody;
use tempfile::TempDir;

use crate::in_process::{Gate, InProcessNode, Run, endless_task, long_prompt_task, short_task};

/// Limit for a cancellation on a busy machine.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Cancels a run, which must end soon. Returns its events until then.
async fn cancel(node: &InProcessNode, run: Run) -> Vec<RunEventBody> {
    let began = Instant::now();
    assert!(node.cancel(&run).await, "the run wasn't there");
    let id = run.id;
    let events = run.rest().await;
    assert_eq!(events.last(), Some(&RunEventBody::Cancelled), "{events:?}");
    assert!(began.elapsed() < CANCEL_TIMEOUT, "it took {:?}", began.elapsed());
    assert!(!node.node.cancel(id).await.unwrap(), "an ended run was cancelled");
    events
}

fn texts(events: &[RunEventBody]) -> usize {
    events.iter().filter(|event| matches!(event, RunEventBody::Delta { .. })).count()
}

#[tokio::test]
async fn queued_run_is_cancelled() {
    let node = InProcessNode::start(|config| config.settings.slots = 1).await;
    let mut running = node.run(endless_task()).await;
    running.until_text().await;
    let mut waiting = node.run(endless_task()).await;
    assert_eq!(waiting.next().await, Some(RunEventBody::Queued { position: 1 }));
    assert_eq!(cancel(&node, waiting).await, [RunEventBody::Cancelled]);
    running.until_text().await;
    cancel(&node, running).await;
    node.assert_answers().await;
    node.stop().await;
}

#[tokio::test]
async fn run_is_cancelled_while_its_model_loads() {
    let folder = TempDir::new().unwrap();
    let mut gate = Gate::new(folder.path());
    let executable = gate.executable();
    let node = InProcessNode::start_in(folder, |config| config.executable = executable);
    let run = node.run(endless_task()).await;
    let worker = node.worker("long").await;
    let events = cancel(&node, run).await;
    assert_eq!(events, [RunEventBody::Queued { position: 1 }, RunEventBody::Cancelled]);
    // The load continues.
    let next = node.run(short_task()).await;
    gate.open();
    assert!(next.answer().await.text(0).contains("Paris"));
    assert_eq!(node.worker("long").await, worker);
    node.stop().await;
}

#[tokio::test]
async fn run_is_cancelled_during_prefill() {
    let node = InProcessNode::start(|config| config.settings.slots = 1).await;
    let mut run = node.run(long_prompt_task(30_000)).await;
    run.until_started().await;
    let events = cancel(&node, run).await;
    assert_eq!(texts(&events), 0, "the answer has begun");
    let usage = events.iter().find_map(|event| match event {
        RunEventBody::Usage { usage } => Some(*usage),
        _ => None,
    });
    assert_eq!(usage.unwrap().completion_tokens, 0);
    node.assert_answers().await;
    node.stop().await;
}

#[tokio::test]
async fn run_is_cancelled_during_its_answer() {
    let node = InProcessNode::start(|config| config.settings.slots = 1).await;
    let mut run = node.run(endless_task()).await;
    run.until_text().await;
    cancel(&node, run).await;
    assert_eq!(node.runtime_status("long").await.state, RuntimeState::Loaded);
    node.assert_answers().await;
    node.stop().await;
}

#[tokio::test]
async fn all_answers_of_a_run_are_cancelled() {
    let node = InProcessNode::start(|config| config.settings.slots = 2).await;
    let mut task = endless_task();
    // More answers than slots: some haven't begun.
    task.choices = 5;
    let mut run = node.run(task).await;
    run.until_text().await;
    cancel(&node, run).await;
    assert_eq!(node.runtime_status("long").await.active, 0);
    node.assert_answers().await;
    node.stop().await;
}

#[tokio::test]
async fn other_runs_continue_after_a_cancellation() {
    let node = InProcessNode::start(|config| config.settings.slots = 2).await;
    let (mut one, mut other) = (node.run(endless_task()).await, node.run(endless_task()).await);
    one.until_text().await;
    other.until_text().await;
    cancel(&node, one).await;
    // More text than was on its way already.
    for _ in 0..100 {
        other.until_text().await;
    }
    cancel(&node, other).await;
    node.stop().await;
}
