//! Server-sent events: each frame is an event, and a comment keeps a silent connection open.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use futures::{
    FutureExt as _, Stream, StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered, ReadyChunks},
};
use hearth_wire::stream::Frame;
use http::{
    HeaderName, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Longest silence of a stream: proxies cut silent connections.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// A frame that follows a chunk sooner than this waits for a turn of the runtime, so that the frames of a burst are sent in
/// few chunks: writing to the socket is the most expensive part of a stream.
const BURST_INTERVAL: Duration = Duration::from_micros(500);
/// Most frames that are sent in one chunk.
const CHUNK_MAX_FRAMES: usize = 64;

/// Creates a response that streams `frames`.
pub fn respond(frames: impl Stream<Item = Frame> + Send + 'static) -> Response {
    respond_with(frames, b": waiting\n\n")
}

/// The same for clients that read a comment as data, as Google's do: an empty line keeps the connection open.
pub fn respond_without_comments(frames: impl Stream<Item = Frame> + Send + 'static) -> Response {
    respond_with(frames, b"\n")
}

fn respond_with(frames: impl Stream<Item = Frame> + Send + 'static, keep_alive: &'static [u8]) -> Response {
    let frames = frames.boxed().ready_chunks(CHUNK_MAX_FRAMES);
    let last = Instant::now();
    let timer = Box::pin(sleep_until(last + KEEP_ALIVE_INTERVAL));
    // The first chunk doesn't wait.
    let chunks = Chunks { frames, keep_alive, last, timer, pause: FuturesUnordered::new(), has_paused: true };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // Disables nginx' buffering of streams.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

/// Body of a stream: a chunk of the frames that are ready together, and a keep-alive after a long silence.
struct Chunks {
    frames: ReadyChunks<BoxStream<'static, Frame>>,
    keep_alive: &'static [u8],
    /// Time of the last chunk.
    last: Instant,
    /// Fires at the earliest when a keep-alive is due: resetting it for each chunk would cost more.
    timer: Pin<Box<Sleep>>,
    /// Ends when the runtime has read from its sockets once more. A set, since it polls its future only if that is woken,
    /// and not for each further frame.
    pause: FuturesUnordered<BoxFuture<'static, ()>>,
    /// True if the pause before the next chunk is over.
    has_paused: bool,
}

impl Stream for Chunks {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.pause.is_empty() && !this.has_paused && this.last.elapsed() < BURST_INTERVAL {
            this.pause.push(tokio::task::yield_now().boxed());
        }
        if !this.pause.is_empty() {
            ready!(this.pause.poll_next_unpin(cx));
            this.has_paused = true;
        }
        if let Poll::Ready(frames) = this.frames.poll_next_unpin(cx) {
            this.last = Instant::now();
            this.has_paused = false;
            return Poll::Ready(frames.map(|frames| Ok(encode(&frames))));
        }
        loop {
            ready!(this.timer.as_mut().poll(cx));
            let (now, due) = (Instant::now(), this.last + KEEP_ALIVE_INTERVAL);
            if due > now {
                this.timer.as_mut().reset(due);
                continue;
            }
            this.last = now;
            this.timer.as_mut().reset(now + KEEP_ALIVE_INTERVAL);
            return Poll::Ready(Some(Ok(Bytes::from_static(this.keep_alive))));
        }
    }
}

/// Encodes frames. The event's name comes first: some clients read line by line.
fn encode(frames: &[Frame]) -> Bytes {
    let length = frames.iter().map(|frame| frame.data.len() + 64).sum();
    let mut text = String::with_capacity(length);
    for Frame { event, data, id } in frames {
        if let Some(name) = event {
            text.extend(["event: ", name, "\n"]);
        }
        // Usually one line of JSON.
        for line in data.split('\n') {
            text.extend(["data: ", line, "\n"]);
        }
        if let Some(id) = id {
            text.extend(["id: ", &id.to_string(), "\n"]);
        }
        text.push('\n');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silent_stream_sends_a_keep_alive() {
        let frames = futures::stream::pending().boxed().ready_chunks(CHUNK_MAX_FRAMES);
        let last = Instant::now() - KEEP_ALIVE_INTERVAL;
        let timer = Box::pin(sleep_until(last));
        let pause = FuturesUnordered::new();
        let mut chunks =
            Chunks { frames, keep_alive: b": waiting\n\n", last, timer, pause, has_paused: false };
        assert_eq!(chunks.next().await.unwrap().unwrap(), ": waiting\n\n");
        assert!(futures::poll!(chunks.next()).is_pending());
    }

    #[tokio::test]
    async fn frames_of_a_burst_share_a_chunk() {
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        let send = |range: std::ops::Range<u32>| {
            for number in range {
                sender.unbounded_send(Frame { id: None, event: None, data: number.to_string() }).unwrap();
            }
        };
        let frames = receiver.boxed().ready_chunks(CHUNK_MAX_FRAMES);
        // The last chunk is never long ago, however slow this test is.
        let last = Instant::now() + KEEP_ALIVE_INTERVAL;
        let (timer, pause) = (Box::pin(sleep_until(last)), FuturesUnordered::new());
        let mut chunks =
            Chunks { frames, keep_alive: b": waiting\n\n", last, timer, pause, has_paused: false };
        send(0..1);
        // The chunk waits for a turn of the runtime, in which this task sends more.
        let chunk = tokio::join!(chunks.next(), async { send(1..3) }).0.unwrap().unwrap();
        assert_eq!(chunk, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    }

    #[tokio::test]
    async fn frame_is_encoded_with_its_id_and_event_name() {
        let frames = [
            Frame { id: Some(7), event: None, data: "1".into() },
            Frame { id: None, event: Some("delta"), data: "2".into() },
            Frame::done(),
        ];
        let body = respond(futures::stream::iter(frames)).into_body();
        let bytes = axum::body::to_bytes(body, 1024).await.unwrap();
        let fields =
            |frame: &str| frame.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        let events: Vec<_> = std::str::from_utf8(&bytes).unwrap().trim().split("\n\n").map(fields).collect();
        assert_eq!(events, ["id: 7\ndata: 1", "event: delta\ndata: 2", "data: [DONE]"].map(fields));
    }
}
