//! Memory of the gateway after bursts of large requests, as Linux reports it.

#![expect(clippy::unwrap_used, reason = "what a test calls fails as the test does")]

use std::fs;

use futures::future::join_all;
use hearth_tests::{Client, Upstream, chat_request, eventually};
use serde_json::Value;

use crate::{answer, chat, with};

/// Requests in progress at the same time.
const REQUESTS: usize = 64;
/// Sizes of their text, in KB. Objects of each size have pages of their own in the heap of each thread.
const TEXT_KB: [usize; 6] = [70, 90, 110, 140, 170, 210];
/// Memory that the bursts take at least.
const BURST_MIN_BYTES: u64 = 30 << 20;

/// Resident memory of a process beside its code and mapped files, in bytes.
fn resident_heap(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// Sends a number of equal requests to the model of `upstream`, which answers when all are there.
async fn post_at_once(client: &Client, upstream: &Upstream, requests: usize, body: &Value) {
    upstream.gather(requests);
    for _ in 0..requests {
        upstream.reply(answer());
    }
    let answers = join_all((0..requests).map(|_| client.post("/v1/chat/completions", body))).await;
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn idle_gateway_returns_the_memory_of_bursts() {
    let first = Upstream::start().await;
    let upstreams = join_all(TEXT_KB.map(|_| Upstream::start())).await;
    let all: Vec<&Upstream> = [&first].into_iter().chain(&upstreams).collect();
    // With more threads than the machine may have processors: each has a heap.
    let home = with(&all, "[server]\nthreads = 4").await;
    let client = home.client();
    post_at_once(&client, &first, 1, &chat("rig0:big")).await;
    let before = resident_heap(home.pid());
    for ((upstream, kilobytes), number) in upstreams.iter().zip(TEXT_KB).zip(1..) {
        let body = chat_request(&format!("rig{number}:big"), &"word ".repeat((kilobytes << 10) / 5));
        post_at_once(&client, upstream, REQUESTS, &body).await;
    }
    let burst = resident_heap(home.pid());
    assert!(burst >= before + BURST_MIN_BYTES, "{before} bytes, after the bursts {burst}");
    eventually("the memory of the bursts is returned", async || {
        (resident_heap(home.pid()) <= before.midpoint(burst)).then_some(())
    })
    .await;
    // The gateway serves on.
    post_at_once(&client, &first, 1, &chat("rig0:big")).await;
}
