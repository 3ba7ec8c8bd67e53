//! `kill -9` between the reservation and the settlement of runs.

use std::time::Duration;

use hearth_tests::{Client, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::vendor::home_with_vendor;

const ROUNDS: u32 = 20;
/// Streams in progress at a kill.
const STREAMS: usize = 4;
/// Tokens that a stream reserves: of its prompt, and of its answer.
const RESERVED: i64 = 6 + 100;
/// Tokens that the vendor reports.
const USED: i64 = 3 + 12;
const BUDGET: i64 = 10_000;
/// Reservations end so soon after the death of their process.
const SETTINGS: &str = "[limits]\nreservation_seconds = 1\n";

fn request(max_tokens: i64, streams: bool) -> Value {
    let messages = json!([{"role": "user", "content": "Say hi."}]);
    json!({"model": "vendor:big", "max_tokens": max_tokens, "messages": messages, "stream": streams})
}

/// The tokens that are spent and reserved.
async fn budget(client: &Client) -> (i64, i64) {
    let limits = client.get("/v1/limits").await.json();
    let of = |field: &str| limits["data"][0]["budgets"][0][field].as_i64();
    of("tokens_spent").zip(of("tokens_reserved")).unwrap_or_else(|| panic!("{limits}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_budget_leaks_or_is_spent_twice_over_twenty_kills() {
    let mut home = home_with_vendor(SETTINGS).await;
    let client = home.client();
    let organisations = client.get("/v1/organisations").await.json();
    let id = organisations["organisations"][0]["id"].as_str().unwrap();
    let put = client.request(Method::PUT, &format!("/v1/limits/organisation/{id}"));
    assert_eq!(client.send(put.json(&json!({"tokens_per_month": BUDGET}))).await.status, 200);
    // The runs that have ended before a kill, whose settlements may have been written or not.
    let mut most_spent = 0;
    for round in 0..ROUNDS {
        let client = home.client();
        let (spent, _) = budget(&client).await;
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let mut stream = client.stream("/v1/chat/completions", &request(100, true)).await;
            stream.next().await;
            streams.push(stream);
        }
        // They are killed at different times: with all reserved, with some settled, or with all.
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 6)).await;
        most_spent += i64::try_from(STREAMS).unwrap() * USED;
        home = home.crash_and_restart().await;
        drop(streams);
        let client = home.client();
        let (after, reserved) = budget(&client).await;
        let settled = after - spent;
        assert_eq!(settled % USED, 0, "round {round}: a run is settled in part");
        assert!((0..=USED * 4).contains(&settled), "round {round}: {settled}");
        // The process has reserved for further runs too.
        let in_progress = 4 - settled / USED;
        assert!(reserved >= in_progress * RESERVED, "round {round}: {settled} and {reserved}");
        assert!(after + reserved <= BUDGET, "round {round}: {after} and {reserved}");
        // After the end of the reservations a request may use all that isn't spent.
        let all = BUDGET - after - 6;
        let answer = eventually("the end of the reservations", async || {
            let answer = client.post("/v1/chat/completions", &request(all, false)).await;
            (answer.status == 200).then_some(answer)
        })
        .await;
        assert_eq!(answer.json()["usage"]["total_tokens"], USED);
        most_spent += USED;
        assert_eq!(budget(&client).await, (after + USED, 0), "round {round}");
    }
    let (spent, _) = budget(&home.client()).await;
    assert!(spent <= most_spent, "{spent} of {most_spent}");
    home.stop().await;
}
