//! Jobs: shared, listed, paused, cancelled.

use futures::future::join_all;
use hearth_tests::eventually;
use serde_json::{Value, json};

use super::{
    MODEL, REPO, download, download_until, file, files, hub::Hub, id, job, job_in, message, start, usual,
};

#[tokio::test]
async fn twenty_callers_at_once_share_one_transfer() {
    let hub = Hub::closed().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let body = usual();
    let jobs = join_all((0..20).map(|_| download(&client, &body))).await;
    assert!(jobs.iter().all(|job| id(job) == id(&jobs[0])), "{jobs:?}");
    assert_eq!(client.get("/v1/jobs").await.json()["jobs"].as_array().unwrap().len(), 1);
    hub.open();
    let done = job_in(&client, id(&jobs[0]), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
    assert_eq!((&done["progress_pct"], &done["model"]), (&json!(100.0), &json!(MODEL)));
    // A connection for each range, and no further ones.
    let ranges = hub.ranges();
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    // The same source again is there at once, by the same job.
    let again = download(&client, &body).await;
    assert_eq!((id(&again), &again["state"]), (id(&done), &json!("completed")));
    assert_eq!(hub.ranges().len(), 4);
}

#[tokio::test]
async fn downloaded_model_is_listed_with_its_progress_and_then_serves() {
    let hub = Hub::closed().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let job = download(&client, &usual()).await;
    let listed = eventually("the model in the list", async || {
        let model = client.get(&format!("/v1/models/{MODEL}")).await;
        let model = (model.status == 200).then(|| model.json())?;
        (model["runtime_status"]["progress"].as_f64().unwrap_or_default() > 0.0).then_some(model)
    })
    .await;
    assert_eq!(listed["runtime_status"]["state"], "downloading", "{listed}");
    assert_eq!(listed["availability"], "unavailable");
    let downloading = client.get("/v1/models?status=downloading").await.json();
    assert_eq!(downloading["data"].as_array().unwrap().len(), 1, "{downloading}");
    hub.open();
    let done = job_in(&client, id(&job), "completed").await;
    assert_eq!(done["card"]["license"], "mit", "{done}");
    assert_eq!(done["card"]["recommended_parameters"], json!({"temperature": 0.6}));
    assert_eq!(done["file"], format!("{REPO}/{MODEL}.gguf"));
    eventually("an answer of the model", async || {
        let body = json!({"model": MODEL, "input": {"prompt": "Hi"}, "parameters": {"max_tokens": 2}});
        (client.post("/v1/generate", &body).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn paused_job_continues_where_it_stopped() {
    let hub = Hub::closed().await;
    let home = start(&hub, "connections = 1").await;
    let client = home.client();
    let started = download(&client, &usual()).await;
    let path = format!("/v1/jobs/{}", id(&started));
    let half = hub.content().len() / 2;
    eventually("the first half", async || {
        let job = job(&client, id(&started)).await;
        (job["done_bytes"].as_u64().unwrap() >= half as u64).then_some(())
    })
    .await;
    let paused = client.post(&format!("{path}/pause"), &json!({})).await;
    assert_eq!((paused.status.as_u16(), &paused.json()["state"]), (200, &json!("paused")), "{paused:?}");
    hub.open();
    assert_eq!(job(&client, id(&started)).await["state"], "paused");
    let resumed = client.post(&format!("{path}/resume"), &json!({})).await;
    assert_eq!(resumed.status, 200, "{resumed:?}");
    job_in(&client, id(&started), "completed").await;
    assert_eq!(file(&home).unwrap(), hub.content());
    assert_eq!(hub.ranges(), [None, Some(format!("bytes={half}-"))]);
    // One that has ended can't be paused or resumed, and a cancellation changes nothing.
    client.post(&format!("{path}/pause"), &json!({})).await.error(409, "conflict");
    assert_eq!(client.delete(&path).await.json()["state"], "completed");
}

#[tokio::test]
async fn cancelled_job_leaves_no_file() {
    let hub = Hub::closed().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let job = download(&client, &usual()).await;
    eventually("an unfinished file", async || (!files(&home).is_empty()).then_some(())).await;
    let answer = client.delete(&format!("/v1/jobs/{}", id(&job))).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["state"]), (200, &json!("cancelled")), "{answer:?}");
    eventually("no file", async || files(&home).is_empty().then_some(())).await;
    // A download of the same source afterwards is a new one.
    hub.open();
    let next = download_until(&client, &usual(), "completed").await;
    assert_ne!(id(&next), id(&job));
    assert_eq!(super::job(&client, id(&job)).await["state"], "cancelled");
}

#[tokio::test]
async fn cancellation_and_completion_agree_with_the_disk() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let client = home.client();
    for _ in 0..12 {
        let job = download(&client, &usual()).await;
        let cancelled = client.delete(&format!("/v1/jobs/{}", id(&job))).await.json();
        let state = cancelled["state"].as_str().unwrap().to_owned();
        assert!(["cancelled", "completed"].contains(&state.as_str()), "{cancelled}");
        let expected: &[&str] = if state == "completed" { &["tiny-Q8_0.gguf"] } else { &[] };
        eventually("the files of the state", async || (files(&home) == expected).then_some(())).await;
        // The state is final.
        assert_eq!(super::job(&client, id(&job)).await["state"], state);
        if state == "completed" {
            std::fs::remove_file(home.data().join("models").join(REPO).join("tiny-Q8_0.gguf")).unwrap();
        }
    }
}

#[tokio::test]
async fn jobs_beyond_the_parallel_ones_wait_in_the_order_of_their_priority() {
    let hub = Hub::closed().await;
    let home = start(&hub, "parallel = 1\nprivate_addresses = true").await;
    let client = home.client();
    let url = |name: &str| format!("{}/{name}.gguf", hub.url);
    let first = download(&client, &json!({"source": url("first")})).await;
    job_in(&client, id(&first), "running").await;
    let low = download(&client, &json!({"source": url("low"), "priority": "low"})).await;
    let high = download(&client, &json!({"source": url("high"), "priority": "high"})).await;
    assert_eq!((&low["state"], &high["state"]), (&json!("queued"), &json!("queued")));
    let queued = client.get("/v1/jobs?state=queued").await.json();
    let ids: Vec<_> = queued["jobs"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(ids, [id(&high), id(&low)], "newest first");
    client.delete(&format!("/v1/jobs/{}", id(&first))).await;
    job_in(&client, id(&high), "running").await;
    assert_eq!(job(&client, id(&low)).await["state"], "queued");
    hub.open();
    job_in(&client, id(&low), "completed").await;
}

#[tokio::test]
async fn list_has_pages_and_refuses_foreign_cursors() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let client = home.client();
    for number in 0..3 {
        let body = json!({"source": format!("owner/none-{number}")});
        download_until(&client, &body, "failed").await;
    }
    let mut cursor = String::new();
    let mut ids = Vec::new();
    loop {
        let page = client.get(&format!("/v1/jobs?limit=2{cursor}")).await.json();
        ids.extend(page["jobs"].as_array().unwrap().iter().map(|job| id(job).to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let mut sorted = ids.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!((ids.len(), &ids), (3, &sorted));
    client.get("/v1/jobs?cursor=forged").await.error(400, "invalid_request");
    client.get(&format!("/v1/jobs?state=failed{cursor}")).await.error(400, "invalid_request");
    for bad in ["limit=0", "limit=201", "limit=x", "state=odd", "unknown=1"] {
        client.get(&format!("/v1/jobs?{bad}")).await.error(400, "invalid_request");
    }
}

#[tokio::test]
async fn bad_request_names_its_field() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let client = home.client();
    for (body, field) in [
        (json!({}), "source"),
        (json!({"source": ""}), "source"),
        (json!({"source": 7}), "source"),
        (json!({"source": "x".repeat(5000)}), "source"),
        (json!({"source": "./m.gguf"}), "source"),
        (json!({"source": "s3://bucket/m.gguf"}), "source"),
        (json!({"source": "http://example.com/m.gguf"}), "source"),
        (json!({"source": "https://169.254.169.254/m.gguf"}), "source"),
        (json!({"source": REPO, "file": "../m.gguf"}), "file"),
        (json!({"source": REPO, "sha256": "abc"}), "sha256"),
        (json!({"source": REPO, "priority": "urgent"}), "priority"),
        (json!({"source": REPO, "node": "x"}), "node"),
        (json!({"source": REPO, "colour": "red"}), "colour"),
    ] {
        let answer = client.post("/v1/models/download", &body).await;
        let error = answer.error(400, "invalid_request");
        assert_eq!(error["param"], field, "{body}: {}", message(&answer));
    }
    let unknown = json!({"source": REPO, "node": "node_01J9ZX5V2QH8N4T6W0C3M7K1RB"});
    client.post("/v1/models/download", &unknown).await.error(404, "not_found");
    client.get("/v1/jobs/job_01J9ZX5V2QH8N4T6W0C3M7K1RB").await.error(404, "not_found");
    client.delete("/v1/jobs/job_01J9ZX5V2QH8N4T6W0C3M7K1RB").await.error(404, "not_found");
    client.get("/v1/jobs/x").await.error(404, "not_found");
    assert_eq!(client.get("/v1/jobs").await.json()["jobs"], json!([]));
}

#[tokio::test]
async fn pull_of_an_ollama_client_follows_the_download_and_the_model_has_its_name() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let lines = client.stream("/api/pull", &json!({"model": "tiny:q8"})).await.rest().await;
    let lines: Vec<Value> = lines.into_iter().map(|line| line.data).collect();
    assert_eq!(lines[0], json!({"status": "pulling manifest"}));
    let progress = lines.iter().find(|line| line["total"].is_u64()).unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!(progress["digest"], format!("sha256:{}", hub.sha256()));
    assert_eq!(lines.last(), Some(&json!({"status": "success"})), "{lines:?}");
    // The client uses the name that it has pulled.
    let shown = eventually("the model", async || {
        let shown = client.post("/api/show", &json!({"model": "tiny:q8"})).await;
        (shown.status == 200).then_some(shown)
    })
    .await;
    assert!(shown.json()["details"].is_object(), "{shown:?}");
    let again = client.post("/api/pull", &json!({"model": "tiny:q8", "stream": false})).await;
    assert_eq!(again.json(), json!({"status": "success"}));
    let missing = client.post("/api/pull", &json!({"model": "nobody", "stream": false})).await;
    assert_eq!(
        (missing.status.as_u16(), &missing.json()["code"]),
        (404, &json!("model_not_found")),
        "{missing:?}"
    );
    home.stop().await;
}
