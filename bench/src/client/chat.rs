//! `POST /v1/chat/completions`, as both the gateway and llama-server have it.

use anyhow::{Context as _, Result, bail};
use eventsource_stream::Eventsource as _;
use futures::StreamExt as _;
use hearth_domain::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Ask, TEMPERATURE, TOP_K, Watch};

/// A server of the OpenAI dialect.
#[derive(Debug)]
pub(crate) struct Chat {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<ChunkUsage>,
    /// llama-server's own.
    timings: Option<Timings>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct ChunkUsage {
    prompt_tokens: u32,
    completion_tokens: u32,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Timings {
    cache_n: Option<u32>,
}

impl Chat {
    /// The server at `url`, which takes this token, if it takes one.
    pub(crate) fn new(url: &str, token: Option<String>) -> Result<Self> {
        Ok(Self { http: super::http()?, url: url.to_owned(), token })
    }

    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer> {
        let request = self.http.post(format!("{}/v1/chat/completions", self.url)).json(&body(ask));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let mut watch = Watch::start();
        let response = request.send().await.context("no answer")?;
        if !response.status().is_success() {
            bail!("{}: {}", response.status(), response.text().await.unwrap_or_default());
        }
        let (mut usage, mut cached) = (None, None);
        let mut events = response.bytes_stream().eventsource();
        while let Some(event) = events.next().await {
            let event = event.context("a stream broke off")?;
            if event.data == "[DONE]" {
                break;
            }
            let chunk: Chunk = serde_json::from_str(&event.data).with_context(|| event.data.clone())?;
            if let Some(error) = chunk.error {
                bail!("a stream failed: {error}");
            }
            if let Some(content) = chunk.choices.into_iter().next().and_then(|choice| choice.delta.content) {
                watch.text(&content);
            }
            usage = chunk.usage.or(usage);
            cached = chunk.timings.and_then(|timings| timings.cache_n).or(cached);
        }
        let usage = usage.context("a stream doesn't tell its usage")?;
        let details = usage.prompt_tokens_details.and_then(|details| details.cached_tokens);
        watch.answer(Usage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            cached_tokens: details.or(cached).unwrap_or(0),
            ..Usage::default()
        })
    }
}

fn body(ask: &Ask) -> Value {
    let turns = ask.turns.iter().map(|turn| json!({"role": turn.role.as_str(), "content": turn.text}));
    json!({
        "model": "auto",
        "messages": turns.collect::<Vec<_>>(),
        "stream": true,
        "stream_options": {"include_usage": true},
        "max_tokens": ask.max_tokens,
        "temperature": TEMPERATURE,
        "top_k": TOP_K,
        "seed": ask.seed,
        "ignore_eos": true,
    })
}
