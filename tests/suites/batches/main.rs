//! Batches in both dialects: results, faults, waits, cancellation and kills, at home and in the cloud.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod cloud;
mod commands;
mod erasure;
mod faults;
mod kills;
mod lifecycle;
mod messages;
mod refusals;
mod results;
mod vendor;
mod waits;

use std::collections::BTreeMap;

use hearth_domain::Timestamp;
use hearth_tests::{Answer, Client, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// A line of an input.
fn line(custom_id: &str, url: &str, body: &Value) -> String {
    json!({"custom_id": custom_id, "method": "POST", "url": url, "body": body}).to_string()
}

/// A request for a short answer of a model.
fn question(model: &str, text: &str) -> Value {
    json!({"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": text}]})
}

/// Lines of requests to a model, with the ids `r0`, `r1` and so on.
fn questions(model: &str, count: usize) -> Vec<String> {
    let body = |number| question(model, &format!("What is {number} and {number}?"));
    (0..count).map(|number| line(&format!("r{number}"), CHAT, &body(number))).collect()
}

/// Uploads an input; returns its id.
async fn upload(client: &Client, lines: &[String]) -> String {
    let mut body = Vec::new();
    body.extend(b"--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n");
    body.extend(b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n");
    body.extend(lines.join("\n").as_bytes());
    body.extend(b"\r\n--x--\r\n");
    let request = client.request(Method::POST, "/v1/files");
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(body);
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn try_create(client: &Client, file: &str, endpoint: &str, options: &Value) -> Answer {
    let mut body = json!({"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"});
    body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    client.post("/v1/batches", &body).await
}

/// Creates a batch; returns its path.
async fn create(client: &Client, lines: &[String], endpoint: &str, options: &Value) -> String {
    let file = upload(client, lines).await;
    let answer = try_create(client, &file, endpoint, options).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    path_of(&answer.json())
}

fn path_of(batch: &Value) -> String {
    format!("/v1/batches/{}", batch["id"].as_str().unwrap())
}

/// Waits for the end of a batch, and returns it.
async fn ended(client: &Client, path: &str) -> Value {
    eventually(&format!("the end of {path}"), async || {
        let batch = client.get(path).await.json();
        let status = batch["status"].as_str()?;
        ["completed", "failed", "expired", "cancelled"].contains(&status).then_some(batch)
    })
    .await
}

/// The lines of a file of results; none for a batch without it.
async fn lines_of(client: &Client, file: &Value) -> Vec<Value> {
    let Some(id) = file.as_str() else { return Vec::new() };
    let answer = client.get(&format!("/v1/files/{id}/content")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    parse_lines(&answer)
}

fn parse_lines(answer: &Answer) -> Vec<Value> {
    let text = std::str::from_utf8(&answer.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Hours that begin `from` and end `until` minutes from now.
fn hours(from: i64, until: i64) -> String {
    let now = Timestamp::now().unix().rem_euclid(86_400) / 60;
    let clock = |minute: i64| format!("{:02}:{:02}", minute.rem_euclid(1440) / 60, minute.rem_euclid(60));
    format!("{}-{}", clock(now + from), clock(now + until))
}

/// The results of both files by their ids, of which none occurs twice.
async fn results(client: &Client, batch: &Value) -> BTreeMap<String, Value> {
    let mut results = BTreeMap::new();
    for file in ["output_file_id", "error_file_id"] {
        for line in lines_of(client, &batch[file]).await {
            let id = line["custom_id"].as_str().unwrap().to_owned();
            assert!(results.insert(id, line.clone()).is_none(), "two results: {line}");
        }
    }
    results
}
