//! `kill -9` of the gateway or the node at any point of a run.

use std::time::{Duration, Instant};

use hearth_tests::relay::{RelayStream, RelayWorld, long_request};

use crate::{MODEL, TOKENS, assert_answers, undisturbed_text};

/// Rounds of each test.
const ROUNDS: u64 = 10;
/// Time of a round, with two starts.
const ROUND_LIMIT: Duration = Duration::from_secs(45);
/// Events of a run, in requests of the node: its claim, and its batches. A kill comes after one of them.
const EVENTS_COUNT: u64 = 8;

/// Kills one of the two at a random event of each run, and checks what is left of the run. Returns the ends of the runs.
async fn kills(seed: u64) -> Vec<String> {
    let mut world = RelayWorld::start().await;
    let mut node = world.node().await;
    let text = undisturbed_text(&world).await;
    let mut random = seed;
    let mut ends = Vec::new();
    for round in 0..ROUNDS {
        let began = Instant::now();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (event, is_gateway) = ((random >> 33) % EVENTS_COUNT, (random >> 60) & 1 == 1);
        let before = world.proxy.count("/v1/node/runs/");
        let client = world.client();
        let mut asking = tokio::spawn(async move {
            match RelayStream::open(&client, &long_request(MODEL, TOKENS)).await {
                Ok(stream) => stream.rest().await,
                Err(refused) => refused,
            }
        });
        // An answer with fewer events ends first: nothing passes the proxy then.
        let answered = tokio::select! {
            () = world.proxy.wait_until(|proxy| proxy.count("/v1/node/runs/") > before + event as usize) => None,
            answer = &mut asking => Some(answer.unwrap()),
        };
        if is_gateway {
            world.crash_gateway().await;
        } else {
            node.kill().await;
            node.start().await;
        }
        let answer = match answered {
            Some(answer) => answer,
            None => asking.await.unwrap(),
        };
        answer.assert_beginning_of(&text);
        if !answer.id.is_empty() {
            let record = world.assert_ended_once(&answer.id).await;
            let stored = record["output"]["text"].as_str().unwrap_or_default();
            assert!(
                text.starts_with(stored) && stored.starts_with(&answer.text),
                "{record}, but received {answer:?}"
            );
            if answer.is_whole && answer.error.is_none() {
                assert_eq!(record["status"], "completed", "{record}");
            }
        }
        let killed = if is_gateway { "gateway" } else { "node" };
        ends.push(format!("{killed} at {event}: {:?} {:?}", answer.error, answer.finish_reason));
        assert!(began.elapsed() < ROUND_LIMIT, "round {round} took {:?}: {ends:#?}", began.elapsed());
    }
    assert_answers(&world, &text).await;
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_at_random_events_lose_no_token_and_leave_no_run_open() {
    println!("{:#?}", kills(1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_other_kills_at_random_events_lose_no_token_and_leave_no_run_open() {
    println!("{:#?}", kills(7).await);
}
