//! Server-sent events: frames out, a comment while there is nothing to say.

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
    Stream, StreamExt as _,
    stream::{BoxStream, ReadyChunks},
};
use hearth_wire::stream::Frame;
use http::{
    HeaderName, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use tokio::time::{Instant, Sleep, sleep_until};

/// How often a silent stream gives a sign of life: proxies cut silent ones.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The most frames that are written as one piece.
const PIECE_MAX_FRAMES: usize = 64;

/// An answer that streams `frames`.
pub fn respond(frames: impl Stream<Item = Frame> + Send + 'static) -> Response {
    respond_with(frames, b": waiting\n\n")
}

/// The same for clients that take a comment for data, as Google's do: a sign of life is an empty line.
pub fn respond_without_comments(frames: impl Stream<Item = Frame> + Send + 'static) -> Response {
    respond_with(frames, b"\n")
}

fn respond_with(frames: impl Stream<Item = Frame> + Send + 'static, sign_of_life: &'static [u8]) -> Response {
    let frames = frames.boxed().ready_chunks(PIECE_MAX_FRAMES);
    let last = Instant::now();
    let pieces = Pieces { frames, sign_of_life, last, timer: Box::pin(sleep_until(last + KEEP_ALIVE)) };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // nginx buffers streams unless it is told not to.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

/// The bytes of a stream: the frames that are there together, and a sign of life when there are none for long.
struct Pieces {
    frames: ReadyChunks<BoxStream<'static, Frame>>,
    sign_of_life: &'static [u8],
    /// When the last bytes were given.
    last: Instant,
    /// Rings at the earliest when a sign of life is due: it is not set anew for each piece.
    timer: Pin<Box<Sleep>>,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(frames) = this.frames.poll_next_unpin(cx) {
            this.last = Instant::now();
            return Poll::Ready(frames.map(|frames| Ok(written(&frames))));
        }
        loop {
            ready!(this.timer.as_mut().poll(cx));
            let (now, due) = (Instant::now(), this.last + KEEP_ALIVE);
            if due > now {
                this.timer.as_mut().reset(due);
                continue;
            }
            this.last = now;
            this.timer.as_mut().reset(now + KEEP_ALIVE);
            return Poll::Ready(Some(Ok(Bytes::from_static(this.sign_of_life))));
        }
    }
}

/// Frames as they go over the wire. The name comes first: some clients read line by line.
fn written(frames: &[Frame]) -> Bytes {
    let length = frames.iter().map(|frame| frame.data.len() + 64).sum();
    let mut text = String::with_capacity(length);
    for Frame { event, data, id } in frames {
        if let Some(name) = event {
            text.extend(["event: ", name, "\n"]);
        }
        // As a rule one line of JSON.
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
    async fn silent_stream_gives_a_sign_of_life() {
        let frames = futures::stream::pending().boxed().ready_chunks(PIECE_MAX_FRAMES);
        let last = Instant::now() - KEEP_ALIVE;
        let timer = Box::pin(sleep_until(last));
        let mut pieces = Pieces { frames, sign_of_life: b": waiting\n\n", last, timer };
        assert_eq!(pieces.next().await.unwrap().unwrap(), ": waiting\n\n");
        assert!(futures::poll!(pieces.next()).is_pending());
    }

    #[tokio::test]
    async fn a_frame_has_its_id_and_its_name_if_it_has_them() {
        let frames = [
            Frame { id: Some(7), event: None, data: "1".into() },
            Frame { id: None, event: Some("said"), data: "2".into() },
            Frame::done(),
        ];
        let body = respond(futures::stream::iter(frames)).into_body();
        let bytes = axum::body::to_bytes(body, 1024).await.unwrap();
        let fields =
            |frame: &str| frame.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        let told: Vec<_> = std::str::from_utf8(&bytes).unwrap().trim().split("\n\n").map(fields).collect();
        assert_eq!(told, ["id: 7\ndata: 1", "event: said\ndata: 2", "data: [DONE]"].map(fields));
    }
}
