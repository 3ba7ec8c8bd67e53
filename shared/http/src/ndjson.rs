//! Streamed lines of JSON: each frame is a line.

use std::convert::Infallible;

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

/// Media type of lines of JSON.
pub const MEDIA_TYPE: &str = "application/x-ndjson";

/// Creates a response that streams the data of `frames`, each on a line.
pub fn respond(frames: impl Stream<Item = Frame> + Send + 'static) -> Response {
    let lines = frames.map(|frame| Ok::<_, Infallible>(Bytes::from(frame.data + "\n")));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)),
        // Disables nginx' buffering of streams.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
    ];
    (headers, Body::from_stream(lines)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_frame_becomes_a_line() {
        let frame = |data: &str| Frame { id: None, event: None, data: data.to_owned() };
        let response = respond(futures::stream::iter([frame("{\"a\":1}"), frame("{}")]));
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
        let bytes = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        assert_eq!(&*bytes, b"{\"a\":1}\n{}\n");
    }
}
