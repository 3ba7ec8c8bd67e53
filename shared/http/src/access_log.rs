//! The outermost layer: gives the request its id, logs it, counts it, and writes its error.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use hearth_domain::RunId;
use http::Method;

use crate::{RequestId, error, no_route, request_id};

/// Wraps every request. Latency is to the head of the answer; a stream's own time is its run's.
pub(crate) async fn layer(mut request: Request, next: Next) -> Response {
    let id = RequestId(RunId::new());
    request.extensions_mut().insert(id);
    let method = method_label(request.method());
    // The route, and not the path: ids and queries aren't for logs and labels. A path that no route has is logged, as
    // far as it can be: it is how a wrong base URL is seen.
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let path = route.is_none().then(|| no_route::loggable(request.uri().path()));
    let route = route.unwrap_or_else(|| "none".to_owned());
    let began = Instant::now();
    let mut response = error::write_envelope(next.run(request).await, id);
    if let Some(value) = id.header() {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    let (latency, status) = (began.elapsed(), response.status().as_u16());
    let code = response.extensions().get::<error::HttpError>().map(|error| error.0.code.as_str());
    tracing::info!(
        request_id = %id.0,
        method,
        route,
        path,
        status,
        code,
        latency_ms = latency.as_secs_f64() * 1000.0,
        "request"
    );
    let labels = [("method", method.to_owned()), ("route", route.clone()), ("status", status.to_string())];
    metrics::counter!("hearth_requests_total", &labels).increment(1);
    metrics::histogram!("hearth_request_seconds", "route" => route).record(latency);
    response
}

/// The method's name in logs and metrics. A client may make up any method (RFC 9110, section 16.1), and each label's
/// value is kept for as long as the process lives: all but the nine of HTTP and PATCH's RFC are `other`.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_method_is_counted_as_other() {
        assert_eq!(method_label(&Method::PATCH), "PATCH");
        for made_up in ["get", "PROPFIND", &"M".repeat(30_000)] {
            assert_eq!(method_label(&Method::from_bytes(made_up.as_bytes()).unwrap()), "other");
        }
    }
}
