//! Programs in a worker's place that don't do what a worker does.

use std::{fs, time::Duration};

use hearth_tests::{Setup, eventually, is_running, signal};
use hearth_wire::ErrorCode;
use tempfile::TempDir;

use crate::{
    LONG, ask,
    inside::{Gate, Inside, script, short_task},
};

/// What a run is told when its model's worker is this script.
async fn told(commands: &str) -> String {
    let folder = TempDir::new().unwrap();
    let executable = script(folder.path(), commands);
    let node = Inside::start_in(folder, |config| {
        config.executable = executable;
        config.load_timeout = Duration::from_secs(1);
    });
    let error = node.run(short_task()).await.error().await;
    assert_eq!(error.code, ErrorCode::ModelLoadFailed, "{error:?}");
    // It isn't tried again and again.
    let again = node.submit(LONG, short_task(), Default::default()).await.err().unwrap();
    assert_eq!(again.code, ErrorCode::ModelLoadFailed, "{again:?}");
    node.stop().await;
    error.message
}

#[tokio::test]
async fn a_load_that_does_not_end_is_given_up() {
    let message = told("echo $$ > \"$0.pid\"; exec sleep 600").await;
    assert!(message.contains("longer than 1 s"), "{message:?}");
}

#[tokio::test]
async fn clients_are_told_how_a_worker_ended_without_its_words() {
    let message = told("echo '/mnt/somebody/model.gguf: no such device' >&2; exit 3").await;
    assert!(message.contains("exit status: 3") && !message.contains("/mnt"), "{message:?}");
}

#[tokio::test]
async fn failed_allocations_are_told_as_the_memory_limit() {
    let message = told("echo 'memory allocation of 4096 bytes failed' >&2; kill -ABRT $$").await;
    assert!(message.contains("node.worker_memory"), "{message:?}");
}

/// A model file that takes its worker over finds neither the node's secrets nor its files there.
#[tokio::test]
async fn workers_inherit_no_secrets_and_are_confined() {
    let secrets = [
        "HEARTH_PROVIDERS__X__API_KEY=sk-planted",
        "HEARTH_PROVIDERS__X__KIND=openai",
        "HEARTH_HUB__TOKEN=hf_planted",
        "AWS_SECRET_ACCESS_KEY=planted",
        "NVIDIA_API_KEY=planted",
    ];
    let home = Setup::new().under(&[&["env"], secrets.as_slice()].concat()).start().await;
    let worker = home.worker(&home.model).await;
    let environment = fs::read_to_string(format!("/proc/{worker}/environ")).unwrap();
    assert!(!environment.contains("planted") && !environment.contains("HEARTH_"), "{environment:?}");
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(limit("Max core file size"), "0");
    assert_ne!(limit("Max data size"), "unlimited");
    let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    assert!(status.lines().any(|line| line.split_whitespace().eq(["NoNewPrivs:", "1"])), "{status}");
    ask(&home.client(), &home.model).await;
    home.stop().await;
}

#[tokio::test]
async fn a_worker_that_speaks_something_else_is_not_listened_to() {
    // A frame of four bytes that is no JSON; then one that would be four gigabytes.
    for bytes in ["\\000\\000\\000\\004oops", "\\377\\377\\377\\377"] {
        let message = told(&format!("printf '{bytes}' >&0; exec sleep 600")).await;
        assert!(!message.is_empty());
    }
}

#[tokio::test]
async fn what_a_worker_leaves_behind_keeps_nothing_open() {
    let folder = TempDir::new().unwrap();
    let pid = folder.path().join("pid");
    // It holds the worker's standard error.
    let commands = format!("sleep 600 & echo $! > '{}'; echo gone >&2; exit 3", pid.display());
    let executable = script(folder.path(), &commands);
    let node = Inside::start_in(folder, |config| config.executable = executable);
    let error = node.run(short_task()).await.error().await;
    let left: u32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    signal("KILL", left).await;
    assert!(error.message.contains("exit status: 3"), "{error:?}");
    node.stop().await;
}

#[tokio::test]
async fn no_program_at_all_is_told() {
    let node = Inside::start(|config| config.executable = "/nowhere/hearth".into()).await;
    let error = node.run(short_task()).await.error().await;
    assert_eq!(error.code, ErrorCode::ModelLoadFailed, "{error:?}");
    assert!(error.message.contains("can't be started"), "{error:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_load_ends_with_its_node() {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path());
    let executable = gate.executable();
    let node = Inside::start_in(folder, |config| config.executable = executable);
    let run = node.run(short_task()).await;
    let worker = node.worker(LONG).await;
    node.stop().await;
    assert_eq!(run.error().await.code, ErrorCode::NodeLost);
    eventually("the end of its worker", async || (!is_running(worker)).then_some(())).await;
}

/// The queue is bounded while the model is loaded, as it is afterwards.
#[tokio::test]
async fn a_full_queue_refuses_while_the_model_is_loaded() {
    let folder = TempDir::new().unwrap();
    let mut gate = Gate::new(folder.path());
    let executable = gate.executable();
    let node = Inside::start_in(folder, |config| {
        config.executable = executable;
        config.limits.queue_depth = 2;
        config.limits.slots = 1;
    });
    let (one, other) = (node.run(short_task()).await, node.run(short_task()).await);
    let refused = node.submit(LONG, short_task(), Default::default()).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::QueueFull, "{refused:?}");
    gate.open();
    let (one, other) = (one.answer().await, other.answer().await);
    assert_eq!((one.places(), other.places()), (vec![1], vec![2, 1]));
    node.stop().await;
}
