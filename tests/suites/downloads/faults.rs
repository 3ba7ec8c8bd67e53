//! Faults of a source.

use serde_json::{Value, json};

use super::{
    download_until, file, files,
    hub::{Fault, Hub, TOKEN},
    start, usual,
};

async fn failed(fault: Fault) -> (Value, Vec<String>) {
    let hub = Hub::with(fault).await;
    let home = start(&hub, "").await;
    let job = download_until(&home.client(), &usual(), "failed").await;
    (job, files(&home))
}

#[tokio::test]
async fn truncated_bodies_are_continued() {
    let hub = Hub::with(Fault::Truncated).await;
    let home = start(&hub, "connections = 1").await;
    download_until(&home.client(), &usual(), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
    // Each response but the first begins behind what was received: a broken one may have delivered nothing.
    let half = hub.content().len() / 2;
    let ranges = hub.ranges();
    assert_eq!(
        (ranges.len(), &ranges[0], &ranges[1]),
        (3, &None, &Some(format!("bytes={half}-"))),
        "{ranges:?}"
    );
}

#[tokio::test]
async fn server_of_whole_files_sends_it_once_more() {
    let hub = Hub::with(Fault::WholeOnly).await;
    let home = start(&hub, "").await;
    download_until(&home.client(), &usual(), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
    assert_eq!(hub.ranges().last(), Some(&None));
}

#[tokio::test]
async fn changed_file_is_downloaded_anew() {
    let hub = Hub::with(Fault::Changes).await;
    let home = start(&hub, "connections = 1").await;
    download_until(&home.client(), &usual(), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
    assert_eq!(hub.ranges().last(), Some(&None), "{:?}", hub.ranges());
}

#[tokio::test]
async fn wrong_hash_fails_and_deletes_the_file() {
    let (job, files) = failed(Fault::WrongHash).await;
    assert_eq!(job["error"]["code"], "checksum_mismatch", "{job}");
    assert_eq!(files, Vec::<String>::new());
}

#[tokio::test]
async fn file_larger_than_the_disk_is_refused_before_a_byte() {
    let hub = Hub::with(Fault::HugeSize).await;
    let home = start(&hub, "").await;
    let job = download_until(&home.client(), &usual(), "failed").await;
    assert_eq!(job["error"]["code"], "disk_full", "{job}");
    assert!(job["error"]["message"].as_str().unwrap().contains("1.0 EiB more is needed"), "{job}");
    assert_eq!((hub.ranges().len(), files(&home).len()), (0, 0));
}

#[tokio::test]
async fn gated_model_takes_a_token() {
    let hub = Hub::with(Fault::Gated).await;
    let home = start(&hub, "").await;
    let client = home.client();
    let job = download_until(&client, &usual(), "failed").await;
    assert_eq!(job["error"]["code"], "access_denied", "{job}");
    let mut body = usual();
    body["token"] = json!(TOKEN);
    let job = download_until(&client, &body, "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
    assert!(!job.to_string().contains(TOKEN), "{job}");
    // The journal of an ended download has no token.
    for entry in std::fs::read_dir(home.data().join("models/.downloads")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[tokio::test]
async fn missing_repository_fails() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let job = download_until(&home.client(), &json!({"source": "owner/other"}), "failed").await;
    assert_eq!(job["error"]["code"], "source_not_found", "{job}");
    // The model isn't known: the list has no entry.
    assert_eq!(home.client().get("/v1/models?status=failed").await.json()["data"], json!([]));
}

#[tokio::test]
async fn hub_that_is_down_fails_after_its_attempts() {
    let (job, files) = failed(Fault::Down).await;
    assert_eq!(job["error"]["code"], "source_unreachable", "{job}");
    assert_eq!(files, Vec::<String>::new());
}
