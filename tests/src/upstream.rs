//! Server that plays a vendor's API. It sends the replies of a test in order, and can split their bytes anywhere, fall silent
//! or close the connection. `GET` requests, such as for the list of models, may come at any time: pages answer them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};
use bytes::Bytes;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

/// A running server.
#[derive(Debug)]
pub struct Upstream {
    /// Where it is, without a path.
    pub url: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, if it is JSON.
    pub body: Value,
    /// Its body as it came.
    pub raw: Bytes,
}

impl Received {
    fn is_of(&self, path: &str) -> bool {
        self.path.split('?').next() == Some(path)
    }
}

/// An answer to give.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Bytes>,
    end: End,
}

/// End of an answer after its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its end.
    Whole,
    /// Nothing, until the client goes away.
    Silence,
    /// The connection breaks.
    Break,
    /// The last piece again and again, until the client goes away.
    Repeat,
}

#[derive(Debug)]
struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    received: Mutex<Vec<Received>>,
    /// Answers to `GET`, by path.
    pages: Mutex<HashMap<String, Reply>>,
    /// The `GET`s that pages have answered.
    page_requests: watch::Sender<Vec<Received>>,
    /// Number of clients that disconnected from a silent or endless answer.
    left: watch::Sender<usize>,
    /// Number of requests in progress, and their largest number so far.
    in_progress: watch::Sender<(usize, usize)>,
    /// Number of requests that must have come before the first is answered.
    gathered: watch::Sender<usize>,
}

impl Reply {
    /// A whole answer.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, pieces: vec![body.to_string().into()], end: End::Whole }
    }

    /// A file.
    #[must_use]
    pub fn file(media_type: &str, bytes: &[u8]) -> Self {
        let headers = vec![("content-type", media_type.to_owned())];
        Self { status: 200, headers, pieces: vec![Bytes::copy_from_slice(bytes)], end: End::Whole }
    }

    /// A stream of chunks as OpenAI sends them, and `[DONE]`.
    #[must_use]
    pub fn chunks(chunks: &[Value]) -> Self {
        Self::stream(&format!("{}data: [DONE]\n\n", frames(chunks)))
    }

    /// The same without its end: for what comes then.
    #[must_use]
    pub fn begun(chunks: &[Value]) -> Self {
        Self::stream(&frames(chunks))
    }

    /// A stream of server-sent events, as it goes over the wire.
    #[must_use]
    pub fn stream(text: &str) -> Self {
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        Self { status: 200, headers, pieces: vec![text.to_owned().into()], end: End::Whole }
    }

    /// A stream of AWS's binary messages: events, and what they say.
    #[must_use]
    pub fn messages(events: &[(&str, Value)]) -> Self {
        let headers = vec![("content-type", "application/vnd.amazon.eventstream".to_owned())];
        let pieces = events.iter().map(|(event, payload)| message("event", event, payload)).collect();
        Self { status: 200, headers, pieces, end: End::Whole }
    }

    /// And then an exception, as AWS sends it within such a stream.
    #[must_use]
    pub fn then_exception(mut self, exception: &str, payload: &Value) -> Self {
        self.pieces.push(message("exception", exception, payload));
        self
    }

    /// With another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// In pieces of so many bytes.
    #[must_use]
    pub fn split(mut self, bytes: usize) -> Self {
        let whole: Vec<u8> = self.pieces.concat();
        self.pieces = whole.chunks(bytes).map(Bytes::copy_from_slice).collect();
        self
    }

    /// And then nothing any more.
    #[must_use]
    pub fn then_silence(mut self) -> Self {
        self.end = End::Silence;
        self
    }

    /// And then its last piece again and again.
    #[must_use]
    pub fn then_repeat(mut self) -> Self {
        self.end = End::Repeat;
        self
    }

    /// And then the connection breaks.
    #[must_use]
    pub fn then_break(mut self) -> Self {
        self.end = End::Break;
        self
    }
}

/// A message of AWS's (<https://smithy.io/2.0/aws/amazon-eventstream.html>).
fn message(kind: &str, name: &str, payload: &Value) -> Bytes {
    let header = |name: String, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
    let headers = vec![
        header(":message-type".to_owned(), kind),
        header(format!(":{kind}-type"), name),
        header(":content-type".to_owned(), "application/json"),
    ];
    let mut bytes = Vec::new();
    let written = write_message_to(&Message::new_from_parts(headers, payload.to_string()), &mut bytes);
    written.unwrap_or_else(|error| panic!("a message of AWS's: {error}"));
    bytes.into()
}

fn frames(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

impl Upstream {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start() -> Self {
        Self::start_at(0).await
    }

    /// Starts one on this port.
    ///
    /// # Panics
    /// If it isn't free.
    pub async fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.unwrap_or_else(|error| panic!("a free port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("its address: {error}"));
        let (left, _) = watch::channel(0);
        let (page_requests, _) = watch::channel(Vec::new());
        let (in_progress, _) = watch::channel((0, 0));
        let (gathered, _) = watch::channel(0);
        let (replies, received, pages) = Default::default();
        let shared = Shared { replies, received, pages, page_requests, left, in_progress, gathered };
        let shared = Arc::new(shared);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url: format!("http://{address}"), shared, server }
    }

    /// Adds a reply after the earlier ones.
    pub fn reply(&self, reply: Reply) {
        self.shared.replies.lock().unwrap_or_else(PoisonError::into_inner).push_back(reply);
    }

    /// Sets the reply to each `GET` of `path`, with any query. Paths without one, such as a list of models, get 404.
    pub fn page(&self, path: &str, reply: Reply) {
        self.shared.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), reply);
    }

    /// Returns the `GET`s of `path` that a page has answered, oldest first.
    #[must_use]
    pub fn page_requests(&self, path: &str) -> Vec<Received> {
        self.shared.page_requests.borrow().iter().filter(|request| request.is_of(path)).cloned().collect()
    }

    /// Waits for this number of `GET`s of `path`.
    ///
    /// # Panics
    /// If they don't come.
    pub async fn wait_for_page_requests(&self, path: &str, times: usize) {
        let mut page_requests = self.shared.page_requests.subscribe();
        let enough =
            |requests: &Vec<Received>| requests.iter().filter(|one| one.is_of(path)).count() >= times;
        let waited = crate::within("a request of a page", page_requests.wait_for(enough)).await;
        assert!(waited.is_ok(), "the server is gone");
    }

    /// Holds every answer back until this number of requests is in progress at the same time.
    pub fn gather(&self, count: usize) {
        self.shared.gathered.send_replace(count);
    }

    /// The largest number of requests that were in progress at the same time, but those of pages.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.shared.in_progress.borrow().1
    }

    /// The other requests that came, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a client has gone away from an answer that was silent, or had no end.
    ///
    /// # Panics
    /// If none does.
    pub async fn left(&self) {
        let mut left = self.shared.left.subscribe();
        let waited = crate::within("a client going away", left.wait_for(|left| *left > 0)).await;
        assert!(waited.is_ok(), "the server is gone");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Ends of the paths that a gateway requests by itself.
const ASIDE: [&str; 4] = ["/models", "/key", "/credits", "/user/balance"];

/// Counts a request in progress.
struct InProgress(Arc<Shared>);

impl InProgress {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.in_progress.send_modify(|(now, peak)| {
            *now += 1;
            *peak = (*peak).max(*now);
        });
        Self(Arc::clone(shared))
    }

    /// Waits for the others that must have come.
    async fn gathered(&self) {
        let least = *self.0.gathered.borrow();
        let mut in_progress = self.0.in_progress.subscribe();
        let _ = in_progress.wait_for(|(_, peak)| *peak >= least).await;
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.send_modify(|(now, _)| *now -= 1);
    }
}

/// Counts a client that goes away.
struct Leaving(Arc<Shared>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.left.send_modify(|left| *left += 1);
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap_or_default();
    let received = Received {
        path: head.uri.to_string(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        raw: body,
    };
    let path = head.uri.path();
    let page = shared.pages.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
    let is_aside = page.is_some() || ASIDE.iter().any(|end| path.ends_with(end));
    let mut in_progress = None;
    let reply = if head.method == Method::GET && is_aside {
        shared.page_requests.send_modify(|requests| requests.push(received));
        page.unwrap_or_else(|| Reply::json(404, &serde_json::json!({"error": {"message": "no such page"}})))
    } else {
        shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        let begun = in_progress.insert(InProgress::begin(&shared));
        begun.gathered().await;
        let reply = shared.replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        reply.unwrap_or_else(|| Reply::json(500, &serde_json::json!({"error": {"message": "not scripted"}})))
    };
    let mut response = Response::builder().status(StatusCode::from_u16(reply.status).unwrap_or_default());
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let last = reply.pieces.last().cloned();
    let body = Body::from_stream(async_stream::stream! {
        // Ends with the body.
        let _in_progress = in_progress;
        for piece in reply.pieces {
            yield Ok(piece);
            // Each piece goes out by itself.
            tokio::task::yield_now().await;
        }
        match reply.end {
            End::Whole => {}
            End::Silence => {
                let _leaving = Leaving(shared);
                std::future::pending::<()>().await;
            }
            End::Repeat => {
                let _leaving = Leaving(shared);
                while let Some(piece) = last.clone() {
                    yield Ok(piece);
                    tokio::task::yield_now().await;
                }
            }
            End::Break => yield Err(std::io::Error::other("the connection breaks")),
        }
    });
    response.body(body).unwrap_or_default()
}
