//! A run is stopped whatever it is doing: it ends soon, and makes room for the next.

use std::time::{Duration, Instant};

use hearth_domain::RuntimeState;
use hearth_wire::RunEventBody;
use tempfile::TempDir;

use crate::inside::{Gate, Inside, Run, endless_task, long_prompt, short_task};

/// What it may take on a machine that does much else besides.
const SOON: Duration = Duration::from_secs(10);

/// Stops a run and gives what it did until its end, which must be soon.
async fn stopped(node: &Inside, run: Run) -> Vec<RunEventBody> {
    let asked = Instant::now();
    assert!(node.cancel(&run).await, "the run wasn't there");
    let id = run.id;
    let events = run.rest().await;
    assert_eq!(events.last(), Some(&RunEventBody::Cancelled), "{events:?}");
    assert!(asked.elapsed() < SOON, "it took {:?}", asked.elapsed());
    assert!(!node.node.cancel(id).await.unwrap(), "what has ended can't be stopped");
    events
}

fn texts(events: &[RunEventBody]) -> usize {
    events.iter().filter(|event| matches!(event, RunEventBody::Delta { .. })).count()
}

#[tokio::test]
async fn while_it_waits_for_a_slot() {
    let node = Inside::start(|config| config.limits.slots = 1).await;
    let mut running = node.run(endless_task()).await;
    running.until_text().await;
    let mut waiting = node.run(endless_task()).await;
    assert_eq!(waiting.next().await, Some(RunEventBody::Queued { position: 1 }));
    assert_eq!(stopped(&node, waiting).await, [RunEventBody::Cancelled]);
    running.until_text().await;
    stopped(&node, running).await;
    node.assert_answers().await;
    node.stop().await;
}

#[tokio::test]
async fn while_its_model_is_loaded() {
    let folder = TempDir::new().unwrap();
    let mut gate = Gate::new(folder.path());
    let executable = gate.executable();
    let node = Inside::start_in(folder, |config| config.executable = executable);
    let run = node.run(endless_task()).await;
    let worker = node.worker("long").await;
    let events = stopped(&node, run).await;
    assert_eq!(events, [RunEventBody::Queued { position: 1 }, RunEventBody::Cancelled]);
    // The load goes on: it was nearly done.
    let next = node.run(short_task()).await;
    gate.open();
    assert!(next.answer().await.text(0).contains("Paris"));
    assert_eq!(node.worker("long").await, worker);
    node.stop().await;
}

#[tokio::test]
async fn while_its_prompt_is_read() {
    let node = Inside::start(|config| config.limits.slots = 1).await;
    let mut run = node.run(long_prompt(30_000)).await;
    run.until_started().await;
    let events = stopped(&node, run).await;
    assert_eq!(texts(&events), 0, "it was answered");
    let usage = events.iter().find_map(|event| match event {
        RunEventBody::Usage { usage } => Some(*usage),
        _ => None,
    });
    assert_eq!(usage.unwrap().completion_tokens, 0);
    node.assert_answers().await;
    node.stop().await;
}

#[tokio::test]
async fn while_it_answers() {
    let node = Inside::start(|config| config.limits.slots = 1).await;
    let mut run = node.run(endless_task()).await;
    run.until_text().await;
    stopped(&node, run).await;
    assert_eq!(node.runtime("long").await.state, RuntimeState::Loaded);
    node.assert_answers().await;
    node.stop().await;
}

#[tokio::test]
async fn all_of_several_answers_at_once() {
    let node = Inside::start(|config| config.limits.slots = 2).await;
    let mut task = endless_task();
    // More than there are slots: some haven't begun.
    task.choices = 5;
    let mut run = node.run(task).await;
    run.until_text().await;
    stopped(&node, run).await;
    assert_eq!(node.runtime("long").await.active, 0);
    node.assert_answers().await;
    node.stop().await;
}

#[tokio::test]
async fn one_and_not_its_neighbour() {
    let node = Inside::start(|config| config.limits.slots = 2).await;
    let (mut one, mut other) = (node.run(endless_task()).await, node.run(endless_task()).await);
    one.until_text().await;
    other.until_text().await;
    stopped(&node, one).await;
    // The neighbour says more than what was on its way already.
    for _ in 0..100 {
        other.until_text().await;
    }
    stopped(&node, other).await;
    node.stop().await;
}
