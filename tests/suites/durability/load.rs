//! Clients that ask without a pause, and remember what they were given and when.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use hearth_tests::{Answer, Client};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How far the records may be behind the answers that clients have.
pub(crate) const RECORD_LAG_LIMIT: Duration = Duration::from_millis(50);

/// Something that a client was given.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    /// A whole answer: a run, and its text.
    Answer { id: String, text: String },
    /// The beginning of a streamed answer: a run's id, and the text up to where it broke off.
    Beginning { id: String, text: String },
    /// A run that goes on without its client.
    Accepted { id: String },
    /// A response that a next request may go on from.
    Response { id: String },
    /// A token.
    Token(String),
}

/// What all clients were given.
pub(crate) type Log = Arc<Mutex<Vec<(Instant, Given)>>>;

/// Clients at work.
pub(crate) struct Load {
    log: Log,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts some clients of every kind, of the node's model and of the vendor's.
    pub(crate) fn start(client: &Client, model: &str) -> Self {
        let mut load = Self { log: Log::default(), stop: Arc::default(), clients: JoinSet::new() };
        for model in [model, "vendor:big"] {
            for number in 0..4 {
                let streams = number % 2 == 0;
                load.spawn(client, model, move |client, model, log| chat(client, model, streams, log));
            }
            load.spawn(client, model, accept);
            load.spawn(client, model, respond);
        }
        load.spawn(client, model, make_token);
        load
    }

    fn spawn<F>(
        &mut self,
        client: &Client,
        model: &str,
        ask: impl Fn(Client, String, Log) -> F + Send + 'static,
    ) where
        F: Future<Output = Option<()>> + Send,
    {
        let (client, model) = (client.clone(), model.to_owned());
        let (log, stop) = (Arc::clone(&self.log), Arc::clone(&self.stop));
        self.clients.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if ask(client.clone(), model.clone(), Arc::clone(&log)).await.is_none() {
                    // The server is gone, or refuses.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }

    /// How many things were given so far.
    pub(crate) fn count(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Waits for the clients to notice that the server is gone; what they were given.
    pub(crate) async fn end(mut self) -> Vec<(Instant, Given)> {
        self.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        self.log.lock().unwrap().clone()
    }
}

fn note(log: &Log, given: Given) {
    log.lock().unwrap().push((Instant::now(), given));
}

fn prompt() -> String {
    format!("Tell me a story about {:?}", Instant::now())
}

async fn post(client: &Client, path: &str, body: &Value, status: u16) -> Option<Answer> {
    let answer = client.try_send(client.request(Method::POST, path).json(body)).await.ok()?;
    (answer.status == status).then_some(answer)
}

async fn chat(client: Client, model: String, streams: bool, log: Log) -> Option<()> {
    let messages = json!([{"role": "user", "content": prompt()}]);
    let body = json!({"model": model, "messages": messages, "max_tokens": 24, "stream": streams});
    if !streams {
        let answer = post(&client, "/v1/chat/completions", &body, 200).await?;
        let text = answer.json()["choices"][0]["message"]["content"].as_str()?.to_owned();
        note(&log, Given::Answer { id: answer.header("x-request-id").to_owned(), text });
        return Some(());
    }
    let answer = client.request(Method::POST, "/v1/chat/completions").json(&body).send().await.ok()?;
    if answer.status() != 200 {
        return None;
    }
    let id = answer.headers()["x-request-id"].to_str().ok()?.to_owned();
    let mut bytes = answer.bytes_stream();
    let mut read = Vec::new();
    while let Some(piece) = bytes.next().await {
        match piece {
            Ok(piece) => read.extend_from_slice(&piece),
            Err(_) => break,
        }
    }
    let read = String::from_utf8_lossy(&read).into_owned();
    let frames =
        read.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let (mut text, mut failed) = (String::new(), false);
    for frame in frames {
        failed |= frame.get("error").is_some();
        text.push_str(frame["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    let is_whole = read.contains("data: [DONE]") && !failed;
    note(&log, if is_whole { Given::Answer { id, text } } else { Given::Beginning { id, text } });
    is_whole.then_some(())
}

async fn accept(client: Client, model: String, log: Log) -> Option<()> {
    let body = json!({"model": model, "input": {"prompt": prompt()}, "parameters": {"max_tokens": 24}});
    let request = client.request(Method::POST, "/v1/generate").json(&body).header("prefer", "respond-async");
    let answer = client.try_send(request).await.ok()?;
    if answer.status != 202 {
        return None;
    }
    note(&log, Given::Accepted { id: answer.json()["request_id"].as_str()?.to_owned() });
    Some(())
}

async fn respond(client: Client, model: String, log: Log) -> Option<()> {
    let body = json!({"model": model, "input": prompt(), "max_output_tokens": 16});
    let answer = post(&client, "/v1/responses", &body, 200).await?;
    note(&log, Given::Response { id: answer.json()["id"].as_str()?.to_owned() });
    Some(())
}

async fn make_token(client: Client, _model: String, log: Log) -> Option<()> {
    let answer =
        post(&client, "/v1/users/tokens", &json!({"name": "t", "scopes": ["generate"]}), 201).await?;
    note(&log, Given::Token(answer.json()["token"].as_str()?.to_owned()));
    Some(())
}

/// Looks for everything that was given before `at`; the faults, and how many were looked for.
pub(crate) async fn faults(
    client: &Client,
    given: Vec<(Instant, Given)>,
    at: Instant,
) -> (Vec<String>, usize) {
    let (mut faults, mut count) = (Vec::new(), 0);
    for (time, given) in given {
        let age = at.saturating_duration_since(time);
        // What is given later has waited for its record; an answer needn't.
        let is_due = match &given {
            Given::Answer { .. } => age > RECORD_LAG_LIMIT,
            _ => true,
        };
        if !is_due {
            continue;
        }
        count += 1;
        if let Some(fault) = fault(client, &given).await {
            faults.push(format!("{fault}, given {} ms before: {given:?}", age.as_millis()));
        }
    }
    (faults, count)
}

async fn fault(client: &Client, given: &Given) -> Option<String> {
    let run = async |id: &str| client.get(&format!("/v1/requests/{id}")).await;
    match given {
        Given::Answer { id, text } => {
            let answer = run(id).await;
            if answer.status != 200 {
                return Some(format!("an answered run is {}", answer.status));
            }
            let record = answer.json();
            let stored = record["output"]["text"].as_str().unwrap_or_default();
            (record["status"] != "completed" || stored != text)
                .then(|| format!("an answered run is {} with {stored:?}", record["status"]))
        }
        Given::Beginning { id, text } => {
            let answer = run(id).await;
            if answer.status != 200 {
                return Some(format!("a streamed run is {}", answer.status));
            }
            let record = answer.json();
            let stored = record["output"]["text"].as_str().unwrap_or_default();
            let is_same = stored.starts_with(text.as_str()) || text.starts_with(stored);
            (record["finished_at"].is_null() || !is_same)
                .then(|| format!("a streamed run that was cut is {} with {stored:?}", record["status"]))
        }
        Given::Accepted { id } => {
            let answer = run(id).await;
            (answer.status != 200).then(|| format!("an accepted run is {}", answer.status))
        }
        Given::Response { id } => {
            let answer = client.get(&format!("/v1/responses/{id}")).await;
            (answer.status != 200).then(|| format!("a response is {}", answer.status))
        }
        Given::Token(token) => {
            let answer =
                client.with_token(Some(token)).get("/v1/requests/req_01JDB4T6ZW3Q8N5XKM2C7V9RHF").await;
            (answer.status != 404).then(|| format!("a token is refused with {}", answer.status))
        }
    }
}
