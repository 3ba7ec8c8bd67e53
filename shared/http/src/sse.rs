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
        let event = Event::default().data(frame.data);
        let event = match frame.event {
            Some(name) => event.event(name),
            None => event,
        };
        Ok::<_, Infallible>(match frame.id {
            Some(id) => event.id(id.to_string()),
            None => event,
        })
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
    async fn a_frame_has_the_lines_that_it_needs() {
        let frame = |id, event, data: &str| Frame { id, event, data: data.to_owned() };
        let frames = [frame(None, Some("ping"), "{}"), frame(Some(7), None, "{}"), Frame::done()];
        let body = respond(futures::stream::iter(frames)).into_body();
        let text = axum::body::to_bytes(body, 1 << 16).await.unwrap();
        let mut blocks: Vec<Vec<&str>> = std::str::from_utf8(&text)
            .unwrap()
            .split_terminator("\n\n")
            .map(|block| block.lines().collect())
            .collect();
        blocks.iter_mut().for_each(|lines| lines.sort_unstable());
        assert_eq!(
            blocks,
            [vec!["data: {}", "event: ping"], vec!["data: {}", "id: 7"], vec!["data: [DONE]"]]
        );
    }
}
