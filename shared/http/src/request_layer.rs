//! Layer around every route: generates the request's id, catches panics, writes errors, adds CORS headers, compresses,
//! logs and counts.
//!
//! One hand-written service instead of a layer for each: every layer of axum boxes its future, clones its service and
//! moves the request. Authentication is a layer of the routes that need it ([`crate::auth`]).

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{extract::Request, response::Response};
use futures::{FutureExt as _, future::BoxFuture};
use hearth_domain::RunId;
use hearth_gateway::background;
use hearth_telemetry::traces::Span;
use http::{Method, header};
use pin_project_lite::pin_project;
use tokio_util::task::AbortOnDropHandle;
use tower::{Layer, Service};

use crate::{
    access_log::{self, LogLine},
    body_budget::{self, BodyBudget, BodyShare},
    compression::{self, AcceptedEncodings},
    cors::{self, AllowedOrigins, PageAccess},
    drain_body::{self, Unread},
    error, panic,
    request_id::{self, RequestId},
    request_span,
    route_metrics::RouteMetrics,
    security_headers::{self, SecureTransport},
    wildcard::{self, WildcardMethods},
};

/// Largest body that is parsed on the thread of its connection. Requests with larger ones run on the background runtime:
/// parsing them would delay other requests of the thread for too long.
const SERVING_THREAD_BODY_MAX_BYTES: u64 = 256 << 10;

/// Layer around every route.
#[derive(Debug, Clone, Default)]
pub struct RequestLayer {
    compresses: bool,
    budget: Option<BodyBudget>,
    origins: AllowedOrigins,
    wildcards: Arc<[WildcardMethods]>,
}

impl RequestLayer {
    /// Compresses buffered responses for clients that accept it. In the cloud, API Gateway does.
    #[must_use]
    pub fn compressing(self) -> Self {
        Self { compresses: true, ..self }
    }

    /// Limits the memory that the bodies of all requests take together.
    #[must_use]
    pub fn with_budget(self, budget: BodyBudget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// Lets the pages of these origins alone read responses.
    #[must_use]
    pub fn with_origins(self, origins: Option<&[String]>) -> Self {
        Self { origins: origins.map_or(AllowedOrigins::Any, AllowedOrigins::listed), ..self }
    }

    /// Has the methods of the paths that wildcard routes match.
    #[must_use]
    pub(crate) fn with_wildcards(self, wildcards: &[WildcardMethods]) -> Self {
        Self { wildcards: wildcards.into(), ..self }
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> RequestService<S> {
        RequestService { inner, layer: self.clone(), metrics: Arc::default() }
    }
}

/// Route with the layer around it.
#[derive(Debug, Clone)]
pub struct RequestService<S> {
    inner: S,
    layer: RequestLayer,
    metrics: Arc<RouteMetrics>,
}

impl<S> Service<Request> for RequestService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = RequestFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = RequestId(RunId::new());
        let method = access_log::method_label(request.method());
        let span = request_span::start(&mut request, id, method);
        let mut pending = PendingRequest {
            line: LogLine::begin(&mut request, id, span.context().trace_id()),
            span,
            preflight: *request.method() == Method::OPTIONS,
            is_shown: *request.method() == Method::GET,
            page: self.layer.origins.page(request.headers()),
            transport: request.extensions().get::<SecureTransport>().copied().unwrap_or_default(),
            accepted: self.layer.compresses.then(|| AcceptedEncodings::from_headers(request.headers())),
            unread: drain_body::track(&mut request),
            share: None,
            metrics: Arc::clone(&self.metrics),
        };
        if pending.preflight {
            let mut response = cors::preflight(request.headers(), &pending.page);
            if let Some(methods) = wildcard::allowed(&self.layer.wildcards, &request) {
                response.headers_mut().insert(header::ALLOW, methods);
            }
            let response = Some(response);
            return RequestFuture { work: Work::Ready { response }, pending: Some(pending) };
        }
        request.extensions_mut().insert(id);
        let body_bytes =
            if pending.unread.is_some() { body_budget::declared_bytes(request.headers()) } else { 0 };
        if let Some(budget) = &self.layer.budget {
            pending.share = budget.share(&mut request, body_bytes);
        }
        let work = match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Err(panic) => Work::Ready { response: Some(panic::response(&*panic)) },
            Ok(route) => match background::runtime() {
                Some(runtime) if body_bytes > SERVING_THREAD_BODY_MAX_BYTES => {
                    Work::Background { task: AbortOnDropHandle::new(runtime.spawn(route)) }
                }
                _ => Work::Inline { route },
            },
        };
        RequestFuture { work, pending: Some(pending) }
    }
}

/// Request without a response yet.
struct PendingRequest {
    line: LogLine,
    span: Span,
    preflight: bool,
    /// A browser may show the response.
    is_shown: bool,
    transport: SecureTransport,
    page: PageAccess,
    /// Encodings that the client accepts, where responses are compressed.
    accepted: Option<AcceptedEncodings>,
    /// Slot of the request's body, if it isn't read to its end.
    unread: Option<Unread>,
    share: Option<BodyShare>,
    metrics: Arc<RouteMetrics>,
}

impl PendingRequest {
    /// Completes a response: body of its error, headers, log line, compression, span.
    fn finish(self, response: Response) -> Response {
        let id = self.line.id;
        let mut response = error::write_body(response, id);
        if !self.preflight {
            cors::allow(response.headers_mut(), &self.page);
            security_headers::add(response.headers_mut(), self.is_shown, self.transport);
        }
        if let Some(value) = id.header() {
            response.headers_mut().insert(request_id::HEADER, value);
        }
        self.line.write(&response, &self.metrics);
        let response = match self.accepted {
            Some(accepted) => compression::compress(response, accepted),
            None => response,
        };
        request_span::finish(self.span, response)
    }
}

pin_project! {
    /// Response future of a [`RequestService`].
    pub struct RequestFuture<F> {
        #[pin]
        work: Work<F>,
        pending: Option<PendingRequest>,
    }
}

pin_project! {
    #[project = WorkProjection]
    enum Work<F> {
        // The route runs in this task.
        Inline { #[pin] route: F },
        // The route runs in a task of the background runtime.
        Background { task: AbortOnDropHandle<Result<Response, Infallible>> },
        // The response is there; the remainder of the request's body is read before it is sent.
        Draining { response: BoxFuture<'static, Response> },
        Ready { response: Option<Response> },
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Work<F> {
    fn poll_response(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        match self.project() {
            WorkProjection::Inline { route } => {
                match catch_unwind(AssertUnwindSafe(|| route.poll(context))) {
                    Ok(result) => result.map(|Ok(response)| response),
                    Err(panic) => Poll::Ready(panic::response(&*panic)),
                }
            }
            WorkProjection::Background { task } => Pin::new(task).poll(context).map(|result| match result {
                Ok(Ok(response)) => response,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => panic::response(&*panic),
                    Err(_) => panic::stopping(),
                },
            }),
            WorkProjection::Draining { response } => response.as_mut().poll(context),
            WorkProjection::Ready { response } => Poll::Ready(response.take().unwrap_or_default()),
        }
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for RequestFuture<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let mut response = ready!(this.work.as_mut().poll_response(context));
            // Dropping the route puts an unread body into its slot.
            this.work.set(Work::Ready { response: None });
            let Some(pending) = this.pending.as_mut() else { return Poll::Ready(Ok(response)) };
            match pending.unread.take().and_then(|unread| unread.take(&mut response)) {
                Some(body) => {
                    let response = drain_body::drain(body, response).boxed();
                    this.work.set(Work::Draining { response });
                }
                None => {
                    let response = match this.pending.take() {
                        Some(pending) => pending.finish(response),
                        None => response,
                    };
                    return Poll::Ready(Ok(response));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ThreadId};

    use axum::{
        Router,
        body::{Body, to_bytes},
        routing::{get, post},
    };
    use hearth_wire::openai::chat::ChatRequest;
    use serde_json::Value;
    use tokio::sync::mpsc;
    use tower::ServiceExt as _;

    use super::*;
    use crate::JsonBody;

    async fn ask(router: &Router, request: Request) -> (u16, http::HeaderMap, Value) {
        let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (head.status.as_u16(), head.headers, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn get_request(path: &str) -> Request {
        Request::get(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn panic_before_or_after_the_first_await_yields_500() {
        let at_once = || -> std::future::Ready<&str> { panic!("at once") };
        let later = async || -> &str {
            tokio::task::yield_now().await;
            panic!("later");
        };
        let router = Router::new().route("/at-once", get(at_once)).route("/later", get(later));
        let router = router.route("/fine", get(async || "fine")).layer(RequestLayer::default());
        for path in ["/at-once", "/later"] {
            let (status, headers, body) = ask(&router, get_request(path)).await;
            assert_eq!((status, body["error"]["code"].as_str()), (500, Some("internal")), "{path}");
            assert_eq!(headers["x-request-id"], body["error"]["request_id"].as_str().unwrap());
            assert_eq!(headers["access-control-allow-origin"], "*");
        }
        assert_eq!(ask(&router, get_request("/fine")).await.0, 200);
    }

    #[tokio::test]
    async fn preflight_request_reaches_no_route() {
        let router = Router::new().route("/", get(async || "fine")).layer(RequestLayer::default());
        let request = Request::options("/").body(Body::empty()).unwrap();
        let (status, headers, _) = ask(&router, request).await;
        assert_eq!((status, &headers["access-control-allow-methods"]), (200, &"*".parse().unwrap()));
    }

    /// Sends bodies of these lengths on a serving thread, and returns its id and that of the thread that parses each body.
    fn threads_of_bodies(lengths: &[usize]) -> (ThreadId, Vec<ThreadId>) {
        let background = tokio::runtime::Runtime::new().unwrap();
        let handle = background.handle().clone();
        let lengths = lengths.to_owned();
        let serving = thread::spawn(move || {
            background::assign(handle);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (note, mut noted) = mpsc::unbounded_channel();
                let handler = async move |JsonBody(_): JsonBody<ChatRequest>| {
                    note.send(thread::current().id()).unwrap()
                };
                let router = Router::new().route("/", post(handler)).layer(RequestLayer::default());
                let mut threads = Vec::new();
                for length in lengths {
                    let text = "x".repeat(length);
                    let body =
                        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
                    let request = Request::post("/").header("content-length", body.len());
                    assert_eq!(ask(&router, request.body(body.into()).unwrap()).await.0, 200);
                    threads.push(noted.recv().await.unwrap());
                }
                (thread::current().id(), threads)
            })
        });
        serving.join().unwrap()
    }

    #[test]
    fn large_body_is_parsed_on_the_background_runtime() {
        let (serving, threads) = threads_of_bodies(&[10, 1 << 20, 10]);
        assert_eq!(threads.iter().map(|thread| *thread == serving).collect::<Vec<_>>(), [true, false, true]);
    }
}
