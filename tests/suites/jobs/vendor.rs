//! A vendor that repeats its prompts. By the words of a prompt it fails, refuses, or waits until the test lets it answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use hearth_tests::{Home, Setup};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// A running vendor.
pub(crate) struct Vendor {
    shared: Arc<Shared>,
    settings: String,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// The prompts that came, in order.
    prompts: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
    /// False: a prompt with `wait` has no answer yet.
    is_open: watch::Sender<bool>,
    /// True: a prompt with `down` fails.
    is_down: watch::Sender<bool>,
}

impl Vendor {
    /// Starts a vendor on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            prompts: Mutex::default(),
            count: watch::channel(0).0,
            is_open: watch::channel(false).0,
            is_down: watch::channel(true).0,
        });
        let router =
            Router::new().route("/v1/chat/completions", post(answer)).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        let settings = format!(
            "[limits]\nrequests_per_hour = 0\n[providers.vendor]\nkind = 'openai_compatible'\nbase_url = '{url}/v1'\napi_key = \
             'sk-vendor'\nmodels = ['big']\n"
        );
        Self { shared, settings, server }
    }

    /// Starts a `hearth up` without a node, which has the vendor's model.
    pub(crate) async fn home(&self, settings: &str) -> Home {
        let settings = format!("{settings}\n{}", self.settings);
        Setup::new().settings(&settings).arguments(&["--no-node"]).start().await
    }

    /// Lets the prompts with `wait` be answered.
    pub(crate) fn open(&self) {
        self.shared.is_open.send_replace(true);
    }

    /// Lets the prompts with `down` be answered.
    pub(crate) fn recover(&self) {
        self.shared.is_down.send_replace(false);
    }

    /// The prompts that came, in order.
    pub(crate) fn prompts(&self) -> Vec<String> {
        self.shared.prompts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of times that each prompt came.
    pub(crate) fn counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for prompt in self.prompts() {
            *counts.entry(prompt).or_default() += 1;
        }
        counts
    }

    /// Waits until this number of requests has come.
    pub(crate) async fn has_received(&self, count: usize) {
        let mut received = self.shared.count.subscribe();
        hearth_tests::within("requests at the vendor", async {
            received.wait_for(|received| *received >= count).await.unwrap();
        })
        .await;
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Response {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let prompt = messages.last().map(|message| text_of(&message["content"])).unwrap_or_default();
    shared.prompts.lock().unwrap_or_else(PoisonError::into_inner).push(prompt.clone());
    shared.count.send_modify(|count| *count += 1);
    let failed = |status: StatusCode| {
        (status, Json(json!({"error": {"message": "no", "type": "server_error"}}))).into_response()
    };
    if prompt.contains("broken") || (prompt.contains("down") && *shared.is_down.borrow()) {
        return failed(StatusCode::SERVICE_UNAVAILABLE);
    }
    if prompt.contains("bad") {
        return failed(StatusCode::BAD_REQUEST);
    }
    if prompt.contains("wait") {
        let _ = shared.is_open.subscribe().wait_for(|is_open| *is_open).await;
    }
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 3});
    if body["stream"] != true {
        let choice =
            json!({"index": 0, "message": {"role": "assistant", "content": prompt}, "finish_reason": "stop"});
        let whole = json!({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage});
        return Json(whole).into_response();
    }
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        json!({"id": "x", "object": "chat.completion.chunk", "choices": [choice]})
    };
    let frames = [
        chunk(json!({"content": prompt}), Value::Null),
        chunk(json!({}), json!("stop")),
        json!({"choices": [], "usage": usage}),
    ];
    let text: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    ([("content-type", "text/event-stream")], format!("{text}data: [DONE]\n\n")).into_response()
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        parts => parts[0]["text"].as_str().unwrap_or_default().to_owned(),
    }
}
