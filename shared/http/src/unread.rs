//! Bodies that nobody read, because the request was refused before.
//!
//! A server that leaves a body unread has to close the connection after its answer, and a client that sends
//! its next request there finds it gone. So a short rest is read and thrown away; a longer one ends the
//! connection in words (RFC 9112, section 9.6).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    middleware::Next,
    response::Response,
};
use http::header::{CONNECTION, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// The longest rest that is read, in bytes. More isn't worth a connection.
const LONGEST: u64 = 256 << 10;
/// How long an answer waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) async fn layer(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let rest = Rest::default();
    let lent = |body| Body::new(Lent { body, ended: false, rest: Rest::clone(&rest) });
    let mut response = next.run(request.map(lent)).await;
    // The rest of a body that came too slowly isn't waited for.
    if response.status() == http::StatusCode::REQUEST_TIMEOUT {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    let unread = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(body) = unread
        && !tokio::time::timeout(PATIENCE, ends(body)).await.unwrap_or(false)
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads the body to its end; whether it came to that.
async fn ends(mut body: Body) -> bool {
    let mut read = 0;
    while read + body.size_hint().lower() <= LONGEST {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => return false,
            None => return true,
        }
    }
    false
}

/// Where a body is put back that was dropped before its end.
type Rest = Arc<Mutex<Option<Body>>>;

/// A request's body, lent to whoever answers.
struct Lent {
    body: Body,
    ended: bool,
    rest: Rest,
}

impl HttpBody for Lent {
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

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::post};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::Notify,
    };

    use super::*;

    /// A connection to a server that reads the bodies of `/reads`; at `/refuses` it reads none, and says so.
    async fn connect(refused: &Arc<Notify>) -> TcpStream {
        let refused = Arc::clone(refused);
        let refuse = move || {
            refused.notify_one();
            std::future::ready("no")
        };
        let router = Router::new()
            .route("/reads", post(async |body: String| body))
            .route("/refuses", post(refuse))
            .layer(middleware::from_fn(layer));
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

    /// What comes, up to `end`.
    async fn receive(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let byte = stream.read_u8().await.unwrap();
            text.push(char::from(byte));
        }
        text
    }

    #[tokio::test]
    async fn a_refused_body_leaves_the_connection_to_the_next_request() {
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
    async fn a_long_body_ends_the_connection_in_words() {
        let mut stream = connect(&Arc::default()).await;
        send(&mut stream, &head("/refuses", "content-length: 1000000")).await;
        let refused = receive(&mut stream, "\r\n\r\nno").await;
        assert!(refused.contains("connection: close"), "{refused}");
    }
}
