//! Clients that send requests without a pause, and log what they receive.

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

/// Maximum time between the delivery of an answer and its record.
pub(crate) const RECORD_LAG_LIMIT: Duration = Duration::from_millis(50);

/// Something that a client has received.
#[derive(Debug, Clone)]
pub(crate) enum Received {
    /// A whole answer: a run, and its text.
    Answer { id: String, text: String },
    /// The beginning of a streamed answer: a run's id, and the text up to the break.
    Beginning { id: String, text: String },
    /// A run that continues without its client.
    Accepted { id: String },
    /// A response that a next request can continue.
    Response { id: String },
    /// A token.
    Token(String),
}

/// Everything that all clients have received, with the times.
pub(crate) type Log = Arc<Mutex<Vec<(Instant, Received)>>>;

/// Running clients.
pub(crate) struct Load {
    log: Log,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts some clients of every kind, for the node's model and the vendor's.
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
                    // The server has ended, or refuses the request.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }

    /// Number of received things.
    pub(crate) fn count(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Stops the clients, and returns everything that they have received.
    pub(crate) async fn end(mut self) -> Vec<(Instant, Received)> {
        self.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        self.log.lock().unwrap().clone()
    }
}

fn record(log: &Log, received: Received) {
    log.lock().unwrap().push((Instant::now(), received));
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
        record(&log, Received::Answer { id: answer.header("x-request-id").to_owned(), text });
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
    record(&log, if is_whole { Received::Answer { id, text } } else { Received::Beginning { id, text } });
    is_whole.then_some(())
}

async fn accept(client: Client, model: String, log: Log) -> Option<()> {
    let body = json!({"model": model, "input": {"prompt": prompt()}, "parameters": {"max_tokens": 24}});
    let request = client.request(Method::POST, "/v1/generate").json(&body).header("prefer", "respond-async");
    let answer = client.try_send(request).await.ok()?;
    if answer.status != 202 {
        return None;
    }
    record(&log, Received::Accepted { id: answer.json()["request_id"].as_str()?.to_owned() });
    Some(())
}

async fn respond(client: Client, model: String, log: Log) -> Option<()> {
    let body = json!({"model": model, "input": prompt(), "max_output_tokens": 16});
    let answer = post(&client, "/v1/responses", &body, 200).await?;
    record(&log, Received::Response { id: answer.json()["id"].as_str()?.to_owned() });
    Some(())
}

async fn make_token(client: Client, _model: String, log: Log) -> Option<()> {
    let answer =
        post(&client, "/v1/users/tokens", &json!({"name": "t", "scopes": ["generate"]}), 201).await?;
    record(&log, Received::Token(answer.json()["token"].as_str()?.to_owned()));
    Some(())
}

/// Checks everything that was received before `at`. `delay`: the time for which no thread could run. Returns the faults, and the
/// number of checks.
pub(crate) async fn faults(
    client: &Client,
    received: Vec<(Instant, Received)>,
    at: Instant,
    delay: Duration,
) -> (Vec<String>, usize) {
    let (mut faults, mut count) = (Vec::new(), 0);
    for (time, received) in received {
        let age = at.saturating_duration_since(time);
        // Everything but an answer is sent after it was recorded.
        let is_due = match &received {
            Received::Answer { .. } => age > RECORD_LAG_LIMIT + delay,
            _ => true,
        };
        if !is_due {
            continue;
        }
        count += 1;
        if let Some(fault) = fault(client, &received).await {
            faults.push(format!("{fault}, received {} ms before: {received:?}", age.as_millis()));
        }
    }
    (faults, count)
}

async fn fault(client: &Client, received: &Received) -> Option<String> {
    let run = async |id: &str| client.get(&format!("/v1/requests/{id}")).await;
    match received {
        Received::Answer { id, text } => {
            let answer = run(id).await;
            if answer.status != 200 {
                return Some(format!("an answered run is {}", answer.status));
            }
            let record = answer.json();
            let stored = record["output"]["text"].as_str().unwrap_or_default();
            (record["status"] != "completed" || stored != text)
                .then(|| format!("an answered run is {} with {stored:?}", record["status"]))
        }
        Received::Beginning { id, text } => {
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
        Received::Accepted { id } => {
            let answer = run(id).await;
            (answer.status != 200).then(|| format!("an accepted run is {}", answer.status))
        }
        Received::Response { id } => {
            let answer = client.get(&format!("/v1/responses/{id}")).await;
            (answer.status != 200).then(|| format!("a response is {}", answer.status))
        }
        Received::Token(token) => {
            let answer =
                client.with_token(Some(token)).get("/v1/requests/req_01JDB4T6ZW3Q8N5XKM2C7V9RHF").await;
            (answer.status != 404).then(|| format!("a token is refused with {}", answer.status))
        }
    }
}
