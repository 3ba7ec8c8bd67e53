//! `hearth up` is killed while it carries out jobs: each has exactly one end.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use hearth_tests::{Client, Home};
use serde_json::{Value, json};

use crate::{get, in_state, job, job_with, submit, vendor::Vendor};

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
        ids.push(submit(&client, &job(&format!("wait {number}"))).await);
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
async fn thousand_jobs_have_one_end_each_across_kills() {
    have_one_end_each(1_000, &[500, 900, 1_300]).await;
}

/// Takes minutes in a debug build.
#[tokio::test]
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
                let answer = client.try_send(request).await.ok()?;
                assert_eq!(answer.status, 202, "{answer:?}");
                Some((number, answer.json()["id"].as_str().unwrap().to_owned()))
            }
        })
        .buffer_unordered(SUBMISSIONS)
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
        while is_open(client, "running").await || is_open(client, "queued").await {
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
