//! Server-sent events: frames out, a comment while there is nothing to say.

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response, Sse,
    sse::{Event, KeepAlive},
};
use futures::{Stream, StreamExt as _};
use hearth_wire::stream::Frame;
use http::{HeaderValue, header::CACHE_CONTROL};

/// How often a silent stream gives a sign of life: proxies cut silent ones.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// An answer that streams `frames`.
pub fn respond(frames: impl Stream<Item = Frame> + Send + 'static) -> Response {
    let events = frames.map(|frame| {
        // The name first: some clients read line by line.
        let mut event = match frame.event {
            Some(name) => Event::default().event(name),
            None => Event::default(),
        };
        event = event.data(frame.data);
        if let Some(id) = frame.id {
            event = event.id(id.to_string());
        }
        Ok::<_, Infallible>(event)
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("waiting");
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    // nginx buffers streams unless it is told not to.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
