//! A vendor that repeats each prompt after a while, once or many times, and counts the requests for each.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, response::IntoResponse as _, routing::post};
use hearth_tests::{Home, Setup};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A running vendor.
pub(crate) struct Vendor {
    pub(crate) url: String,
    counts: Arc<Mutex<HashMap<String, usize>>>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Answering {
    counts: Arc<Mutex<HashMap<String, usize>>>,
    delay: Duration,
    /// The number of times that an answer has the prompt.
    repetitions: usize,
}

impl Vendor {
    /// A vendor that takes this time for an answer.
    pub(crate) async fn start(delay: Duration) -> Self {
        Self::start_with(delay, 1).await
    }

    /// A vendor whose answers have the prompt this many times.
    pub(crate) async fn start_wordy(repetitions: usize) -> Self {
        Self::start_with(Duration::ZERO, repetitions).await
    }

    async fn start_with(delay: Duration, repetitions: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let counts = Arc::<Mutex<HashMap<String, usize>>>::default();
        let answering = Answering { counts: Arc::clone(&counts), delay, repetitions };
        let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(answering);
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, counts, server }
    }

    /// A `hearth up` with the vendor's model `big`, and without a node.
    pub(crate) async fn home(&self, more: &str) -> Home {
        self.setup(more).without_node().start().await
    }

    /// A `hearth up` with the vendor's model `big`, and a node with the small model.
    pub(crate) async fn home_with_node(&self) -> Home {
        self.setup("").start().await
    }

    fn setup(&self, more: &str) -> Setup {
        let settings = format!(
            "{more}\n[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
            self.url
        );
        Setup::new().settings(&settings)
    }

    /// The number of requests that came.
    pub(crate) fn count(&self) -> usize {
        self.counts.lock().unwrap().values().sum()
    }

    /// The largest number of requests with the same prompt.
    pub(crate) fn most_repeated(&self) -> usize {
        self.counts.lock().unwrap().values().copied().max().unwrap_or_default()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(answering): State<Answering>, Json(body): Json<Value>) -> axum::response::Response {
    let prompt = body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
    *answering.counts.lock().unwrap().entry(prompt.clone()).or_default() += 1;
    tokio::time::sleep(answering.delay).await;
    let text = prompt.repeat(answering.repetitions);
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    if body["stream"] != true {
        let message = json!({"role": "assistant", "content": text});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        return Json(json!({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}))
            .into_response();
    }
    let chunk = |delta: Value, finish: Value, usage: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk =
            json!({"id": "x", "object": "chat.completion.chunk", "choices": [choice], "usage": usage});
        format!("data: {chunk}\n\n")
    };
    let text = chunk(json!({"role": "assistant", "content": text}), Value::Null, Value::Null);
    let end = chunk(json!({}), json!("stop"), usage);
    ([("content-type", "text/event-stream")], format!("{text}{end}data: [DONE]\n\n")).into_response()
}
