//! Batches whose process is killed.

use std::time::Duration;

use hearth_tests::eventually;
use serde_json::json;

use crate::{CHAT, create, ended, line, questions, results, vendor::Vendor};

const CONCURRENCY: usize = 4;
const KILLS: usize = 5;

#[tokio::test]
async fn batch_goes_on_after_kills_and_repeats_only_requests_in_progress() {
    let count = 150;
    let vendor = Vendor::start(Duration::from_millis(100)).await;
    let mut home = vendor.home(&format!("[batches]\nconcurrency = {CONCURRENCY}")).await;
    let path = create(&home.client(), &questions("rig:big", count), CHAT, &json!({})).await;
    for round in 1..=KILLS {
        // Not at the times at which results are saved.
        let reached = round * 20;
        eventually("requests of the batch", async || (vendor.count() >= reached).then_some(())).await;
        home = home.crash_and_restart().await;
    }
    let batch = ended(&home.client(), &path).await;
    assert_eq!(batch["status"], "completed", "{batch}");
    assert_eq!(batch["request_counts"], json!({"total": count, "completed": count, "failed": 0}));
    let results = results(&home.client(), &batch).await;
    for number in 0..count {
        let text = &results[&format!("r{number}")]["response"]["body"]["choices"][0]["message"]["content"];
        assert_eq!(*text, format!("What is {number} and {number}?"));
    }
    // A request whose answer came just before the kill counts as one in progress.
    let repeated = vendor.count() - count;
    assert!(repeated <= KILLS * 2 * CONCURRENCY, "{repeated} requests were repeated");
    assert!(vendor.most_repeated() <= 3, "a request was sent {} times", vendor.most_repeated());
    assert_eq!(batch["usage"]["output_tokens"], 2 * count, "each answer counts once");
    home.stop().await;
}

#[tokio::test]
async fn answers_behind_refused_requests_are_found_after_a_kill() {
    let vendor = Vendor::start(Duration::from_millis(100)).await;
    let home = vendor.home(&format!("[batches]\nconcurrency = {CONCURRENCY}")).await;
    // Without messages they are refused before their runs begin.
    let mut lines: Vec<String> =
        (0..30).map(|number| line(&format!("wrong{number}"), CHAT, &json!({"model": "rig:big"}))).collect();
    lines.extend(questions("rig:big", 60));
    let path = create(&home.client(), &lines, CHAT, &json!({})).await;
    // Before results are saved for the first time.
    eventually("requests of the batch", async || (vendor.count() >= 30).then_some(())).await;
    let home = home.crash_and_restart().await;
    let batch = ended(&home.client(), &path).await;
    assert_eq!(batch["request_counts"], json!({"total": 90, "completed": 60, "failed": 30}), "{batch}");
    assert_eq!(results(&home.client(), &batch).await.len(), 90);
    // A request whose answer came just before the kill counts as one in progress.
    let repeated = vendor.count() - 60;
    assert!(repeated <= 2 * CONCURRENCY, "{repeated} requests were repeated");
    home.stop().await;
}

#[tokio::test]
async fn cancellation_survives_a_kill() {
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let home = vendor.home(&format!("[batches]\nconcurrency = {CONCURRENCY}")).await;
    let path = create(&home.client(), &questions("rig:big", 200), CHAT, &json!({})).await;
    eventually("requests of the batch", async || (vendor.count() >= 8).then_some(())).await;
    assert_eq!(home.client().post(&format!("{path}/cancel"), &json!({})).await.status, 200);
    let home = home.crash_and_restart().await;
    let batch = ended(&home.client(), &path).await;
    assert_eq!(batch["status"], "cancelled", "{batch}");
    assert_eq!(results(&home.client(), &batch).await.len(), 200);
    assert!(vendor.count() < 200);
    home.stop().await;
}

#[tokio::test]
async fn orderly_stop_leaves_a_batch_to_the_next_start() {
    let vendor = Vendor::start(Duration::from_millis(100)).await;
    let home = vendor.home(&format!("[batches]\nconcurrency = {CONCURRENCY}")).await;
    let path = create(&home.client(), &questions("rig:big", 60), CHAT, &json!({})).await;
    eventually("requests of the batch", async || (vendor.count() >= 12).then_some(())).await;
    let home = home.restart().await;
    let batch = ended(&home.client(), &path).await;
    assert_eq!(batch["request_counts"], json!({"total": 60, "completed": 60, "failed": 0}));
    assert_eq!(results(&home.client(), &batch).await.len(), 60);
    assert!(vendor.count() <= 60 + 2 * CONCURRENCY, "{} requests", vendor.count());
    home.stop().await;
}
