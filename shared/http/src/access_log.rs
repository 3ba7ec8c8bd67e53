//! The line in the log for each request, and its metrics.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use http::Method;

use crate::{RequestId, error::HttpError, no_route, route_metrics::RouteMetrics};

/// What is logged of a request. Latency is to the head of the answer; a stream's own time is its run's.
pub(crate) struct LogLine {
    /// The request's id.
    pub(crate) id: RequestId,
    began: Instant,
    method: &'static str,
    route: Option<MatchedPath>,
    path: Option<String>,
}

impl LogLine {
    pub(crate) fn begin(request: &Request, id: RequestId) -> Self {
        // The route, and not the path: ids and queries aren't for logs and labels. A path that no route has is logged,
        // as far as it can be: it is how a wrong base URL is seen.
        let route = request.extensions().get::<MatchedPath>().cloned();
        let path = route.is_none().then(|| no_route::loggable(request.uri().path()));
        Self { id, began: Instant::now(), method: method_label(request.method()), route, path }
    }

    /// Logs and counts the request, now that it has a response.
    pub(crate) fn write(self, response: &Response, metrics: &RouteMetrics) {
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let (latency, status) = (self.began.elapsed(), response.status().as_u16());
        let code = response.extensions().get::<HttpError>().map(|error| error.0.code.as_str());
        tracing::info!(
            request_id = %self.id.0,
            method = self.method,
            route,
            path = self.path,
            status,
            code,
            latency_ms = latency.as_secs_f64() * 1000.0,
            "request"
        );
        metrics.record(self.method, route, status, latency);
    }
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
