//! The one layer around every route: it gives a request its id, catches panics, writes errors, adds CORS headers,
//! compresses, logs and counts.
//!
//! One hand-written service in place of a layer for each: every layer of axum boxes its future, clones its service and
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
use http::Method;
use pin_project_lite::pin_project;
use tokio_util::task::AbortOnDropHandle;
use tower::{Layer, Service};

use crate::{
    access_log::LogLine,
    body_budget::{self, BodyBudget, BodyShare},
    compression::{self, Accepted},
    cors, error, panic,
    request_id::{self, RequestId},
    route_metrics::RouteMetrics,
    unread::{self, Rest},
};

/// A request whose body is larger is answered on the background runtime: to read and parse it takes longer than other
/// requests of the same thread should wait.
const SERVING_THREAD_BODY_MAX_BYTES: u64 = 256 << 10;

/// What is around every route.
#[derive(Debug, Clone, Default)]
pub struct RequestLayer {
    compresses: bool,
    budget: Option<BodyBudget>,
}

impl RequestLayer {
    /// The same, compressing whole answers for clients that accept it. In the cloud, API Gateway does.
    #[must_use]
    pub fn compressing(self) -> Self {
        Self { compresses: true, ..self }
    }

    /// The same, with a limit of the memory that the bodies of all requests take together.
    #[must_use]
    pub fn with_budget(self, budget: BodyBudget) -> Self {
        Self { budget: Some(budget), ..self }
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> RequestService<S> {
        RequestService { inner, layer: self.clone(), metrics: Arc::default() }
    }
}

/// A route with the layer around it.
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
        let mut open = Open {
            line: LogLine::begin(&request, id),
            preflight: *request.method() == Method::OPTIONS,
            accepted: self.layer.compresses.then(|| Accepted::of(request.headers())),
            rest: unread::lend(&mut request),
            share: None,
            metrics: Arc::clone(&self.metrics),
        };
        if open.preflight {
            let response = Some(cors::preflight(request.headers()));
            return RequestFuture { work: Work::Made { response }, open: Some(open) };
        }
        request.extensions_mut().insert(id);
        let body_bytes = if open.rest.is_some() { body_budget::declared_bytes(request.headers()) } else { 0 };
        if let Some(budget) = &self.layer.budget {
            open.share = budget.share(&mut request, body_bytes);
        }
        let work = match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Err(panic) => Work::Made { response: Some(panic::response(&*panic)) },
            Ok(answer) => match background::runtime() {
                Some(runtime) if body_bytes > SERVING_THREAD_BODY_MAX_BYTES => {
                    Work::Background { answer: AbortOnDropHandle::new(runtime.spawn(answer)) }
                }
                _ => Work::Here { answer },
            },
        };
        RequestFuture { work, open: Some(open) }
    }
}

/// A request that has no answer yet.
struct Open {
    line: LogLine,
    preflight: bool,
    /// What the client accepts, where answers are compressed.
    accepted: Option<Accepted>,
    /// Where the request's body is put back if nobody reads it to its end.
    rest: Option<Rest>,
    share: Option<BodyShare>,
    metrics: Arc<RouteMetrics>,
}

impl Open {
    /// The answer as it is sent.
    fn finish(self, response: Response) -> Response {
        let id = self.line.id;
        let mut response = error::write_envelope(response, id);
        if !self.preflight {
            cors::allow(response.headers_mut());
        }
        if let Some(value) = id.header() {
            response.headers_mut().insert(request_id::HEADER, value);
        }
        self.line.write(&response, &self.metrics);
        match self.accepted {
            Some(accepted) => compression::compress(response, accepted),
            None => response,
        }
    }
}

pin_project! {
    /// The answer of a [`RequestService`].
    pub struct RequestFuture<F> {
        #[pin]
        work: Work<F>,
        open: Option<Open>,
    }
}

pin_project! {
    #[project = WorkProjection]
    enum Work<F> {
        // The route answers, in this task.
        Here { #[pin] answer: F },
        // The route answers, in a task of the background runtime.
        Background { answer: AbortOnDropHandle<Result<Response, Infallible>> },
        // There is an answer, and the rest of the request's body is read before it is sent.
        Draining { drained: BoxFuture<'static, Response> },
        Made { response: Option<Response> },
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Work<F> {
    fn poll_answer(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        match self.project() {
            WorkProjection::Here { answer } => {
                match catch_unwind(AssertUnwindSafe(|| answer.poll(context))) {
                    Ok(answer) => answer.map(|Ok(response)| response),
                    Err(panic) => Poll::Ready(panic::response(&*panic)),
                }
            }
            WorkProjection::Background { answer } => {
                Pin::new(answer).poll(context).map(|answer| match answer {
                    Ok(Ok(response)) => response,
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => panic::response(&*panic),
                        Err(_) => panic::stopping(),
                    },
                })
            }
            WorkProjection::Draining { drained } => drained.as_mut().poll(context),
            WorkProjection::Made { response } => Poll::Ready(response.take().unwrap_or_default()),
        }
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for RequestFuture<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let mut response = ready!(this.work.as_mut().poll_answer(context));
            // The work is dropped before it is looked whether it has read the body.
            this.work.set(Work::Made { response: None });
            let Some(open) = this.open.as_mut() else { return Poll::Ready(Ok(response)) };
            match open.rest.take().and_then(|rest| rest.unread(&mut response)) {
                Some(body) => {
                    let drained = unread::drain(body, response).boxed();
                    this.work.set(Work::Draining { drained });
                }
                None => {
                    let response = match this.open.take() {
                        Some(open) => open.finish(response),
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
    async fn panic_is_answered_500_before_and_after_the_first_wait() {
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

    /// Sends bodies of these lengths on a thread that serves; where each is parsed.
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
