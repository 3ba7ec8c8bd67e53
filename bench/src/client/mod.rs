//! A client that measures: it asks, reads the stream, and looks at the clock.

mod chat;
mod link;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hearth_domain::{Role, Usage};

use crate::{random::Random, words};
pub(crate) use chat::Chat;
pub(crate) use link::Link;

/// Sampling parameters of every request, on either side.
pub(crate) const TEMPERATURE: f32 = 0.8;
pub(crate) const TOP_K: u32 = 40;

/// One turn of a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) role: Role,
    pub(crate) text: String,
}

/// A request. It goes on past the end of the model's turn, to exactly `max_tokens`.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) turns: Vec<Turn>,
    pub(crate) max_tokens: u32,
    pub(crate) seed: u32,
}

impl Ask {
    /// A question of so many words.
    pub(crate) fn random(random: &mut Random, words: usize, max_tokens: u32) -> Self {
        let turn = Turn { role: Role::User, text: words::text(random, words) };
        Self { turns: vec![turn], max_tokens, seed: random.next() as u32 }
    }
}

/// Result of a request. Times are from the moment before it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// Until the first text.
    pub(crate) first: Duration,
    /// Until the last text.
    pub(crate) last: Duration,
    pub(crate) usage: Usage,
}

impl Answer {
    /// Tokens a second after the first one.
    pub(crate) fn decode_rate(&self) -> f64 {
        let tokens = f64::from(self.usage.completion_tokens.saturating_sub(1));
        tokens / (self.last - self.first).as_secs_f64()
    }

    /// Until the first text, in milliseconds.
    pub(crate) fn first_ms(&self) -> f64 {
        self.first.as_secs_f64() * 1000.0
    }
}

/// Client of a server, in its own API.
#[derive(Debug)]
pub(crate) enum Client {
    Chat(Chat),
    Link(Link),
}

impl Client {
    /// Asks, and reads the answer to its end.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answer> {
        let answer = match self {
            Self::Chat(chat) => chat.ask(ask).await?,
            Self::Link(link) => link.ask(ask).await?,
        };
        let tokens = answer.usage.completion_tokens;
        ensure!(tokens == ask.max_tokens, "{} tokens were requested, and {tokens} came", ask.max_tokens);
        Ok(answer)
    }
}

/// An HTTP client that sends and reads at once.
pub(crate) fn http() -> Result<reqwest::Client> {
    // The second client of a process finds the provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A server may close a connection that was idle just as it is used again.
    let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true);
    Ok(http.pool_idle_timeout(Duration::from_millis(500)).build()?)
}

/// Notes when the parts of an answer come.
struct Watch {
    began: Instant,
    text: String,
    first: Option<Duration>,
    last: Duration,
}

impl Watch {
    fn start() -> Self {
        Self { began: Instant::now(), text: String::new(), first: None, last: Duration::ZERO }
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.last = self.began.elapsed();
            self.first.get_or_insert(self.last);
            self.text.push_str(text);
        }
    }

    fn answer(self, usage: Usage) -> Result<Answer> {
        let Some(first) = self.first else { anyhow::bail!("an answer has no text") };
        Ok(Answer { text: self.text, first, last: self.last, usage })
    }
}
