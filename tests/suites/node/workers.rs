//! Faulty programs in place of workers, and a worker's confinement.

use std::fs;

use hearth_tests::{Setup, eventually, is_running, signal};
use hearth_wire::ErrorCode;
use tempfile::TempDir;

use crate::{
    LONG_MODEL, ask,
    in_process::{Gate, InProcessNode, script, short_task},
};

/// The error message of a run whose worker is this script.
async fn load_error(commands: &str) -> String {
    let folder = TempDir::new().unwrap();
    let executable = script(folder.path(), commands);
    let node = InProcessNode::start_in(folder, |config| {
        config.executable = executable;
        config.settings.load_seconds = 1;
    });
    let error = node.run(short_task()).await.error().await;
    assert_eq!(error.code, ErrorCode::ModelLoadFailed, "{error:?}");
    // The load isn't retried.
    let again = node.submit(LONG_MODEL, short_task(), Default::default()).await.err().unwrap();
    assert_eq!(again.code, ErrorCode::ModelLoadFailed, "{again:?}");
    node.stop().await;
    error.message
}

#[tokio::test]
async fn endless_load_times_out() {
    let message = load_error("echo $$ > \"$0.pid\"; exec sleep 600").await;
    assert!(message.contains("longer than 1 s"), "{message:?}");
}

#[tokio::test]
async fn load_error_has_the_exit_status_without_standard_error() {
    let message = load_error("echo '/mnt/somebody/model.gguf: no such device' >&2; exit 3").await;
    assert!(message.contains("exit status: 3") && !message.contains("/mnt"), "{message:?}");
}

#[tokio::test]
async fn failed_allocation_error_names_the_memory_limit() {
    let message = load_error("echo 'memory allocation of 4096 bytes failed' >&2; kill -ABRT $$").await;
    assert!(message.contains("node.worker_memory"), "{message:?}");
}

/// A malicious model file that controls its worker finds no secrets of the node there.
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
async fn invalid_frames_fail_the_load() {
    // A frame of four bytes that is no JSON, then the length of a frame of four gigabytes.
    for bytes in ["\\000\\000\\000\\004oops", "\\377\\377\\377\\377"] {
        let message = load_error(&format!("printf '{bytes}' >&0; exec sleep 600")).await;
        assert!(!message.is_empty());
    }
}

#[tokio::test]
async fn orphaned_child_of_a_worker_does_not_block_its_error() {
    let folder = TempDir::new().unwrap();
    let pid = folder.path().join("pid");
    // It keeps the worker's standard error open.
    let commands = format!("sleep 600 & echo $! > '{}'; echo gone >&2; exit 3", pid.display());
    let executable = script(folder.path(), &commands);
    let node = InProcessNode::start_in(folder, |config| config.executable = executable);
    let error = node.run(short_task()).await.error().await;
    let orphan: u32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    signal("KILL", orphan).await;
    assert!(error.message.contains("exit status: 3"), "{error:?}");
    node.stop().await;
}

#[tokio::test]
async fn missing_executable_fails_the_load() {
    let node = InProcessNode::start(|config| config.executable = "/nowhere/hearth".into()).await;
    let error = node.run(short_task()).await.error().await;
    assert_eq!(error.code, ErrorCode::ModelLoadFailed, "{error:?}");
    assert!(error.message.contains("can't be started"), "{error:?}");
    node.stop().await;
}

#[tokio::test]
async fn load_ends_when_its_node_stops() {
    let folder = TempDir::new().unwrap();
    let gate = Gate::new(folder.path());
    let executable = gate.executable();
    let node = InProcessNode::start_in(folder, |config| config.executable = executable);
    let run = node.run(short_task()).await;
    let worker = node.worker(LONG_MODEL).await;
    node.stop().await;
    assert_eq!(run.error().await.code, ErrorCode::NodeLost);
    eventually("the end of its worker", async || (!is_running(worker)).then_some(())).await;
}

/// The queue is bounded during the load too.
#[tokio::test]
async fn full_queue_refuses_during_a_load() {
    let folder = TempDir::new().unwrap();
    let mut gate = Gate::new(folder.path());
    let executable = gate.executable();
    let node = InProcessNode::start_in(folder, |config| {
        config.executable = executable;
        config.settings.queue_depth = 2;
        config.settings.slots = 1;
    });
    let (one, other) = (node.run(short_task()).await, node.run(short_task()).await);
    let refused = node.submit(LONG_MODEL, short_task(), Default::default()).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::QueueFull, "{refused:?}");
    gate.open();
    let (one, other) = (one.answer().await, other.answer().await);
    assert_eq!((one.positions(), other.positions()), (vec![1], vec![2, 1]));
    node.stop().await;
}
