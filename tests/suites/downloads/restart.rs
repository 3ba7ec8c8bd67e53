//! Downloads across the end of their process.

use hearth_tests::eventually;
use serde_json::{Value, json};

use super::{download, file, hub::Hub, id, job, job_in, start, usual};

#[tokio::test]
async fn killed_download_continues_where_it_was() {
    let hub = Hub::closed().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let started = download(&client, &usual()).await;
    eventually("half of each range on the disk", async || {
        let job = job(&client, id(&started)).await;
        let half = hub.content().len() as u64 / 2;
        (job["done_bytes"].as_u64().unwrap() + 4 >= half).then_some(())
    })
    .await;
    // The map of the ranges is written once a second.
    let map = home.data().join("models/owner/tiny-GGUF/tiny-Q8_0.gguf.part.json");
    eventually("the map of the ranges", async || {
        let map: Value = serde_json::from_slice(&std::fs::read(&map).ok()?).unwrap();
        let mut ranges = map["ranges"].as_array().unwrap().iter();
        ranges.all(|range| range[2].as_u64() > Some(0)).then_some(())
    })
    .await;
    let before = hub.ranges().len();
    let home = home.crash_and_restart().await;
    hub.open();
    let done = job_in(&home.client(), id(&started), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
    assert!(!map.exists());
    // No range begins at the beginning of one of before.
    let (first, later) = (hub.ranges()[..before].to_vec(), hub.ranges()[before..].to_vec());
    let begin = |range: &Option<String>| range.as_deref().unwrap().split('-').next().unwrap().to_owned();
    let first: Vec<String> = first.iter().map(begin).collect();
    assert!(!later.is_empty() && later.iter().map(begin).all(|begin| !first.contains(&begin)), "{later:?}");
    assert_eq!(done["state"], "completed");
}

#[tokio::test]
async fn paused_download_stays_paused_across_a_kill() {
    let hub = Hub::closed().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let started = download(&client, &usual()).await;
    let path = format!("/v1/jobs/{}", id(&started));
    assert_eq!(client.post(&format!("{path}/pause"), &json!({})).await.json()["state"], "paused");
    let home = home.crash_and_restart().await;
    let client = home.client();
    assert_eq!(job(&client, id(&started)).await["state"], "paused");
    hub.open();
    client.post(&format!("{path}/resume"), &json!({})).await;
    job_in(&client, id(&started), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
}

#[tokio::test]
async fn orderly_stop_leaves_the_download_to_the_next_start() {
    let hub = Hub::closed().await;
    let home = start(&hub, "").await;
    let started = download(&home.client(), &usual()).await;
    job_in(&home.client(), id(&started), "running").await;
    let home = home.restart().await;
    hub.open();
    job_in(&home.client(), id(&started), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
}
