//! A gateway with sessions, which are made through its API.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Request;
use crate::{client, hearth::text, process::Process, rounds::Named};

/// Conversations of one import: a body has 10 MB at most.
const IMPORT_MAX_COUNT: usize = 250;
/// Distance of two sessions that are asked for one after the other: a prime, so that all are.
const STRIDE: usize = 7919;

/// A gateway.
#[derive(Debug)]
pub(super) struct Subject {
    name: &'static str,
    url: String,
    token: String,
    http: reqwest::Client,
    process: Process,
    sessions: Vec<String>,
}

impl Named for Subject {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl Subject {
    pub(super) async fn start(name: &'static str, hearth: &Path) -> Result<Self> {
        let mut process = Process::start(hearth, |command, folder| {
            command.args(["up", "--no-node", "--json", "--port", "0", "--data"]).arg(folder.join("data"));
        })?;
        let ready = process.ready().await?;
        let (url, token) = (text(&ready, "url")?, text(&ready, "token")?);
        Ok(Self { name, url, token, http: client::http()?, process, sessions: Vec::new() })
    }

    /// Makes sessions by imports.
    pub(super) async fn fill(mut self, count: usize, messages: usize) -> Result<Self> {
        eprintln!("{}: {count} sessions of {messages} messages", self.name);
        while self.sessions.len() < count {
            let first = self.sessions.len();
            let last = count.min(first + IMPORT_MAX_COUNT);
            let file: Vec<Value> = (first..last).map(|number| conversation(number, messages)).collect();
            let report = self.send(self.http.post(self.at("/v1/sessions/import")).json(&file)).await?;
            let imported = report["imported"].as_array().context("no sessions were imported")?;
            ensure!(imported.len() == last - first, "not all were imported: {}", report["skipped"]);
            let ids = imported.iter().filter_map(|session| session["id"].as_str().map(str::to_owned));
            self.sessions.extend(ids);
        }
        Ok(self)
    }

    /// The time of a request in milliseconds.
    pub(super) async fn time(&self, request: Request, number: usize) -> Result<f64> {
        let session = &self.sessions[number * STRIDE % self.sessions.len()];
        let request = match request {
            Request::List => self.http.get(self.at("/v1/sessions?limit=50")),
            Request::Get => self.http.get(self.at(&format!("/v1/sessions/{session}"))),
            Request::Append => {
                let items = json!({"items": [{"role": "user", "content": "One more message."}]});
                self.http.post(self.at(&format!("/v1/conversations/{session}/items"))).json(&items)
            }
        };
        let began = Instant::now();
        self.send(request).await?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.process.stop().await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request.bearer_auth(&self.token).send().await.context("no answer")?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).context(text)
    }
}

/// A conversation of Open WebUI's export.
fn conversation(number: usize, messages: usize) -> Value {
    let id = |message: usize| format!("{number}-{message}");
    let all = (0..messages).map(|message| {
        let role = if message.is_multiple_of(2) { "user" } else { "assistant" };
        let fields = json!({
            "id": id(message),
            "parentId": message.checked_sub(1).map(id),
            "childrenIds": if message + 1 < messages { vec![id(message + 1)] } else { Vec::new() },
            "role": role,
            "content": format!("Message {message} of the conversation {number}, with some more words to read."),
            "timestamp": 1_700_000_000 + number * 60 + message,
        });
        (id(message), fields)
    });
    let all: serde_json::Map<String, Value> = all.collect();
    let at = 1_700_000_000 + number * 60;
    json!({
        "id": format!("conversation-{number}"), "title": format!("Conversation {number}"),
        "created_at": at, "updated_at": at,
        "chat": {
            "title": format!("Conversation {number}"),
            "history": {"messages": all, "currentId": id(messages - 1)},
        },
    })
}
