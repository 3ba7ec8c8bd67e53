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

/// Limit of an attribute that the client chooses, whether it has a token or not.
const ATTRIBUTE_MAX_BYTES: usize = 256;

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
        span.set("url.path", no_route::loggable(path));
        if let Some(route) = route {
            span.set("http.route", route);
        }
        if let Some(host) = request.headers().get(HOST).and_then(|host| host.to_str().ok()) {
            span.set("server.address", cut(server_address(host)).to_owned());
        }
        span.set("hearth.request.id", id.0.to_string());
    }
    if !span.context().is_empty() {
        request.extensions_mut().insert(span.context().clone());
    }
    span
}

/// The host without its port. An IPv6 address has no brackets then, as the conventions ask.
fn server_address(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

/// The beginning of a text that the client chooses.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(ATTRIBUTE_MAX_BYTES)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_address_is_the_host_without_its_port() {
        for (host, address) in [
            ("example.com", "example.com"),
            ("example.com:8080", "example.com"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[::1]", "::1"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[broken", "[broken"),
        ] {
            assert_eq!(server_address(host), address);
        }
    }

    #[test]
    fn long_text_of_a_client_is_cut_between_characters() {
        assert_eq!(cut("/v1/models"), "/v1/models");
        assert_eq!(cut(&"x".repeat(ATTRIBUTE_MAX_BYTES * 4)).len(), ATTRIBUTE_MAX_BYTES);
        assert_eq!(cut(&format!("x{}", "é".repeat(ATTRIBUTE_MAX_BYTES))).len(), ATTRIBUTE_MAX_BYTES - 1);
    }
}
