//! A minimal client: load generator and gateway share the processors, so its own cost would distort the result.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::upstream::WORD;

/// A request that can be sent again and again, and how many tokens its answer must have.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    request: Request<Full<Bytes>>,
    tokens: usize,
    streams: bool,
}

/// Kind of answer that a request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) tokens: usize,
    pub(super) streams: bool,
    /// Before each chunk of a stream.
    pub(super) pause: Duration,
    /// Without chance, so that an answer may be cached.
    pub(super) repeatable: bool,
    pub(super) earlier: Earlier,
}

/// Conversation before a request's question, of about so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    Nothing,
    /// Turns of 160 characters: a gateway's work for each message shows.
    Turns(usize),
    /// One long message, such as a document: its work for each byte shows.
    OneText(usize),
}

/// A turn of a conversation.
const TURN: &str = "I have looked at the map once more. The road along the river is closed until Friday, so that \
                    everybody takes the old bridge, and it is slow there in the morning.";

impl Wanted {
    /// An answer in one piece.
    pub(super) const fn whole(tokens: usize) -> Self {
        Self { tokens, streams: false, pause: Duration::ZERO, repeatable: false, earlier: Earlier::Nothing }
    }

    /// A stream, as fast as it can be.
    pub(super) const fn stream(tokens: usize) -> Self {
        Self { streams: true, ..Self::whole(tokens) }
    }
}

/// Address of a server, and the headers that it needs.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) at: SocketAddr,
    pub(super) path: &'static str,
    /// The model's name there.
    pub(super) model: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Address {
    /// A request for an answer like this.
    pub(super) fn ask(&self, wanted: Wanted) -> Result<Ask> {
        let mut body = json!({
            "model": self.model,
            "messages": messages(wanted.earlier),
            "max_tokens": wanted.tokens,
            "temperature": if wanted.repeatable { 0.0 } else { 0.8 },
            "stream": wanted.streams,
        });
        if wanted.streams {
            // Hearth asks for it in any case: without, its streams would have one chunk more to wait for.
            body["stream_options"] = json!({"include_usage": true});
        }
        if !wanted.pause.is_zero() {
            body["seed"] = json!(u64::try_from(wanted.pause.as_micros())?);
        }
        let mut request = Request::builder().method(Method::POST).uri(self.path);
        request = request.header(header::HOST, self.at.to_string());
        request = request.header(header::CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::from(body.to_string()))?;
        Ok(Ask { request, tokens: wanted.tokens, streams: wanted.streams })
    }
}

/// A conversation: a system prompt, what is earlier, and a question.
fn messages(earlier: Earlier) -> Vec<Value> {
    let message = |role: &str, text: &str| json!({"role": role, "content": text});
    let mut messages = vec![message("system", "You are a helpful assistant. Answer in one short sentence.")];
    match earlier {
        Earlier::Nothing => {}
        Earlier::Turns(bytes) => {
            let turn_bytes = message("assistant", TURN).to_string().len();
            for _ in 0..bytes / (2 * turn_bytes) {
                messages.extend([message("user", TURN), message("assistant", TURN)]);
            }
        }
        Earlier::OneText(bytes) => {
            let text = TURN.repeat(bytes / TURN.len());
            messages.extend([message("user", &text), message("assistant", TURN)]);
        }
    }
    messages.push(message("user", "What is the capital of Japan, and how many people live there?"));
    messages
}

/// One connection, kept open.
#[derive(Debug)]
pub(super) struct Connection(SendRequest<Full<Bytes>>);

/// An answer that was read to its end. Times are from the moment before the request was sent.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) took: Duration,
    /// When each token of a stream came.
    pub(super) tokens: Vec<Duration>,
    pub(super) id: Option<String>,
    /// Result of the gateway's cache lookup.
    pub(super) cache: Option<String>,
}

impl Connection {
    pub(super) async fn open(address: &Address) -> Result<Self> {
        let socket = TcpStream::connect(address.at).await.context("no connection")?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a request, and reads its answer to the end; another answer than the wanted one is an error.
    pub(super) async fn ask(&mut self, ask: &Ask) -> Result<Answer> {
        let request = ask.request.clone();
        let began = Instant::now();
        self.0.ready().await.context("the server closed the connection")?;
        let response = self.0.send_request(request).await.context("no answer")?;
        let (head, mut body) = response.into_parts();
        let header = |name: &str| head.headers.get(name).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let mut answer =
            Answer { id: header("x-request-id"), cache: header("x-hearth-cache"), ..Answer::default() };
        let (mut text, mut read) = (Vec::with_capacity(1024), 0);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.context("an answer broke off")?.into_data() else { continue };
            text.extend_from_slice(&data);
            if ask.streams && head.status.is_success() {
                let came = began.elapsed();
                let (words, end) = words(&text[read..]);
                answer.tokens.extend(std::iter::repeat_n(came, words));
                read += end;
            }
        }
        answer.took = began.elapsed();
        if !head.status.is_success() {
            bail!("{}: {}", head.status, String::from_utf8_lossy(&text));
        }
        let tokens = if ask.streams { answer.tokens.len() } else { words(&text).0 };
        ensure!(
            tokens == ask.tokens,
            "{} tokens were requested, and {tokens} came: {}",
            ask.tokens,
            String::from_utf8_lossy(&text)
        );
        ensure!(!ask.streams || text.trim_ascii_end().ends_with(b"[DONE]"), "a stream has no end");
        Ok(answer)
    }
}

/// Number of tokens in the text, and the end of the last one.
fn words(text: &[u8]) -> (usize, usize) {
    let word = WORD.as_bytes();
    let (mut count, mut end, mut at) = (0, 0, 0);
    while at + word.len() <= text.len() {
        if text[at] == word[0] && &text[at..at + word.len()] == word {
            at += word.len();
            (count, end) = (count + 1, at);
        } else {
            at += 1;
        }
    }
    (count, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_turns_fill_a_body() {
        for bytes in [16 << 10, 128 << 10] {
            for earlier in [Earlier::Turns(bytes), Earlier::OneText(bytes)] {
                let length = json!(messages(earlier)).to_string().len();
                assert!(length.abs_diff(bytes) < 768 + bytes / 50, "{length} for {earlier:?}");
            }
        }
        assert!(json!(messages(Earlier::Nothing)).to_string().len() < 512);
    }

    #[test]
    fn tokens_are_counted_wherever_the_bytes_are_cut() {
        let text = b"data: kudo \n\ndata: kudo \n\ndata: {}";
        assert_eq!(words(text), (2, 23));
        for cut in 0..text.len() {
            let (count, end) = words(&text[..cut]);
            assert_eq!(count + words(&text[end..]).0, 2, "{cut}");
        }
    }
}
