//! A start after a kill in the middle of a run with many stored events.

use std::fs;

use hearth_domain::{Run, RunState, UserId};
use hearth_store::Store;
use hearth_tests::Setup;
use hearth_wire::{RunEvent, RunEventBody};

/// Bytes of an event's text, and number of events that are stored at once, and how often: 100 MB.
const EVENT_BYTES: usize = 10_000;
const BATCH_EVENTS: u64 = 100;
const BATCHES: u64 = 100;
/// The setting `answer_max_bytes`.
const ANSWER_MAX_BYTES: usize = 2 << 20;
/// Memory beyond that of another start: pages of a megabyte, and copies of the answer.
const MEMORY_LIMIT_BYTES: u64 = 40 << 20;

/// The largest resident memory of a process so far, in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// Stores the beginning of a run with its events.
async fn store_open_run(store: &Store, owner: UserId) -> Run {
    let run = Run { state: RunState::Running, ..Run::example(owner) };
    store.runs().begin(&run).await.unwrap();
    for batch in 0..BATCHES {
        let first = batch * BATCH_EVENTS + 1;
        let events: Vec<_> = (first..first + BATCH_EVENTS)
            .map(|seq| RunEvent { seq, body: RunEventBody::text(format!("{seq:<EVENT_BYTES$}")) })
            .collect();
        store.runs().append(run.id, &events).await.unwrap();
    }
    run
}

#[tokio::test]
async fn start_reads_the_events_of_an_open_run_in_pages() {
    let settings = format!("answer_max_bytes = '{}MiB'", ANSWER_MAX_BYTES >> 20);
    let home = Setup::new().without_node().settings(&settings).start().await;
    let home = home.restart().await;
    let before = peak_memory(home.pid());
    let fill = async |store: &Store| store_open_run(store, store.operator().await.unwrap()).await;
    let (home, run) = home.restart_after(fill).await;
    let after = peak_memory(home.pid());
    assert!(after < before + MEMORY_LIMIT_BYTES, "{before} bytes, with the run {after}");
    let record = home.client().get(&format!("/v1/requests/{}", run.id)).await.json();
    assert_eq!(record["error"]["code"], "gateway_stopped", "{}", record["error"]);
    let text = record["output"]["text"].as_str().unwrap();
    // The answer up to its limit: an event is a few bytes more than its text.
    assert!((ANSWER_MAX_BYTES / 2..=ANSWER_MAX_BYTES).contains(&text.len()), "{} bytes", text.len());
    assert!(text.starts_with("1 ") && text[EVENT_BYTES..].starts_with("2 "));
    home.stop().await;
}
