//! Request bodies that were not read, because the request was refused before.
//!
//! A server that leaves a body unread has to close the connection after its response, and a client that sends its next
//! request there finds it closed. So a short remainder is read and discarded; a longer one ends the connection with
//! `connection: close` (RFC 9112, section 9.6). Behind a refusal it is read on for a while: a client that sends a whole upload before
//! it reads the response would find the connection reset, and no reason.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use http::{
    StatusCode,
    header::{CONNECTION, HeaderValue},
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Largest remainder that is read. A connection isn't worth more.
const DRAINED_MAX_BYTES: u64 = 256 << 10;
/// The same of a body that was refused since it is too large. Most clients read no response while they send, and a connection that is
/// closed meanwhile hides the reason from them.
const OVERSIZE_DRAINED_MAX_BYTES: u64 = 32 << 20;
/// Longest time that a response waits for the remainder.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Largest remainder that is read behind a refusal, the longest time for that, and the longest pause of the client. The server closes a
/// connection without a request after `server.head_seconds`, 15 s by default, which is later.
const LINGERED_MAX_BYTES: u64 = 512 << 20;
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);
const LINGER_PAUSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Replaces the request's body by one that puts itself back when it is dropped before its end. `None` without a body.
pub(crate) fn track(request: &mut Request) -> Option<Unread> {
    if request.body().is_end_stream() {
        return None;
    }
    let unread = Unread::default();
    let body = std::mem::take(request.body_mut());
    *request.body_mut() = Body::new(TrackedBody { body, ended: false, unread: unread.clone() });
    Some(unread)
}

/// Reads the remainder of a request's `body` before its response is sent, or marks the connection for closing.
pub(crate) async fn drain(mut body: Body, mut response: Response) -> Response {
    let max_bytes = match response.status() {
        StatusCode::PAYLOAD_TOO_LARGE => OVERSIZE_DRAINED_MAX_BYTES,
        _ => DRAINED_MAX_BYTES,
    };
    if !tokio::time::timeout(DRAIN_TIMEOUT, read_to_end(&mut body, max_bytes)).await.unwrap_or(false) {
        close(&mut response);
        if response.status().is_client_error() {
            tokio::spawn(linger(body));
        }
    }
    response
}

/// Reads the body behind its response, within bounds.
async fn linger(mut body: Body) {
    let read_on = async {
        let mut read = 0;
        while read <= LINGERED_MAX_BYTES
            && let Ok(Some(Ok(frame))) = tokio::time::timeout(LINGER_PAUSE_TIMEOUT, body.frame()).await
        {
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
    };
    let _ = tokio::time::timeout(LINGER_TIMEOUT, read_on).await;
}

fn close(response: &mut Response) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Reads the body, and returns whether its end was reached within `max_bytes`.
async fn read_to_end(body: &mut Body, max_bytes: u64) -> bool {
    let mut read = 0;
    while read + body.size_hint().lower() <= max_bytes {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => return false,
            None => return true,
        }
    }
    false
}

/// Slot for a body that was dropped before its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unread(Arc<Mutex<Option<Body>>>);

impl Unread {
    /// Takes the body, if the handler has dropped it before its end. A body that came too slowly isn't drained: its
    /// response closes the connection.
    pub(crate) fn take(self, response: &mut Response) -> Option<Body> {
        if response.status() == StatusCode::REQUEST_TIMEOUT {
            close(response);
            return None;
        }
        self.slot().take()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Body>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Body of a request that moves into its [`Unread`] slot when it is dropped before its end.
struct TrackedBody {
    body: Body,
    ended: bool,
    unread: Unread,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.ended = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.unread.slot() = Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::post};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::Notify,
    };

    use super::*;
    use crate::RequestLayer;

    /// Connects to a server that reads the bodies of `/reads`, at `/refuses` notifies without reading, and at `/forbids` answers 403.
    async fn connect(refused: &Arc<Notify>) -> TcpStream {
        let refused = Arc::clone(refused);
        let refuse = move || {
            refused.notify_one();
            std::future::ready("no")
        };
        let router = Router::new()
            .route("/reads", post(async |body: String| body))
            .route("/refuses", post(refuse))
            .route("/forbids", post(async || (StatusCode::FORBIDDEN, "forbidden")))
            .layer(RequestLayer::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        TcpStream::connect(address).await.unwrap()
    }

    async fn send(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    fn head(path: &str, framing: &str) -> String {
        format!("POST {path} HTTP/1.1\r\nhost: here\r\n{framing}\r\n\r\n")
    }

    /// Receives text up to `end`.
    async fn receive(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let byte = stream.read_u8().await.unwrap();
            text.push(char::from(byte));
        }
        text
    }

    #[tokio::test]
    async fn connection_is_reused_after_a_short_unread_body() {
        for (framing, body) in
            [("content-length: 5", "12345"), ("transfer-encoding: chunked", "1\r\na\r\n0\r\n\r\n")]
        {
            let early = Arc::default();
            let mut stream = connect(&early).await;
            send(&mut stream, &head("/refuses", framing)).await;
            early.notified().await;
            send(&mut stream, body).await;
            let refused = receive(&mut stream, "\r\n\r\nno").await;
            assert!(!refused.contains("connection: close"), "{refused}");
            send(&mut stream, &head("/reads", "content-length: 3")).await;
            send(&mut stream, "yes").await;
            receive(&mut stream, "\r\n\r\nyes").await;
        }
    }

    #[tokio::test]
    async fn body_that_is_too_large_is_read_before_its_response() {
        let router = Router::new()
            .route("/", post(async |crate::JsonBody(_): crate::JsonBody<serde_json::Value>| "read"))
            .layer(RequestLayer::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let length = 11 << 20;
        let mut stream = TcpStream::connect(address).await.unwrap();
        send(&mut stream, &head("/", &format!("content-length: {length}"))).await;
        stream.write_all(&vec![b' '; length]).await.unwrap();
        let refused = receive(&mut stream, "}}").await;
        assert!(refused.starts_with("HTTP/1.1 413 ") && !refused.contains("connection: close"), "{refused}");
    }

    #[tokio::test]
    async fn client_that_sends_a_long_body_first_receives_the_refusal() {
        let length = 8 << 20;
        let mut stream = connect(&Arc::default()).await;
        send(&mut stream, &head("/forbids", &format!("content-length: {length}"))).await;
        stream.write_all(&vec![b' '; length]).await.unwrap();
        let refused = receive(&mut stream, "\r\n\r\nforbidden").await;
        assert!(refused.starts_with("HTTP/1.1 403 ") && refused.contains("connection: close"), "{refused}");
    }

    #[tokio::test]
    async fn long_unread_body_closes_the_connection() {
        let mut stream = connect(&Arc::default()).await;
        send(&mut stream, &head("/refuses", "content-length: 1000000")).await;
        let refused = receive(&mut stream, "\r\n\r\nno").await;
        assert!(refused.contains("connection: close"), "{refused}");
    }
}
