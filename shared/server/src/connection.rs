//! One connection: HTTP/1.1 with a timeout for each phase, until a request turns it into a WebSocket, whose own session limits it.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use hearth_http::{ClientAddress, SecureTransport, paced_body::PacedBody};
use hearth_settings::TrustedProxies;
use http::{HeaderMap, Request, StatusCode, Uri, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::{Semaphore, watch},
    time::{Instant, sleep},
};
use tokio_util::either::Either;
use tower::ServiceExt as _;

use super::{
    Socket,
    limits::Limits,
    stream::ClientStream,
    table::{BusyGuard, State},
    tls::Tls,
};

/// Size of a request's head, and of the read and write buffers. A browser's cookies have 8 KB.
const HEAD_MAX_BYTES: usize = 64 << 10;

/// A connection to be served.
pub(super) struct Connection {
    pub(super) state: Arc<State>,
    pub(super) router: Router,
    /// Answers 503.
    pub(super) overflow_router: Router,
    /// Places of WebSockets.
    pub(super) upgrades: Arc<Semaphore>,
    pub(super) limits: Limits,
    /// The other end of the connection.
    pub(super) peer: IpAddr,
    /// Proxies whose `x-forwarded-for` counts.
    pub(super) proxies: Arc<TrustedProxies>,
    /// Accept further requests after the first.
    pub(super) keep_alive: bool,
}

impl Connection {
    /// The connection after its TLS handshake. None if the handshake fails or takes as long as a request's head may, if the
    /// connection's place is needed, or if the server stops.
    pub(super) async fn accept(
        &self,
        tls: &Tls,
        socket: TcpStream,
        stopped: &mut watch::Receiver<bool>,
    ) -> Option<Socket> {
        tokio::select! {
            stream = tls.accept(socket, self.limits.head) => stream.map(Either::Right),
            () = self.state.close_requested() => None,
            _ = stopped.wait_for(|stopped| *stopped) => None,
        }
    }

    /// Serves requests until the client disconnects, a timeout ends, the connection's place is needed, or the server
    /// stops. In the last two cases a request that has begun is answered first.
    /// `guard` is dropped when the connection is closed, by its session if it has become a WebSocket.
    pub(super) async fn serve(
        self,
        socket: Socket,
        mut stopped: watch::Receiver<bool>,
        guard: impl Send + Unpin + 'static,
    ) {
        let Self { state, router, overflow_router, upgrades, limits, peer, proxies, keep_alive } = self;
        let stream = ClientStream::new(socket, Arc::clone(&state), limits.write, guard);
        let service_state = Arc::clone(&state);
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, busy) = (router.clone(), service_state.begin_request());
            let (overflow_router, upgrades) = (overflow_router.clone(), Arc::clone(&upgrades));
            let address =
                ClientAddress::of_connection(peer, request.headers(), |address| proxies.contains(address));
            let transport =
                SecureTransport::of_connection(peer, request.headers(), |address| proxies.contains(address));
            async move {
                let mut request = request;
                if !has_one_host(&request) {
                    // The access log begins behind the router.
                    tracing::info!(client = %peer, "a request without exactly one Host was refused");
                    return Ok(refuse_host().map(|body| SentBody { body, _busy: busy }));
                }
                request.extensions_mut().insert(address);
                request.extensions_mut().insert(transport);
                let request = request.map(|body| PacedBody::new(body, limits.body));
                // Before its session exists: hyper gives the connection to it when the response is sent, whatever its status.
                let place = match asks_for_socket(request.headers()).then(|| upgrades.try_acquire_owned()) {
                    None => None,
                    Some(Ok(place)) => Some(place),
                    Some(Err(_)) => {
                        let response = refuse_socket(overflow_router, request.uri().clone()).await?;
                        return Ok(response.map(|body| SentBody { body, _busy: busy }));
                    }
                };
                let response: Response = router.oneshot(request).await?;
                if let Some(place) = place.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
                    busy.keep(place);
                }
                Ok::<_, Infallible>(response.map(|body| SentBody { body, _busy: busy }))
            }
        });
        let mut builder = http1::Builder::new();
        // The timer below has different timeouts for an idle connection and for an incomplete head; hyper has one for both.
        builder
            .header_read_timeout(None::<std::time::Duration>)
            .keep_alive(keep_alive)
            .max_buf_size(HEAD_MAX_BYTES);
        let mut http = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let mut timer = pin!(sleep(limits.head));
        let mut ending = false;
        loop {
            // Only polling `http` changes the phase, so the deadline is valid after each poll. Each request postpones it:
            // the timer is reset when it expires, and not before, since a reset takes a lock.
            let ended_or_overdue = poll_fn(|context| {
                if http.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                let Some(deadline) = state.deadline(&limits) else { return Poll::Pending };
                if deadline < timer.deadline() {
                    timer.as_mut().reset(deadline);
                }
                while timer.as_mut().poll(context).is_ready() {
                    if deadline <= Instant::now() {
                        return Poll::Ready(());
                    }
                    timer.as_mut().reset(deadline);
                }
                Poll::Pending
            });
            tokio::select! {
                biased;
                () = ended_or_overdue => return,
                () = state.close_requested(), if !ending => {}
                _ = stopped.wait_for(|stopped| *stopped), if !ending => {}
            }
            if !state.is_busy() {
                return;
            }
            ending = true;
            http.as_mut().graceful_shutdown();
        }
    }
}

/// Returns whether a request names its host, as each of HTTP/1.1 has to, and not twice (RFC 9112, section 3.2): a proxy may have
/// read the other name.
fn has_one_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11
}

fn refuse_host() -> Response {
    let text = "a request of HTTP/1.1 has one `host` header\n";
    let headers = [(header::CONNECTION, "close"), (header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (StatusCode::BAD_REQUEST, headers, text).into_response()
}

/// True for a request for a WebSocket.
fn asks_for_socket(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The response to a request for a WebSocket, if there are as many as may be.
async fn refuse_socket(overflow_router: Router, uri: Uri) -> Result<Response, Infallible> {
    metrics::counter!("hearth_connections_refused_total").increment(1);
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri;
    overflow_router.oneshot(request).await
}

/// A response's body, which keeps its connection busy until it is sent or dropped.
struct SentBody {
    body: Body,
    _busy: BusyGuard,
}

impl HttpBody for SentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
