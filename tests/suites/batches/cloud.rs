//! Batches in the cloud: the function `generate` creates them, and `worker` carries them out in slices, under its role.

use std::time::Duration;

use hearth_domain::{JobId, Timestamp};
use hearth_tests::{Client, Cloud, WORKER, eventually};
use lambda_emulator::{Emulator, Placement};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{CHAT, create, parse_lines, path_of, questions, results, vendor::Vendor};

const SWEEP: &str = "hearth-fn-sweep";

/// Has the worker carry out what the queues have, until a batch has ended.
async fn ended(cloud: &Cloud, worker: &Emulator, client: &Client, path: &str) -> Value {
    eventually(&format!("the end of {path}"), async || {
        cloud.work(worker).await;
        let batch = client.get(path).await.json();
        let has_ended = batch["completed_at"].is_u64() || batch["cancelled_at"].is_u64();
        (has_ended || batch["processing_status"] == "ended").then_some(batch)
    })
    .await
}

#[tokio::test]
async fn worker_carries_out_batches_of_both_dialects() {
    let cloud = Cloud::start().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let worker = cloud.function(WORKER).await;
    let mut lines = questions("auto", 6);
    lines.push(crate::line("bad", CHAT, &json!({"model": "auto", "messages": []})));
    let path = create(&client, &lines, CHAT, &json!({})).await;
    let batch = ended(&cloud, &worker, &client, &path).await;
    assert_eq!(batch["request_counts"], json!({"total": 7, "completed": 6, "failed": 1}), "{batch}");
    assert_eq!(results(&client, &batch).await.len(), 7);

    let item = |id: &str| {
        let messages = json!([{"role": "user", "content": "Hello!"}]);
        json!({"custom_id": id, "params": {"model": "auto", "max_tokens": 8, "messages": messages}})
    };
    let body = json!({"requests": [item("a"), item("b")]});
    let created = client.post("/v1/messages/batches", &body).await.json();
    let path = format!("/v1/messages/batches/{}", created["id"].as_str().unwrap());
    let batch = ended(&cloud, &worker, &client, &path).await;
    assert_eq!(batch["request_counts"]["succeeded"], 2, "{batch}");
    let lines = parse_lines(&client.get(&format!("{path}/results")).await);
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["result"]["type"] == "succeeded"), "{lines:?}");
    assert_eq!(client.delete(&path).await.status, 200);
}

/// A cloud, and a worker with the vendor's model `rig:big`.
async fn worker_with(cloud: &Cloud, vendor: &Vendor) -> Emulator {
    let rig =
        json!({"kind": "openai_compatible", "base_url": format!("{}/v1", vendor.url), "models": ["big"]});
    let routing = json!({"providers": {"rig": rig}}).to_string();
    cloud.function_with(WORKER, &[("HEARTH_ROUTING", &routing), ("HEARTH_BATCHES__CONCURRENCY", "4")]).await
}

#[tokio::test]
async fn batch_goes_on_after_its_worker_was_killed() {
    let cloud = Cloud::start_without_node().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let vendor = Vendor::start(Duration::from_millis(100)).await;
    let count = 80;
    let path = create(&client, &questions("rig:big", count), CHAT, &json!({})).await;
    for reached in [12, 40] {
        let worker = worker_with(&cloud, &vendor).await;
        tokio::select! {
            _ = cloud.work(&worker) => panic!("the batch has ended too early"),
            () = eventually("requests of the batch", async || (vendor.count() >= reached).then_some(())) => {}
        }
        // It is killed with its process.
        drop(worker);
        end_lease(&cloud, &client.get(&path).await.json()).await;
    }
    let worker = worker_with(&cloud, &vendor).await;
    let batch = ended(&cloud, &worker, &client, &path).await;
    assert_eq!(batch["request_counts"], json!({"total": count, "completed": count, "failed": 0}), "{batch}");
    let results = results(&client, &batch).await;
    for number in 0..count {
        let text = &results[&format!("r{number}")]["response"]["body"]["choices"][0]["message"]["content"];
        assert_eq!(*text, format!("What is {number} and {number}?"));
    }
    assert!(vendor.count() <= count + 2 * 2 * 4, "{} requests", vendor.count());
}

/// Ends the lease of a killed worker, and has the sweep send the job's message again.
async fn end_lease(cloud: &Cloud, batch: &Value) {
    let (jobs, id) = (cloud.store().jobs(), batch["job_id"].as_str().unwrap().parse::<JobId>().unwrap());
    let mut record = jobs.get(id).await.unwrap().unwrap();
    record.revision += 1;
    let work = record.work.as_mut().unwrap();
    (work.leased_until, work.look_at) = (Some(Timestamp::now()), Some(Timestamp::now()));
    assert!(jobs.replace(&record).await.unwrap());
    let sweep = cloud.function(SWEEP).await;
    let event = json!({"source": "aws.events", "detail-type": "Scheduled Event"});
    sweep.trigger(&event).await.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test]
async fn cancelled_batch_of_the_night_ends_by_the_next_message() {
    let cloud = Cloud::start_without_node().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let night = crate::hours(720, 722);
    let worker = cloud.function_with(WORKER, &[("HEARTH_BATCHES__NIGHT", &night)]).await;
    let path = create(&client, &questions("auto", 3), CHAT, &json!({"when": "night"})).await;
    cloud.work(&worker).await;
    assert_eq!(client.get(&path).await.json()["waits_for"], "night");
    let cancel = client.request(Method::POST, &format!("{path}/cancel"));
    assert_eq!(path_of(&client.send(cancel).await.json()), path);
    let batch = ended(&cloud, &worker, &client, &path).await;
    assert_eq!((&batch["status"], results(&client, &batch).await.len()), (&json!("cancelled"), 3));
}
