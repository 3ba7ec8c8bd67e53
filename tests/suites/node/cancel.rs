//! Cancelling a run in each of its states: it ends soon, and its slot is free.

use std::time::{Duration, Instant};

use hearth_domain::RuntimeState;
use hearth_tests::{Client, eventually, signal};
use hearth_wire::RunEventBody;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    LONG_MODEL, ask,
    in_process::{Gate, InProcessNode, Run, endless_task, long_prompt_task, short_task},
    runtime_status, setup_for_endless_runs,
};

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

/// The processor time of a process, in ticks.
fn processor_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in brackets may contain spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// A request with a prompt that takes much longer than a short answer: each digit is a token.
fn long_request(digit: &str) -> Value {
    let content = digit.repeat(12_000);
    json!({"model": LONG_MODEL, "messages": [{"role": "user", "content": content}], "max_tokens": 1})
}

/// The worker has received the run and not begun it: it is stopped meanwhile.
#[tokio::test]
async fn run_whose_client_left_before_its_preparation_costs_its_worker_nothing() {
    let home = setup_for_endless_runs(&[], "slots = 1").start().await;
    let client = home.client();
    ask(&client, LONG_MODEL).await;
    let worker = home.worker(LONG_MODEL).await;
    let idle = processor_time(worker);
    let answer = client.post("/v1/chat/completions", &long_request("7")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let whole = processor_time(worker) - idle;

    signal("STOP", worker).await;
    let before = processor_time(worker);
    let post = |body: Value| {
        let request = client.request(Method::POST, "/v1/chat/completions").json(&body);
        tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() })
    };
    let leaving = post(long_request("8"));
    wait_for(&client, "the run", "active", 1).await;
    let waiting = post(json!({
        "model": LONG_MODEL, "temperature": 0,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    }));
    wait_for(&client, "the next run", "queue_depth", 1).await;
    leaving.abort();
    // The node sends the cancellation to the worker, and then the next run.
    wait_for(&client, "the cancellation", "queue_depth", 0).await;
    signal("CONT", worker).await;
    let next = waiting.await.unwrap();
    assert!(next.contains("Paris"), "{next}");
    let cancelled = processor_time(worker) - before;
    assert!(cancelled < whole / 3, "{cancelled} ticks, and {whole} for the whole run");
    home.stop().await;
}

/// Waits until a number of the model's status has this value.
async fn wait_for(client: &Client, what: &str, field: &str, value: u64) {
    eventually(what, async || (runtime_status(client, LONG_MODEL).await[field] == value).then_some(())).await;
}
