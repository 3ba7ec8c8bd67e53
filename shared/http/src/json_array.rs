//! Streamed JSON array: each frame is an item, and a line break keeps a silent connection open.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _};
use hearth_wire::stream::Frame;
use http::{
    HeaderName, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};

/// Longest silence of a stream: proxies cut silent connections.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Creates a response that streams the data of `frames` as the items of an array.
pub fn respond(frames: impl Stream<Item = Frame> + Send + 'static) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        // Disables nginx' buffering of streams.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
    ];
    (headers, Body::from_stream(items(frames, KEEP_ALIVE_INTERVAL))).into_response()
}

fn items(
    frames: impl Stream<Item = Frame> + Send,
    keep_alive: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    async_stream::stream! {
        let mut frames = std::pin::pin!(frames);
        let mut separator = "[";
        loop {
            match tokio::time::timeout(keep_alive, frames.next()).await {
                Ok(Some(frame)) => {
                    yield Ok(Bytes::from(format!("{separator}{}", frame.data)));
                    separator = "\n,\r\n";
                }
                Ok(None) => break,
                Err(_) => yield Ok(Bytes::from_static(b"\n")),
            }
        }
        yield Ok(Bytes::from_static(if separator == "[" { b"[]\n" } else { b"\n]\n" }));
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc;
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn frames_become_items_and_silence_a_line_break() {
        let frame = |data: &str| Frame { id: None, event: None, data: data.to_owned() };
        let (sender, frames) = mpsc::unbounded();
        let mut items = std::pin::pin!(items(frames, Duration::from_millis(1)));
        let mut array = Vec::new();
        sender.unbounded_send(frame("{\"a\":1}")).unwrap();
        array.extend(items.next().await.unwrap().unwrap());
        // No frame is sent until the line break.
        assert_eq!(&*items.next().await.unwrap().unwrap(), b"\n");
        sender.unbounded_send(frame("{}")).unwrap();
        drop(sender);
        while let Some(Ok(bytes)) = items.next().await {
            array.extend(bytes);
        }
        assert_eq!(serde_json::from_slice::<Value>(&array).unwrap(), json!([{"a": 1}, {}]));
        let empty = respond(futures::stream::empty()).into_body();
        assert_eq!(&*axum::body::to_bytes(empty, 1024).await.unwrap(), b"[]\n");
    }
}
