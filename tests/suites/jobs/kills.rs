//! `hearth up` is killed while it carries out jobs: each has exactly one end.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream};
use hearth_tests::{Client, Home, WebhookReceiver, WebhookReply};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    get, in_state, job, job_with, submit,
    vendor::Vendor,
    webhooks::{SETTINGS, delivered},
};

/// Submissions in flight.
const SUBMISSIONS: usize = 32;

#[tokio::test]
async fn answer_of_a_killed_process_is_not_asked_for_again() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    // The first has its answer, the second has none when the process dies.
    let (first, second) = (submit(&client, &job("once")).await, submit(&client, &job("wait")).await);
    let ended = in_state(&client, &first, "completed").await;
    vendor.has_received(2).await;
    let home = home.crash_and_restart().await;
    let client = home.client();
    assert_eq!(get(&client, &first).await, ended);
    vendor.open();
    let ended = in_state(&client, &second, "completed").await;
    assert_eq!(ended["work"]["result"]["output"]["text"], "wait", "{ended}");
    assert_eq!(vendor.counts()["once"], 1);
    home.stop().await;
}

#[tokio::test]
async fn orderly_stop_leaves_jobs_to_the_next_start() {
    let vendor = Vendor::start().await;
    let home = vendor.home("[jobs]\nconcurrency = 2").await;
    let client = home.client();
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(submit(&client, &job_with(&format!("wait {number}"), &json!({"max_attempts": 1}))).await);
    }
    vendor.has_received(2).await;
    let home = home.restart().await;
    vendor.open();
    let client = home.client();
    for id in &ids {
        let ended = in_state(&client, id, "completed").await;
        assert_eq!(ended["work"]["result"]["finish_reason"], "stop", "{ended}");
    }
    home.stop().await;
}

#[tokio::test]
async fn generation_in_progress_at_kills_has_one_end_and_one_event() {
    let result = end_after_kills(job("wait")).await;
    assert_eq!(result["output"]["text"], "wait", "{result}");
}

#[tokio::test]
async fn analysis_in_progress_at_kills_has_one_end_and_one_event() {
    // The vendor repeats the prompt, which fits the schema.
    let data = json!({"answer": "wait"});
    let schema =
        json!({"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]});
    let input = json!({"prompt": data.to_string(), "schema": schema, "options": {"model": "vendor:big"}});
    let result = end_after_kills(json!({"kind": "analyze", "input": input})).await;
    assert_eq!((&result["data"], &result["validation_status"]), (&data, &json!("passed")), "{result}");
}

/// Submits a job for which the vendor waits, and kills `hearth up` twice before the answer, and once more while it delivers the
/// event of the end. Returns the result.
async fn end_after_kills(mut body: Value) -> Value {
    let (vendor, receiver) = (Vendor::start().await, WebhookReceiver::start().await);
    let mut home = vendor.home(SETTINGS).await;
    // A process that dies costs no attempt.
    body["max_attempts"] = json!(1);
    body["webhook"] = json!({"url": receiver.url, "events": ["job.*"]});
    let id = submit(&home.client(), &body).await;
    for requests in 1..=2 {
        vendor.has_received(requests).await;
        assert_eq!(get(&home.client(), &id).await["state"], "running");
        home = home.crash_and_restart().await;
    }
    receiver.reply(&[WebhookReply::Held(Arc::new(Notify::new()), 200)]);
    vendor.open();
    receiver.wait_for(1).await;
    let ended = in_state(&home.client(), &id, "completed").await;
    let home = home.crash_and_restart().await;
    let client = home.client();
    delivered(&home, 1).await;
    // One end, which the kill hasn't changed; one attempt, whose request is the last one.
    assert_eq!(get(&client, &id).await, ended);
    assert_eq!(client.get("/v1/jobs").await.json()["jobs"].as_array().map(Vec::len), Some(1));
    let attempts = ended["work"]["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["error"]), (1, &Value::Null), "{ended}");
    let request = attempts[0]["request_id"].as_str().unwrap();
    assert_eq!(client.get(&format!("/v1/requests/{request}")).await.json()["status"], "completed");
    assert_eq!(vendor.prompts().len(), 3);
    // The event comes again after the kill, with its id.
    let received = receiver.received();
    let ids: HashSet<&str> = received.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!((received.len(), ids.len()), (2, 1), "{received:?}");
    let event = received[1].json();
    assert_eq!((&event["type"], &event["subject"]), (&json!("job.completed"), &json!(id)));
    assert_eq!(event["data"], ended);
    let result = client.get(&format!("/v1/jobs/{id}/result")).await.json();
    assert_eq!(result, ended["work"]["result"]);
    home.stop().await;
    result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_jobs_have_one_end_each_across_kills() {
    have_one_end_each(1_000, &[500, 900, 1_300]).await;
}

/// Takes two minutes with a debug build on two cores.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; run it with --run-ignored"]
async fn ten_thousand_jobs_have_one_end_each_across_kills() {
    have_one_end_each(10_000, &[700, 1_900, 800, 2_500, 1_200, 3_100, 1_700, 900]).await;
}

/// Submits jobs, and kills `hearth up` after these milliseconds each.
async fn have_one_end_each(count: usize, kills: &[u64]) {
    let vendor = Vendor::start().await;
    let mut home = vendor.home("[jobs]\nmax_queued = 100000").await;
    let mut left: Vec<usize> = (0..count).collect();
    let mut jobs: HashMap<usize, String> = HashMap::new();
    for kill in kills.iter().map(Some).chain([None]) {
        let submissions = submit_all(&home, &left);
        let submitted = match kill {
            Some(kill) => {
                // The moment of the kill is the test's subject: it falls amid submissions and executions.
                let (sender, receiver) = tokio::sync::watch::channel(Vec::new());
                let submitting = submissions.for_each(|one| {
                    sender.send_modify(|submitted| submitted.extend(one));
                    futures::future::ready(())
                });
                let _ = tokio::time::timeout(Duration::from_millis(*kill), submitting).await;
                receiver.borrow().clone()
            }
            None => submissions.collect::<Vec<_>>().await.into_iter().flatten().collect(),
        };
        jobs.extend(submitted);
        left.retain(|number| !jobs.contains_key(number));
        if kill.is_some() {
            home = home.crash_and_restart().await;
        }
    }
    assert_eq!((jobs.len(), left.len()), (count, 0));
    let client = home.client();
    let ended = all_ended(&client, count).await;
    // A submission whose answer a kill has cut is repeated under its key: it is the same job.
    assert_eq!(ended.len(), count);
    for (number, id) in &jobs {
        let job = ended.get(id).unwrap_or_else(|| panic!("{id} is lost"));
        assert_eq!(job["state"], "completed", "{job}");
        let attempts = job["work"]["attempts"].as_array().unwrap();
        let last = attempts.last().unwrap();
        assert_eq!((&last["error"], last["ended_at"].is_null()), (&Value::Null, false), "{job}");
        if number % 50 == 0 {
            let result = client.get(&format!("/v1/jobs/{id}/result")).await.json();
            assert_eq!(result["output"]["text"], json!(format!("job {number}")));
            assert_eq!(result["request_id"], last["request_id"], "{job}");
        }
    }
    let counts = vendor.counts();
    let repeated: usize = counts.values().filter(|count| **count > 1).count();
    // Those in progress at a kill are asked for again, and no others.
    assert!(counts.len() == count && repeated <= kills.len() * 16, "{repeated} prompts came again");
    home.stop().await;
}

/// Submits jobs, each under its own key; yields those whose answers came.
fn submit_all(
    home: &Home,
    numbers: &[usize],
) -> impl futures::Stream<Item = Option<(usize, String)>> + use<> {
    let client = home.client();
    let numbers = numbers.to_vec();
    stream::iter(numbers)
        .map(move |number| {
            let client = client.clone();
            async move {
                let body = job_with(&format!("job {number}"), &json!({"max_attempts": 10}));
                let request = client.request(reqwest::Method::POST, "/v1/jobs");
                let request = request.header("idempotency-key", format!("key-{number}")).json(&body);
                // Other tests compare the answer with the OpenAPI document, which takes longer than the submission.
                let answer = request.send().await.ok()?;
                let (status, job) = (answer.status(), answer.json::<Value>().await.ok()?);
                assert_eq!(status, 202, "{job}");
                Some((number, job["id"].as_str().unwrap().to_owned()))
            }
        })
        .buffer_unordered(SUBMISSIONS)
}

/// True if no job is in progress or may start, by the gauges: a list of thousands of jobs takes long.
async fn is_idle(client: &Client) -> bool {
    let metrics = client.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let gauges = ["hearth_jobs_waiting{kind=\"generate\"} ", "hearth_jobs_in_progress "];
    gauges.iter().all(|gauge| text.lines().any(|line| line.strip_prefix(gauge) == Some("0")))
}

/// True if a job is in a state. A page is of the jobs that were read for it, so an empty one may have a next one.
async fn is_open(client: &Client, state: &str) -> bool {
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/v1/jobs?limit=1&state={state}{cursor}")).await.json();
        if !page["jobs"].as_array().unwrap().is_empty() {
            return true;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return false,
        }
    }
}

/// Waits until no job is open, and returns all jobs by their ids.
async fn all_ended(client: &Client, count: usize) -> HashMap<String, Value> {
    let seconds = 60 + count / 10;
    let waiting = async {
        while !is_idle(client).await || is_open(client, "running").await || is_open(client, "queued").await {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(seconds as u64), waiting).await;
    waited.unwrap_or_else(|_| panic!("jobs are open after {seconds} s"));
    let (mut jobs, mut cursor, mut ids) = (HashMap::new(), String::new(), HashSet::new());
    loop {
        let page = client.get(&format!("/v1/jobs?limit=200{cursor}")).await.json();
        for job in page["jobs"].as_array().unwrap() {
            let id = job["id"].as_str().unwrap().to_owned();
            assert!(ids.insert(id.clone()), "{id} is listed twice");
            jobs.insert(id, job.clone());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return jobs,
        }
    }
}
