//! One connection: HTTP/1.1 with a timeout for each phase.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::Response,
};
use hearth_http::paced_body::PacedBody;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep},
};
use tower::ServiceExt as _;

use super::{
    limits::Limits,
    stream::ClientStream,
    table::{BusyGuard, State},
};

/// Size of a request's head, and of the read and write buffers. A browser's cookies have 8 KB.
const HEAD_MAX_BYTES: usize = 64 << 10;

/// A connection to be served.
pub(super) struct Connection {
    pub(super) state: Arc<State>,
    pub(super) router: Router,
    pub(super) limits: Limits,
    /// Accept further requests after the first.
    pub(super) keep_alive: bool,
}

impl Connection {
    /// Serves requests until the client disconnects, a timeout ends, the connection's place is needed, or the server
    /// stops. In the last two cases a request that has begun is answered first.
    pub(super) async fn serve(self, socket: TcpStream, mut stopped: watch::Receiver<bool>) {
        let Self { state, router, limits, keep_alive } = self;
        let stream = ClientStream::new(socket, Arc::clone(&state), limits.write);
        let service_state = Arc::clone(&state);
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, busy) = (router.clone(), service_state.begin_request());
            async move {
                let request = request.map(|body| PacedBody::new(body, limits.body));
                let response: Response = router.oneshot(request).await?;
                Ok::<_, Infallible>(response.map(|body| SentBody { body, _busy: busy }))
            }
        });
        let mut builder = http1::Builder::new();
        // The timer below has different timeouts for an idle connection and for an incomplete head; hyper has one for both.
        builder
            .header_read_timeout(None::<std::time::Duration>)
            .keep_alive(keep_alive)
            .max_buf_size(HEAD_MAX_BYTES);
        let mut http = pin!(builder.serve_connection(TokioIo::new(stream), service));
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
