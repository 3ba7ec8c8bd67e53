//! Batches that are cancelled, that expire, and whose input is deleted.

use std::time::Duration;

use hearth_domain::{JobError, JobErrorCode, RunId, Timestamp};
use hearth_store::jobs::{JobAttempt, JobWork};
use hearth_tests::{Home, eventually};
use serde_json::{Value, json};

use crate::{CHAT, create, ended, questions, results, vendor::Vendor};

/// Waits until a batch has this many answers.
async fn answered(home: &Home, path: &str, count: u64) -> Value {
    eventually("answers of the batch", async || {
        let batch = home.client().get(path).await.json();
        (batch["request_counts"]["completed"].as_u64()? >= count).then_some(batch)
    })
    .await
}

#[tokio::test]
async fn cancelled_batch_has_the_results_so_far() {
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let home = vendor.home("[batches]\nconcurrency = 4").await;
    let client = home.client();
    let path = create(&client, &questions("rig:big", 500), CHAT, &json!({})).await;
    answered(&home, &path, 4).await;
    let cancelled = client.post(&format!("{path}/cancel"), &json!({})).await;
    assert_eq!((cancelled.status.as_u16(), &cancelled.json()["status"]), (200, &json!("cancelling")));
    let batch = ended(&client, &path).await;
    assert_eq!((&batch["status"], batch["cancelled_at"].is_u64()), (&json!("cancelled"), true), "{batch}");
    let counts = &batch["request_counts"];
    let (completed, failed) = (counts["completed"].as_u64().unwrap(), counts["failed"].as_u64().unwrap());
    assert!((4..500).contains(&completed) && failed == 0, "{counts}");
    let results = results(&client, &batch).await;
    assert_eq!(results.len(), 500, "each request has a result");
    let cancelled =
        results.values().filter(|result| result["error"]["code"] == "batch_cancelled").count() as u64;
    assert_eq!(cancelled, 500 - completed);
    // Those in progress were answered, and none was begun after them.
    assert_eq!(vendor.count() as u64, completed);
    let again = client.post(&format!("{path}/cancel"), &json!({})).await;
    assert_eq!((again.status.as_u16(), &again.json()["error"]["code"]), (409, &json!("conflict")));
    home.stop().await;
}

#[tokio::test]
async fn job_of_a_batch_cancels_the_batch() {
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let home = vendor.home("[batches]\nconcurrency = 2").await;
    let client = home.client();
    let path = create(&client, &questions("rig:big", 300), CHAT, &json!({})).await;
    let batch = answered(&home, &path, 1).await;
    let job = format!("/v1/jobs/{}", batch["job_id"].as_str().unwrap());
    assert_eq!(client.get(&job).await.json()["kind"], "batch");
    assert!(client.delete(&job).await.status.is_success());
    assert_eq!(ended(&client, &path).await["status"], "cancelled");
    eventually("the end of the job", async || {
        let job = client.get(&job).await.json();
        (job["state"] == "completed").then_some(())
    })
    .await;
    home.stop().await;
}

#[tokio::test]
async fn batch_whose_job_is_paused_is_cancelled_with_its_results() {
    let vendor = Vendor::start(Duration::from_millis(100)).await;
    let home = vendor.home("[batches]\nconcurrency = 2").await;
    let client = home.client();
    let path = create(&client, &questions("rig:big", 300), CHAT, &json!({})).await;
    let batch = answered(&home, &path, 1).await;
    let job = format!("/v1/jobs/{}", batch["job_id"].as_str().unwrap());
    let paused = client.post(&format!("{job}/pause"), &json!({})).await;
    assert_eq!((paused.status.as_u16(), &paused.json()["state"]), (200, &json!("paused")));
    assert!(client.delete(&job).await.status.is_success());
    let batch = ended(&client, &path).await;
    assert_eq!(batch["status"], "cancelled", "{batch}");
    assert_eq!(results(&client, &batch).await.len(), 300, "each request has a result");
    assert!(vendor.count() < 300);
    home.stop().await;
}

#[tokio::test]
async fn expired_batch_has_the_results_so_far() {
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let home = vendor.home("[batches]\nconcurrency = 2").await;
    let path = create(&home.client(), &questions("rig:big", 300), CHAT, &json!({})).await;
    answered(&home, &path, 1).await;
    let id = path.rsplit('/').next().unwrap().parse().unwrap();
    // A day later.
    let (home, ()) = home
        .restart_after(async |store| {
            let mut batch = store.batches().get(id).await.unwrap().unwrap();
            batch.record.expires_at = Timestamp::now();
            assert!(store.batches().replace(&mut batch).await.unwrap());
        })
        .await;
    let client = home.client();
    let batch = ended(&client, &path).await;
    assert_eq!((&batch["status"], batch["expired_at"].is_u64()), (&json!("expired"), true), "{batch}");
    let results = results(&client, &batch).await;
    assert_eq!(results.len(), 300);
    let expired = results.values().filter(|result| result["error"]["code"] == "batch_expired").count() as u64;
    assert_eq!(expired, 300 - batch["request_counts"]["completed"].as_u64().unwrap());
    home.stop().await;
}

/// A batch in progress whose job this changes; with the gateway.
async fn with_changed_job(
    vendor: &Vendor,
    count: usize,
    change: impl FnOnce(&mut JobWork),
) -> (Home, String) {
    let home = vendor.home("[batches]\nconcurrency = 2").await;
    let path = create(&home.client(), &questions("rig:big", count), CHAT, &json!({})).await;
    let batch = answered(&home, &path, 1).await;
    let id = batch["job_id"].as_str().unwrap().parse().unwrap();
    let (home, ()) = home
        .restart_after(async |store| {
            let mut job = store.jobs().get(id).await.unwrap().unwrap();
            job.revision += 1;
            change(job.work.as_deref_mut().unwrap());
            assert!(store.jobs().replace(&job).await.unwrap());
        })
        .await;
    (home, path)
}

/// Waits until the only batch is listed as ended, so that the read of the batch isn't what ends it; returns it.
async fn listed_as_ended(home: &Home) -> Value {
    eventually("the end of the batch in the list", async || {
        let batch = home.client().get("/v1/batches").await.json()["data"][0].clone();
        ["failed", "expired", "completed"].contains(&batch["status"].as_str()?).then_some(batch)
    })
    .await
}

#[tokio::test]
async fn batch_whose_job_expires_has_the_results_so_far() {
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let (home, _) = with_changed_job(&vendor, 300, |work| work.expires_at = Timestamp::now()).await;
    let batch = listed_as_ended(&home).await;
    assert_eq!((&batch["status"], batch["expired_at"].is_u64()), (&json!("expired"), true), "{batch}");
    let completed = batch["request_counts"]["completed"].as_u64().unwrap();
    assert!((1..300).contains(&completed), "{batch}");
    assert_eq!(results(&home.client(), &batch).await.len() as u64, completed);
    home.stop().await;
}

#[tokio::test]
async fn batch_whose_processes_die_has_the_results_so_far() {
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let change = |work: &mut JobWork| (work.interruptions, work.leased_until) = (100, Some(Timestamp::now()));
    let (home, _) = with_changed_job(&vendor, 300, change).await;
    let batch = listed_as_ended(&home).await;
    assert_eq!(
        (&batch["status"], &batch["errors"]["data"][0]["code"]),
        (&json!("failed"), &json!("job_ended")),
        "{batch}"
    );
    let completed = batch["request_counts"]["completed"].as_u64().unwrap();
    assert!((1..300).contains(&completed), "{batch}");
    assert_eq!(results(&home.client(), &batch).await.len() as u64, completed);
    home.stop().await;
}

#[tokio::test]
async fn failures_before_progress_do_not_add_up() {
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let (home, path) = with_changed_job(&vendor, 120, |work| {
        let failed = |number| JobAttempt {
            number,
            run: RunId::new(),
            started_at: Timestamp::now(),
            ended_at: Some(Timestamp::now()),
            error: Some(JobError::new(JobErrorCode::Internal, "the store can't be read")),
        };
        // As many as may be, with the one in progress.
        work.attempts.splice(0..0, (1..work.max_attempts).map(failed));
    })
    .await;
    let batch = ended(&home.client(), &path).await;
    assert_eq!(batch["request_counts"], json!({"total": 120, "completed": 120, "failed": 0}), "{batch}");
    let job = format!("/v1/jobs/{}", batch["job_id"].as_str().unwrap());
    let job = home.client().get(&job).await.json();
    assert_eq!(job["work"]["attempts"].as_array().unwrap().len(), 1, "{job}");
    home.stop().await;
}

#[tokio::test]
async fn batch_whose_input_is_deleted_fails_with_the_results_so_far() {
    let vendor = Vendor::start(Duration::from_millis(50)).await;
    let home = vendor.home("[batches]\nconcurrency = 2").await;
    let client = home.client();
    // More than one piece of the input.
    let filler = "x".repeat(4000);
    let lines: Vec<String> = (0..600)
        .map(|number| {
            let body = crate::question("rig:big", &format!("{number} {filler}"));
            crate::line(&format!("r{number}"), CHAT, &body)
        })
        .collect();
    let path = create(&client, &lines, CHAT, &json!({})).await;
    let batch = answered(&home, &path, 1).await;
    let file = batch["input_file_id"].as_str().unwrap().to_owned();
    assert_eq!(client.delete(&format!("/v1/files/{file}")).await.status, 200);
    let batch = ended(&client, &path).await;
    assert_eq!(
        (&batch["status"], &batch["errors"]["data"][0]["code"]),
        (&json!("failed"), &json!("input_file_deleted"))
    );
    let completed = batch["request_counts"]["completed"].as_u64().unwrap();
    assert_eq!(results(&client, &batch).await.len() as u64, completed);
    home.stop().await;
}
