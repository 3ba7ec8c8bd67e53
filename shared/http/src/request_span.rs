//! Span of each request, from its head to the end of its response's body. Free where nothing is traced.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    extract::{MatchedPath, Request},
    response::Response,
};
use hearth_telemetry::traces::{self, Span, SpanKind, TraceContext};
use http::header::HOST;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{error::HttpError, no_route, request_id::RequestId};

/// Starts the span of a request, and adds its position to the request's extensions. It continues the trace of an
/// extension that is there already, or of the client's headers.
pub(crate) fn start(request: &mut Request, id: RequestId, method: &'static str) -> Span {
    if !traces::is_on() {
        return Span::default();
    }
    let caller = request.extensions().get::<TraceContext>().cloned();
    let caller = caller.unwrap_or_else(|| TraceContext::from_headers(request.headers()));
    // HTTP's semantic conventions: the name has the route's pattern, and never the path.
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let name = route.as_ref().map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let mut span = Span::root(&caller, SpanKind::Server, name);
    if span.is_recorded() {
        span.set("http.request.method", method);
        // Without the query, which may have a link's signature.
        let path = request.uri().path();
        span.set("url.path", if route.is_some() { path.to_owned() } else { no_route::loggable(path) });
        if let Some(route) = route {
            span.set("http.route", route);
        }
        if let Some(host) = request.headers().get(HOST).and_then(|host| host.to_str().ok()) {
            span.set("server.address", host.split(':').next().unwrap_or(host).to_owned());
        }
        span.set("hearth.request.id", id.0.to_string());
    }
    if !span.context().is_empty() {
        request.extensions_mut().insert(span.context().clone());
    }
    span
}

/// Completes a span with its response. A recorded span ends with the response's body.
pub(crate) fn finish(mut span: Span, response: Response) -> Response {
    if !span.is_recorded() {
        return response;
    }
    let status = response.status();
    span.set("http.response.status_code", i64::from(status.as_u16()));
    let code = response.extensions().get::<HttpError>().map(|error| error.0.code.as_str());
    if status.is_server_error() {
        span.fail(code.map_or_else(|| status.as_u16().to_string(), str::to_owned));
    } else if let Some(code) = code {
        // A client's error is not the server's failure.
        span.set("error.type", code);
    }
    response.map(|body| Body::new(TracedBody { body, span: Some(span) }))
}

pin_project! {
    /// Body that ends a span with its own end, or when it is dropped.
    struct TracedBody {
        #[pin]
        body: Body,
        span: Option<Span>,
    }
}

impl HttpBody for TracedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(context);
        match &polled {
            Poll::Ready(None) => drop(this.span.take()),
            Poll::Ready(Some(Err(_))) => {
                if let Some(mut span) = this.span.take() {
                    span.fail("body_broken_off");
                }
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
