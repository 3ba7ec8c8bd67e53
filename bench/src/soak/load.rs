//! One client: a request after another, each to be read, left or cancelled.

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    DEADLINE, Soak,
    judge::{self, Outcome},
    report::Sent,
    stream::Stream,
};
use crate::{random::Random, words};

/// Behaviour of a client.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Reads the stream to its end.
    Stream,
    /// Waits for the answer in one piece.
    Whole,
    /// Goes away after so many events.
    Leave(u64),
    /// Cancels after so many events, and reads the stream to its end.
    Cancel(u64),
}

/// Sends one request after another until the time is over.
pub(super) async fn client(soak: &Soak, seed: u64) {
    let mut random = Random::new(seed);
    while !soak.is_over() {
        let manner = match random.below(20) {
            0..9 => Manner::Stream,
            9..14 => Manner::Whole,
            14..17 => Manner::Leave(random.below(20)),
            _ => Manner::Cancel(random.below(20)),
        };
        // Mostly short, some long.
        let (most_words, most_tokens) = (random.one_of([8, 40, 300]), random.one_of([16, 64, 200]));
        let (words, tokens) = (1 + random.below(most_words), 1 + random.below(most_tokens));
        let body = json!({
            "model": "auto",
            "messages": [{"role": "user", "content": words::text(&mut random, words as usize)}],
            "max_tokens": tokens,
            "ignore_eos": true,
            "stream": !matches!(manner, Manner::Whole),
            "stream_options": {"include_usage": true},
        });
        let began = Instant::now();
        let outcome = match timeout(DEADLINE, carry_out(soak, manner, &body, tokens)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("no end within {} s", DEADLINE.as_secs())),
        };
        soak.tally.borrow_mut().ended(Sent { began, manner: manner.name() }, outcome);
    }
}

impl Manner {
    fn name(self) -> &'static str {
        match self {
            Self::Stream => "a stream",
            Self::Whole => "an answer in one piece",
            Self::Leave(_) => "a stream that was left",
            Self::Cancel(_) => "a stream that was cancelled",
        }
    }
}

async fn carry_out(soak: &Soak, manner: Manner, body: &Value, tokens: u64) -> Result<Outcome> {
    let request = soak.request(Method::POST, "/v1/chat/completions").json(body);
    let response = request.send().await.context("the gateway didn't answer")?;
    let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let id = id.context("an answer has no id")?;
    soak.tally.borrow_mut().seen(&id);
    if !response.status().is_success() {
        return judge::refused(&response.json().await.context("an error isn't JSON")?);
    }
    match manner {
        Manner::Whole => whole(soak, &id, response, tokens).await,
        Manner::Stream => streamed(soak, &id, Stream::new(response), tokens).await,
        Manner::Leave(events) => {
            let mut stream = Stream::new(response);
            let ended = stream.read(events).await?;
            drop(stream);
            judge::record(soak, &id).await?;
            Ok(if ended { Outcome::Completed } else { Outcome::Left })
        }
        Manner::Cancel(events) => {
            let mut stream = Stream::new(response);
            stream.read(events).await?;
            let path = format!("/v1/requests/{id}/cancel");
            let answer = soak.request(Method::POST, &path).send().await.context("a cancel has no answer")?;
            ensure!(answer.status().is_success(), "a cancel is answered with {}", answer.status());
            streamed(soak, &id, stream, tokens).await
        }
    }
}

async fn whole(soak: &Soak, id: &str, response: Response, tokens: u64) -> Result<Outcome> {
    let body: Value = response.json().await.context("an answer isn't JSON")?;
    let text = body["choices"][0]["message"]["content"].as_str().context("an answer has no text")?;
    if body["choices"][0]["finish_reason"].as_str().is_none() {
        bail!("an answer doesn't say why it ended");
    }
    judge::completed(soak, id, text, &body["usage"], tokens).await
}

async fn streamed(soak: &Soak, id: &str, mut stream: Stream, tokens: u64) -> Result<Outcome> {
    stream.read(u64::MAX).await?;
    match stream.end()? {
        Ok(usage) => judge::completed(soak, id, stream.text(), &usage, tokens).await,
        Err(error) => judge::failed(soak, id, &error).await,
    }
}
