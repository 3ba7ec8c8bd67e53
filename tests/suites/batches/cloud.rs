//! Batches in the cloud: the function `generate` creates them, and `worker` carries them out in slices, under its role.

use std::time::Duration;

use hearth_domain::{BatchId, JobId, Timestamp};
use hearth_store::jobs::{JobRecord, JobWork};
use hearth_tests::{Client, Cloud, WORKER, eventually};
use lambda_emulator::{ApiGateway, Emulator, Placement};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{CHAT, create, parse_lines, path_of, questions, results, vendor::Vendor};

const SWEEP: &str = "hearth-fn-sweep";

/// A cloud with its API.
struct World {
    cloud: Cloud,
    client: Client,
    _api: ApiGateway,
}

impl World {
    async fn start(cloud: Cloud) -> Self {
        let api = cloud.api(Placement::Stage("dev".to_owned())).await;
        let client = Client::new(&api.url(), Some(&cloud.token));
        Self { cloud, client, _api: api }
    }

    async fn batch(&self, path: &str) -> Value {
        self.client.get(path).await.json()
    }

    /// A worker with the vendor's model `rig:big`.
    async fn worker_with(&self, vendor: &Vendor) -> Emulator {
        let base_url = format!("{}/v1", vendor.url);
        let rig = json!({"kind": "openai_compatible", "base_url": base_url, "models": ["big"]});
        let routing = json!({"providers": {"rig": rig}}).to_string();
        let variables = [("HEARTH_ROUTING", routing.as_str()), ("HEARTH_BATCHES__CONCURRENCY", "4")];
        self.cloud.function_with(WORKER, &variables).await
    }

    /// Has the worker carry out what the queues have, until a batch has ended.
    async fn ended(&self, worker: &Emulator, path: &str) -> Value {
        eventually(&format!("the end of {path}"), async || {
            self.cloud.work(worker).await;
            let batch = self.batch(path).await;
            let has_ended =
                ["completed_at", "cancelled_at", "expired_at"].iter().any(|end| batch[end].is_u64());
            (has_ended || batch["processing_status"] == "ended").then_some(batch)
        })
        .await
    }

    /// Creates a batch of Anthropic's; returns its path.
    async fn create_messages(&self, items: &[Value]) -> String {
        let created = self.client.post("/v1/messages/batches", &json!({"requests": items})).await.json();
        format!("/v1/messages/batches/{}", created["id"].as_str().unwrap())
    }

    async fn job_of(&self, batch: &Value) -> JobRecord {
        let id = batch["job_id"].as_str().unwrap().parse::<JobId>().unwrap();
        self.cloud.store().jobs().get(id).await.unwrap().unwrap()
    }

    /// Changes the job of a batch, and has the sweep look at it.
    async fn sweep_after(&self, batch: &Value, change: impl FnOnce(&mut JobWork)) {
        let mut record = self.job_of(batch).await;
        record.revision += 1;
        let work = record.work.as_mut().unwrap();
        work.look_at = Some(Timestamp::now());
        change(work);
        assert!(self.cloud.store().jobs().replace(&record).await.unwrap());
        let sweep = self.cloud.function(SWEEP).await;
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event"});
        sweep.trigger(&event).await.unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Ends the lease of a killed worker, and has the sweep send the job's message again.
    async fn end_lease(&self, batch: &Value) {
        self.sweep_after(batch, |work| work.leased_until = Some(Timestamp::now())).await;
    }

    /// Sets the end of the window of a batch.
    async fn set_end_of_window(&self, path: &str, at: Timestamp) {
        let id: BatchId = path.rsplit('/').next().unwrap().parse().unwrap();
        let mut batch = self.cloud.store().batches().get(id).await.unwrap().unwrap();
        batch.record.expires_at = at;
        assert!(self.cloud.store().batches().replace(&mut batch).await.unwrap());
    }

    /// A batch in progress that has saved results, whose worker was killed; with its path.
    async fn interrupted_batch(&self, vendor: &Vendor, count: usize) -> (String, Value) {
        let path = create(&self.client, &questions("rig:big", count), CHAT, &json!({})).await;
        let worker = self.worker_with(vendor).await;
        let saved = async || {
            let batch = self.batch(&path).await;
            (batch["request_counts"]["completed"].as_u64()? > 0).then_some(batch)
        };
        let batch = tokio::select! {
            _ = self.cloud.work(&worker) => panic!("the batch has ended too early"),
            batch = eventually("saved results", saved) => batch,
        };
        drop(worker);
        (path, batch)
    }
}

#[tokio::test]
async fn worker_carries_out_batches_of_both_dialects() {
    let world = World::start(Cloud::start().await).await;
    let worker = world.cloud.function(WORKER).await;
    let mut lines = questions("auto", 6);
    lines.push(crate::line("bad", CHAT, &json!({"model": "auto", "messages": []})));
    let path = create(&world.client, &lines, CHAT, &json!({})).await;
    let batch = world.ended(&worker, &path).await;
    assert_eq!(batch["request_counts"], json!({"total": 7, "completed": 6, "failed": 1}), "{batch}");
    assert_eq!(results(&world.client, &batch).await.len(), 7);

    let item = |id: &str| {
        let messages = json!([{"role": "user", "content": "Hello!"}]);
        json!({"custom_id": id, "params": {"model": "auto", "max_tokens": 8, "messages": messages}})
    };
    let path = world.create_messages(&[item("a"), item("b")]).await;
    let batch = world.ended(&worker, &path).await;
    assert_eq!(batch["request_counts"]["succeeded"], 2, "{batch}");
    let lines = parse_lines(&world.client.get(&format!("{path}/results")).await);
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["result"]["type"] == "succeeded"), "{lines:?}");
    assert_eq!(world.client.delete(&path).await.status, 200);
}

#[tokio::test]
async fn batch_goes_on_after_its_worker_was_killed() {
    let world = World::start(Cloud::start_without_node().await).await;
    let vendor = Vendor::start(Duration::from_millis(100)).await;
    let count = 80;
    let path = create(&world.client, &questions("rig:big", count), CHAT, &json!({})).await;
    for reached in [12, 40] {
        let worker = world.worker_with(&vendor).await;
        tokio::select! {
            _ = world.cloud.work(&worker) => panic!("the batch has ended too early"),
            () = eventually("requests of the batch", async || (vendor.count() >= reached).then_some(())) => {}
        }
        // It is killed with its process.
        drop(worker);
        world.end_lease(&world.batch(&path).await).await;
    }
    let worker = world.worker_with(&vendor).await;
    let batch = world.ended(&worker, &path).await;
    assert_eq!(batch["request_counts"], json!({"total": count, "completed": count, "failed": 0}), "{batch}");
    let results = results(&world.client, &batch).await;
    for number in 0..count {
        let text = &results[&format!("r{number}")]["response"]["body"]["choices"][0]["message"]["content"];
        assert_eq!(*text, format!("What is {number} and {number}?"));
    }
    assert!(vendor.count() <= count + 2 * 2 * 4, "{} requests", vendor.count());
}

#[tokio::test]
async fn cancelled_batch_of_the_night_ends_by_the_next_message() {
    let world = World::start(Cloud::start_without_node().await).await;
    let night = crate::hours(720, 722);
    let worker = world.cloud.function_with(WORKER, &[("HEARTH_BATCHES__NIGHT", &night)]).await;
    let path = create(&world.client, &questions("auto", 3), CHAT, &json!({"when": "night"})).await;
    world.cloud.work(&worker).await;
    assert_eq!(world.batch(&path).await["waits_for"], "night");
    let cancel = world.client.request(Method::POST, &format!("{path}/cancel"));
    assert_eq!(path_of(&world.client.send(cancel).await.json()), path);
    let batch = world.ended(&worker, &path).await;
    assert_eq!((&batch["status"], results(&world.client, &batch).await.len()), (&json!("cancelled"), 3));
}

#[tokio::test]
async fn batch_that_waits_is_looked_at_and_expires_at_the_end_of_its_window() {
    let world = World::start(Cloud::start_without_node().await).await;
    let night = crate::hours(720, 722);
    let worker = world.cloud.function_with(WORKER, &[("HEARTH_BATCHES__NIGHT", &night)]).await;
    let path = create(&world.client, &questions("auto", 3), CHAT, &json!({"when": "night"})).await;
    // Before the night, and before the next look at a batch that waits for it.
    let end = Timestamp::now().plus(Duration::from_secs(120));
    world.set_end_of_window(&path, end).await;
    world.cloud.work(&worker).await;
    let batch = world.batch(&path).await;
    assert_eq!((&batch["status"], &batch["waits_for"]), (&json!("in_progress"), &json!("night")), "{batch}");
    let work = world.job_of(&batch).await.work.unwrap();
    let late = end.until(work.start_at);
    assert!(late < Duration::from_secs(5), "the next slice begins {late:?} after the end of the window");

    // Two minutes later.
    world.set_end_of_window(&path, Timestamp::now()).await;
    world.sweep_after(&batch, |work| work.start_at = Timestamp::now()).await;
    let batch = world.ended(&worker, &path).await;
    assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("expired"), &Value::Null), "{batch}");
    let results = results(&world.client, &batch).await;
    assert_eq!(results.len(), 3);
    assert!(results.values().all(|result| result["error"]["code"] == "batch_expired"), "{results:?}");
}

#[tokio::test]
async fn batch_whose_worker_died_before_the_end_of_its_window_expires_with_its_results() {
    let world = World::start(Cloud::start_without_node().await).await;
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let (path, batch) = world.interrupted_batch(&vendor, 300).await;
    world.set_end_of_window(&path, Timestamp::now()).await;
    world.end_lease(&batch).await;
    let worker = world.worker_with(&vendor).await;
    let batch = world.ended(&worker, &path).await;
    assert_eq!(batch["status"], "expired", "{batch}");
    let completed = batch["request_counts"]["completed"].as_u64().unwrap();
    let results = results(&world.client, &batch).await;
    let expired = results.values().filter(|result| result["error"]["code"] == "batch_expired").count() as u64;
    assert!((1..300).contains(&completed), "{batch}");
    assert_eq!((results.len(), expired), (300, 300 - completed));
}

#[tokio::test]
async fn batch_whose_job_expires_keeps_the_results_so_far() {
    let world = World::start(Cloud::start_without_node().await).await;
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let (path, batch) = world.interrupted_batch(&vendor, 300).await;
    // The sweep may not write the files of the results: it has the worker end the job.
    world
        .sweep_after(&batch, |work| {
            (work.leased_until, work.expires_at) = (Some(Timestamp::now()), Timestamp::now());
        })
        .await;
    let worker = world.worker_with(&vendor).await;
    let batch = world.ended(&worker, &path).await;
    assert_eq!(batch["status"], "expired", "{batch}");
    let completed = batch["request_counts"]["completed"].as_u64().unwrap();
    assert!((1..300).contains(&completed), "{batch}");
    assert_eq!(results(&world.client, &batch).await.len() as u64, completed);
}

#[tokio::test]
async fn results_of_many_parts_become_one_file() {
    let world = World::start(Cloud::start_without_node().await).await;
    // Each answer has a mebibyte; parts of results, and those of an upload to the bucket, have eight.
    let repetitions = (1 << 20) / "What is 0 and 0?".len();
    let vendor = Vendor::start_wordy(repetitions).await;
    let worker = world.worker_with(&vendor).await;
    let path = create(&world.client, &questions("rig:big", 20), CHAT, &json!({})).await;
    let batch = world.ended(&worker, &path).await;
    assert_eq!(batch["request_counts"], json!({"total": 20, "completed": 20, "failed": 0}), "{batch}");
    let file =
        world.client.get(&format!("/v1/files/{}", batch["output_file_id"].as_str().unwrap())).await.json();
    assert!(file["bytes"].as_u64().unwrap() > 20 << 20, "{file}");
    let results = results(&world.client, &batch).await;
    for number in 0..20 {
        let text = &results[&format!("r{number}")]["response"]["body"]["choices"][0]["message"]["content"];
        let expected = format!("What is {number} and {number}?").repeat(repetitions);
        assert!(*text == expected, "the answer to {number} has {} bytes", text.to_string().len());
    }
    assert_eq!(vendor.most_repeated(), 1, "a request was sent twice");

    let item = |number: usize| {
        let messages = json!([{"role": "user", "content": format!("Who is {number} or {number}?")}]);
        json!({"custom_id": format!("m{number}"), "params": {"model": "rig:big", "max_tokens": 8, "messages": messages}})
    };
    let path = world.create_messages(&(0..10).map(item).collect::<Vec<_>>()).await;
    let batch = world.ended(&worker, &path).await;
    assert_eq!(batch["request_counts"]["succeeded"], 10, "{batch}");
    let answer = world.client.get(&format!("{path}/results")).await;
    assert!(answer.body.len() > 8 << 20, "{} bytes", answer.body.len());
    let lines = parse_lines(&answer);
    let mut ids: Vec<_> = lines.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..10).map(|number| format!("m{number}")).collect::<Vec<_>>());
    // The objects of the parts are deleted with the end.
    let parts = world.cloud.objects("batches/").await;
    assert!(parts.is_empty(), "{parts:?}");
}
